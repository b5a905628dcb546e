// Waveform and playback of a clip, and the marks on it.
import WaveSurfer from "./wavesurfer/wavesurfer.esm.js";
import RegionsPlugin from "./wavesurfer/regions.esm.js";
import TimelinePlugin from "./wavesurfer/timeline.esm.js";

const SHORTEST = 0.02; // seconds of a mark: one frame of the scores
const ASTRAY = 0.03; // seconds by which a seek may miss its target

export class Waveform {
  // `told` is called with "play", "pause", "time", "marks" or "ready"
  constructor(container, nonce, told) {
    this.container = container;
    this.told = told;
    this.begin = null;
    this.chosen = null;
    // target of the last seek while paused: of many seeks at once, a browser may drop the last
    this.target = null;
    this.ruler = null;
    this.regions = RegionsPlugin.create();
    this.player = WaveSurfer.create({
      container, cspNonce: nonce, height: innerWidth <= 600 ? 128 : 168, cursorWidth: 2, normalize: true,
      barWidth: 2, barGap: 1, barRadius: 1, sampleRate: 16000, dragToSeek: false, plugins: [this.regions], ...this.colours(),
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.player.setOptions(this.colours()));
    for (const name of ["play", "pause", "ready"]) this.player.on(name, () => told(name));
    for (const name of ["timeupdate", "seeking"]) this.player.on(name, () => told("time"));
    let tried = null;
    this.player.getMediaElement().addEventListener("seeked", () => { tried = this.arrive(tried); });
    this.player.on("interaction", (time) => { this.target = this.playing ? null : time; });
    this.regions.enableDragSelection({ color: this.colour("--mark"), minLength: SHORTEST }, 4);
    this.regions.on("region-created", (region) => this.created(region));
    this.regions.on("region-updated", (region) => this.choose(region));
    this.regions.on("region-clicked", (region) => this.choose(region));
  }

  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  colours() {
    return { waveColor: this.colour("--muted"), progressColor: this.colour("--seen"), cursorColor: this.colour("--ink") };
  }

  async load(url, marks) {
    this.pause();
    this.clear();
    this.target = null;
    await this.player.load(url);
    this.rule();
    for (const [start, end] of marks) this.add(start, end);
    this.chosen = this.found().at(-1) ?? null;
    this.shown();
  }

  // as many seconds below the waveform as fit
  rule() {
    this.ruler?.destroy();
    const room = this.container.clientWidth / 40;
    const step = [0.5, 1, 2, 5, 10, 30, 60].find((each) => this.seconds / each <= room) ?? 120;
    this.ruler = this.player.registerPlugin(TimelinePlugin.create({
      height: 18, timeInterval: step / 2, primaryLabelInterval: step, formatTimeCallback: String,
      style: { color: "var(--muted)", fontSize: "11px" },
    }));
  }

  created(region) {
    if (region.id === "begin") return;
    this.style(region, "mark");
    this.choose(region);
  }

  style(region, part) {
    if (region.element) region.element.part = part;
  }

  add(start, end) {
    return this.regions.addRegion({ start, end, color: this.colour("--mark"), minLength: SHORTEST });
  }

  found() {
    return this.regions.getRegions().filter((region) => region.id !== "begin").sort((a, b) => a.start - b.start);
  }

  marks() {
    const at = (time) => Math.round(Math.min(Math.max(time, 0), this.seconds) * 1000) / 1000;
    return this.found().map((region) => [at(region.start), at(region.end)]).filter(([start, end]) => end > start);
  }

  choose(region) {
    this.chosen = region;
    this.shown();
  }

  shown() {
    for (const region of this.found()) this.style(region, region === this.chosen ? "mark chosen" : "mark");
    this.told("marks");
  }

  markIn() {
    this.unmarkIn();
    this.begin = this.time;
    const region = this.regions.addRegion({ id: "begin", start: this.begin, color: "transparent", drag: false, resize: false });
    this.style(region, "begin");
  }

  unmarkIn() {
    this.begin = null;
    for (const region of this.regions.getRegions()) if (region.id === "begin") region.remove();
  }

  // returns the mark; null without a beginning, or if it is not longer than a frame
  markOut() {
    if (this.begin === null) return null;
    const [start, end] = [this.begin, this.time].sort((a, b) => a - b);
    if (end - start < SHORTEST) return null;
    this.unmarkIn();
    return this.add(start, end);
  }

  remove(region) {
    if (!region) return;
    region.remove();
    if (this.chosen === region) this.chosen = this.found().at(-1) ?? null;
    this.shown();
  }

  clear() {
    this.begin = this.chosen = null;
    this.regions.clearRegions();
  }

  get seconds() { return this.player.getDuration(); }
  get time() { return this.target ?? this.player.getCurrentTime(); }
  get playing() { return this.player.isPlaying(); }

  seek(time) {
    const target = Math.min(Math.max(time, 0), this.seconds);
    if (!this.playing) this.target = target;
    this.player.setTime(target);
    this.told("time");
  }

  arrive(again) {
    const astray = this.target !== null && Math.abs(this.player.getCurrentTime() - this.target) > ASTRAY;
    if (astray && again !== this.target) this.player.setTime(this.target);
    return this.target;
  }

  toggle() {
    if (!this.playing) this.arrive();
    this.target = null;
    return this.player.playPause();
  }

  play(region) {
    this.target = null;
    this.choose(region);
    region.play(true);
  }

  pause() { if (this.playing) this.player.pause(); }
}
