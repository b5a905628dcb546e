// The listening test: enter a name, answer the clips one by one, see the end.
import { ask, button, keep, kept, part, result, say, show, span, tone } from "./screens.js";
import { Waveform } from "./waveform.js";

const nonce = document.querySelector("style[nonce]").nonce;
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`)?.value ?? null;
let listener = null, clips = [], at = 0, heard = false, busy = true, reveal = false, finished = false;
let wave = null;

// Joining, and moving between clips

async function join(name) {
  const told = await ask("join", { listener: name });
  ({ listener, clips, reveal, finished } = told);
  keep("listener", listener);
  part("who").textContent = listener;
  const open = clips.findIndex((clip) => !clip.answer);
  if (open < 0) return end();
  const drafted = clips.findIndex((clip) => clip.clip === kept("draft")?.clip);
  return go(drafted < 0 ? open : drafted);
}

async function go(index) {
  busy = true;
  at = index;
  show("trial");
  wave ??= new Waveform(part("wave"), nonce, told);
  const { clip, answer } = clips[at];
  const draft = kept("draft")?.clip === clip ? kept("draft") : null;
  const { verdict, sureness, regions } = draft ?? answer ?? { verdict: null, sureness: null, regions: [] };
  heard = Boolean(draft ?? answer);
  for (const input of document.querySelectorAll("#trial input")) {
    input.checked = input.value === String(input.name === "verdict" ? verdict : sureness);
  }
  part("where").textContent = `Clip ${at + 1} of ${clips.length}`;
  document.title = `Clip ${at + 1} of ${clips.length}, listening test`;
  part("progress").value = clips.filter((each) => each.answer).length;
  part("back").disabled = at === 0;
  part("next-text").textContent = clips.some((each, other) => !each.answer && other !== at) ? "Next" : "Finish";
  part("where").focus({ preventScroll: true });
  scrollTo(0, 0);
  try {
    await wave.load(`audio/${clip}`, regions);
  } catch {
    return say("The clip cannot be loaded. Is the test still running? Reload the page to try again.", true);
  }
  say(answer ? "You have already answered this clip. You can change your answer." : "");
  busy = false;
  return changed();
}

async function next() {
  if (busy) return;
  const [verdict, sureness] = [chosen("verdict"), Number(chosen("sureness"))];
  if (!heard) return say("Listen first: press Space to play.", true);
  if (!verdict) return say("Genuine or fake? Press G or F.", true);
  if (!sureness) return say("How sure are you? Press 1 (guessing) to 5 (certain).", true);
  busy = true;
  wave.pause();
  const regions = verdict === "fake" ? wave.marks() : [];
  try {
    clips[at].answer = await ask("answer", { listener, clip: clips[at].clip, verdict, sureness, regions });
  } catch (error) {
    busy = false;
    return say(error.message, true);
  }
  keep("draft", null);
  // the next one without an answer, from here on and then from the start
  const order = clips.map((_, step) => (at + 1 + step) % clips.length);
  const open = order.find((index) => !clips[index].answer);
  return open === undefined ? end() : go(open);
}

function end() {
  busy = true;
  wave?.pause();
  keep("draft", null);
  document.title = "Done, listening test";
  part("thanks").textContent = `, ${listener}`;
  part("reveal").hidden = part("closing").hidden = !reveal || finished;
  part("again").hidden = finished;
  show("end");
  say("");
  document.querySelector("#end h1").focus({ preventScroll: true });
  scrollTo(0, 0);
  if (finished && reveal) return open();
}

async function open() {
  try {
    const told = await ask("result", { listener });
    finished = true;
    part("result").replaceChildren(...result(told.clips));
    part("result").hidden = false;
    part("again").hidden = part("reveal").hidden = part("closing").hidden = true;
  } catch (error) {
    say(error.message, true);
  }
}

function leave() {
  busy = true;
  wave?.pause();
  keep("listener", null);
  keep("draft", null);
  part("result").hidden = true;
  welcome("");
}

function welcome(trouble) {
  document.title = "Listening test";
  show("welcome");
  say(trouble, true);
  part("name").focus();
}

// Unfinished answers survive a reload

function changed() {
  if (busy) return;
  const [verdict, sureness] = [chosen("verdict"), chosen("sureness")];
  const regions = wave.marks();
  if (heard) keep("draft", { clip: clips[at].clip, verdict, sureness, regions });
  const off = verdict === "genuine" && regions.length > 0;
  part("wave").classList.toggle("off", off);
  part("marks-note").textContent = off ? "Marks do not count if you choose genuine."
    : regions.length ? "" : "No part is marked. Drag over the waveform if a part sounds fake.";
}

function told(what) {
  if (what === "play" && !busy) { heard = true; changed(); }
  if (what === "play" || what === "pause") part("play-text").textContent = wave.playing ? "Pause" : "Play";
  if (what === "marks") { list(); changed(); }
  part("clock").textContent = `${wave.time.toFixed(2)} / ${wave.seconds.toFixed(2)} s`;
}

// Marks

function list() {
  const items = wave.found().map((region, index) => {
    const text = span([region.start, region.end]);
    const item = document.createElement("li");
    item.classList.toggle("chosen", region === wave.chosen);
    item.append(
      button(text, `Play mark ${index + 1}, ${text}`, () => { wave.play(region); }),
      button("×", `Remove mark ${index + 1}, ${text}`, () => remove(region)),
    );
    return item;
  });
  part("marks").replaceChildren(...items);
}

function markIn() {
  wave.markIn();
  say(`Fake from ${wave.begin.toFixed(2)} s. Go to the end of the part and press O.`);
}

function markOut() {
  const region = wave.markOut();
  if (region) say(`Marked ${span([region.start, region.end])}`);
  else say(wave.begin === null ? "First press I where the fake part starts." : "The part is too short. Go to its end and press O.", true);
}

function remove(region) {
  if (!region) return;
  const inside = part("marks").contains(document.activeElement);
  wave.remove(region);
  say(`Removed ${span([region.start, region.end])}`);
  // the focused button no longer exists
  if (inside) (part("marks").querySelector("button") ?? part("in")).focus();
}

// Keys and buttons

const choose = (name, value) => {
  document.querySelector(`input[name="${name}"][value="${value}"]`).checked = true;
  changed();
};
const KEYS = {
  " ": () => wave.toggle(),
  enter: next,
  g: () => choose("verdict", "genuine"),
  f: () => choose("verdict", "fake"),
  i: markIn,
  o: markOut,
  b: () => { if (at > 0) go(at - 1); },
  delete: () => remove(wave.chosen),
  backspace: () => remove(wave.chosen),
  home: () => wave.seek(0),
  arrowleft: (far) => wave.seek(wave.time - (far ? 1 : 0.1)),
  arrowright: (far) => wave.seek(wave.time + (far ? 1 : 0.1)),
};
for (const step of [1, 2, 3, 4, 5]) KEYS[step] = () => choose("sureness", step);
const REPEATED = ["arrowleft", "arrowright"];

addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  const work = Object.hasOwn(KEYS, key) ? KEYS[key] : null;
  if (!work || busy || part("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target;
  // buttons, summaries and unchecked radio buttons handle these keys themselves
  if ((key === " " || key === "enter") && on.closest("button, summary")) return;
  if (key === " " && on.matches("input:not(:checked)")) return;
  if (key.startsWith("arrow") && on.matches("input")) return;
  event.preventDefault();
  if (!event.repeat || REPEATED.includes(key)) work(event.shiftKey);
});

part("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await join(part("name").value);
  } catch (error) {
    say(error.message, true);
  }
});
part("tone").addEventListener("click", tone);
part("play").addEventListener("click", () => { if (!busy) wave.toggle(); });
part("in").addEventListener("click", () => { if (!busy) markIn(); });
part("out").addEventListener("click", () => { if (!busy) markOut(); });
part("next").addEventListener("click", next);
part("back").addEventListener("click", () => { if (!busy && at > 0) go(at - 1); });
for (const name of ["leave", "other"]) {
  part(name).addEventListener("click", () => { part("name").value = ""; leave(); });
}
part("again").addEventListener("click", () => go(clips.length - 1));
part("reveal").addEventListener("click", open);
part("trial").addEventListener("change", changed);

if (kept("listener")) await join(kept("listener")).catch((error) => welcome(error.message));
else welcome("");
