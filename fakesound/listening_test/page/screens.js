// Texts and sections of the page, and requests to the server.

export const part = (name) => document.getElementById(name);

export function show(name) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
}

export function say(text, wrong = false) {
  part("said").textContent = text;
  part("said").classList.toggle("wrong", wrong);
}

// Values are stored for this tab and this server, so that the test continues after a reload.
export function keep(name, value) {
  sessionStorage.setItem(`${location.pathname} ${name}`, JSON.stringify(value));
}

export function kept(name) {
  return JSON.parse(sessionStorage.getItem(`${location.pathname} ${name}`));
}

// Sends a request and returns the response; errors have the message of the server or our own.
export async function ask(what, sent) {
  let reply, told;
  try {
    const body = JSON.stringify(sent);
    reply = await fetch(what, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    told = await reply.json();
  } catch {
    throw new Error("The server does not respond. Is the test still running? Your answers are saved; start the test again to continue.");
  }
  if (!reply.ok) throw new Error(told.error);
  return told;
}

export const span = ([start, end]) => `${start.toFixed(2)}–${end.toFixed(2)} s`;

export function button(text, label, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", work);
  return made;
}

function row(kind, texts) {
  const made = document.createElement("tr");
  for (const text of texts) made.append(Object.assign(document.createElement(kind), { textContent: text }));
  return made;
}

// The result of a listener: a summary, then the clips in the order in which they were played.
export function result(clips) {
  const right = (clip) => clip.answer.verdict === clip.truth;
  const count = (label) => {
    const those = clips.filter((clip) => clip.truth === label);
    return `${those.filter(right).length} of the ${those.length} ${label} ones`;
  };
  const sentence = document.createElement("p");
  sentence.className = "lede";
  sentence.textContent = `You were right about ${clips.filter(right).length} of ${clips.length} clips: ${count("genuine")} and ${count("fake")}. Guessing gives ${clips.length / 2} on average.`;
  const table = document.createElement("table");
  const head = document.createElement("thead");
  head.append(row("th", ["clip", "truth", "fake parts", "your answer", "your marks"]));
  const body = document.createElement("tbody");
  clips.forEach((clip, index) => {
    const said = `${clip.answer.verdict}, ${clip.answer.sureness} of 5`;
    const spans = (regions) => regions.map(span).join(", ");
    const made = row("td", [index + 1, clip.attack ?? "genuine", spans(clip.regions), said, spans(clip.answer.regions)]);
    made.children[3].classList.toggle("wrong", !right(clip));
    if (!right(clip)) made.children[3].append(" (wrong)");
    body.append(made);
  });
  table.append(head, body);
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  // where it scrolls, keys scroll it
  scroll.tabIndex = 0;
  scroll.append(table);
  return [sentence, scroll];
}

// Plays a short tone, about as loud as speech, to set the volume.
export function tone() {
  const context = new AudioContext();
  const [source, level] = [context.createOscillator(), context.createGain()];
  source.frequency.value = 440;
  level.gain.setValueAtTime(0, context.currentTime);
  level.gain.linearRampToValueAtTime(0.1, context.currentTime + 0.05);
  level.gain.setValueAtTime(0.1, context.currentTime + 0.75);
  level.gain.linearRampToValueAtTime(0, context.currentTime + 0.8);
  source.connect(level).connect(context.destination);
  source.start();
  source.stop(context.currentTime + 0.8);
  source.onended = () => context.close();
}
