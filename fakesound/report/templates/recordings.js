// Interactive waveforms of recordings, and probabilities that follow the prior.
const SHARES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const LONGEST_VIEW = 0.25; // seconds over the whole width at the highest zoom
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const waveColours = () => ({ waveColor: colour("--ink"), progressColor: colour("--seen"), cursorColor: colour("--unseen") });
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const percent = (share) => {
  const value = 100 * share;
  return `${value < 0.1 ? "< 0.1" : value < 1 ? value.toPrecision(1) : value >= 99.5 && value < 100 ? "> 99" : Math.round(value)}\u00a0%`;
};

function showPrior() {
  const share = SHARES[slider.value];
  slider.setAttribute("aria-valuetext", percent(share));
  document.getElementById("prior-share").textContent = percent(share);
  for (const place of document.querySelectorAll(".share")) place.textContent = percent(share);
  for (const place of document.querySelectorAll(".posterior")) {
    const score = Math.min(Math.max(Number(place.dataset.score), 1e-9), 1 - 1e-9);
    const odds = (score / (1 - score)) * (share / (1 - share));
    place.textContent = percent(odds / (1 + odds));
  }
}

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// frame scores as a curve that zooms with the waveform above it
function scoreCurve(data) {
  const scores = bytes(data.scores);
  const [seconds, step] = [Number(data.seconds), Number(data.scored) / scores.length];
  const points = [...scores].flatMap((value, index) => [
    `${index * step},${1 - value / 255}`, `${Math.min((index + 1) * step, seconds)},${1 - value / 255}`,
  ]);
  const curve = svg("svg", { viewBox: `0 -0.04 ${seconds} 1.08`, preserveAspectRatio: "none", "aria-hidden": "true" });
  curve.style.cssText = "display: block; width: 100%; height: 84px; margin-top: 6px; overflow: visible";
  const line = { fill: "none", "vector-effect": "non-scaling-stroke" };
  const level = 1 - Number(data.threshold);
  curve.append(
    svg("path", { ...line, d: `M0 ${level}H${seconds}`, "stroke-dasharray": "5 4", style: "stroke: var(--muted)" }),
    svg("polyline", { ...line, points: points.join(" "), "stroke-width": "1.4", style: "stroke: var(--ink)" }),
  );
  return curve;
}

function spectrogram(source) {
  const picture = document.createElement("div");
  picture.style.cssText = "width: 100%; height: 150px; margin-top: 6px; background: var(--ink)";
  picture.style.mask = picture.style.webkitMask = `url("${source}") 0 0 / 100% 100% no-repeat`;
  return picture;
}

function showRecording(section) {
  const audio = section.querySelector("audio");
  const stage = section.querySelector(".stage");
  const seconds = Number(section.dataset.seconds);
  if (!section.dataset.scores && !audio) return;
  stage.hidden = false;
  const container = stage.querySelector(".wave");
  const regions = Regions.create();
  const player = WaveSurfer.create({
    container, height: audio ? 110 : 1, normalize: true, cursorWidth: 2, minPxPerSec: 0, hideScrollbar: false, autoCenter: false,
    ...(audio ? { media: audio } : {}), peaks: [audio ? Array.from(bytes(section.dataset.peaks), (value) => value / 255) : [0]],
    duration: seconds, plugins: [regions], ...waveColours(),
  });
  const wrapper = player.getWrapper();
  if (container.dataset.spectrogram) wrapper.append(spectrogram(container.dataset.spectrogram));
  if (section.dataset.scores) wrapper.append(scoreCurve(section.dataset));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => player.setOptions(waveColours()));
  let timeline;
  const rule = () => {
    timeline?.destroy();
    const wide = Math.max(wrapper.clientWidth, container.clientWidth);
    const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60].find((each) => (seconds / each) * 52 <= wide) ?? 300;
    timeline = player.registerPlugin(Timeline.create({
      height: 18, timeInterval: step / 2, primaryLabelInterval: step, formatTimeCallback: (time) => String(Math.round(time * 100) / 100),
      style: { color: "var(--muted)", fontSize: "11px" },
    }));
  };
  const zoom = stage.querySelector(".zoom");
  zoom.addEventListener("input", () => {
    const fit = container.clientWidth / seconds;
    const most = Math.max(fit, Math.min(container.clientWidth / LONGEST_VIEW, 30000 / seconds));
    player.zoom(zoom.value > 0 ? fit * (most / fit) ** (zoom.value / 100) : 0);
    rule();
  });
  const buttons = [...section.querySelectorAll(".regions button")];
  // regions are drawn once the waveform has its size
  player.once("ready", () => {
    rule();
    for (const button of buttons) {
      const [start, end] = [Number(button.dataset.onset), Number(button.dataset.offset)];
      const region = regions.addRegion({ start, end, drag: false, resize: false, color: "color-mix(in srgb, var(--found) 38%, transparent)" });
      if (!audio) continue;
      const play = () => {
        pauseOthers();
        for (const each of buttons) each.classList.toggle("current", each === button);
        region.play(true);
      };
      button.addEventListener("click", play);
      region.on("click", (event) => {
        event.stopPropagation();
        play();
      });
    }
    section.dataset.ready = "";
  });
  if (!audio) {
    stage.querySelector(".play").remove();
    stage.querySelector(".clock").remove();
    return;
  }
  audio.hidden = true;
  const play = stage.querySelector(".play");
  const clock = stage.querySelector(".clock");
  const pauseOthers = () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
  };
  play.addEventListener("click", () => {
    pauseOthers();
    player.playPause();
  });
  player.on("play", () => { play.textContent = "Pause"; });
  player.on("pause", () => { play.textContent = "Play"; });
  player.on("timeupdate", (time) => { clock.textContent = `${time.toFixed(2)} s`; });
}

const slider = document.getElementById("prior");
if (slider) {
  const distance = (share) => Math.abs(Math.log(share / slider.dataset.prior));
  slider.value = SHARES.reduce((best, share, index) => (distance(share) < distance(SHARES[best]) ? index : best), 0);
  slider.addEventListener("input", showPrior);
}
for (const section of document.querySelectorAll(".recording")) showRecording(section);
