// Dropped, chosen and recorded files are sent one after another; each response is a view.
const drop = document.getElementById("drop");
const status = document.getElementById("status");
const results = document.getElementById("results");
let queue = Promise.resolve();

async function analyse(file, name) {
  status.className = "";
  status.textContent = `Analysing ${name} …`;
  try {
    const reply = await fetch(`/view?name=${encodeURIComponent(name)}`, { method: "POST", body: file });
    if (!reply.ok) throw new Error((await reply.json()).error);
    const parsed = new DOMParser().parseFromString(await reply.text(), "text/html");
    const section = document.importNode(parsed.querySelector(".recording"), true);
    results.prepend(section);
    showRecording(section);
    showPrior();
    status.textContent = `${name}: done`;
  } catch (error) {
    status.className = "unseen";
    status.textContent = `${name}: ${error.message}`;
  }
}

function take(files) {
  for (const file of files) queue = queue.then(() => analyse(file, file.name));
}

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
});
document.getElementById("files").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});

// Converts a recording to 16-bit WAV: only the browser can decode the format of its recorder.
async function wav(blob) {
  const context = new AudioContext();
  const audio = await context.decodeAudioData(await blob.arrayBuffer());
  await context.close();
  const samples = audio.getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (place, letters) => [...letters].forEach((letter, index) => view.setUint8(place + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, audio.sampleRate, true);
  view.setUint32(28, 2 * audio.sampleRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, index) => view.setInt16(44 + 2 * index, Math.round(32767 * Math.min(Math.max(sample, -1), 1)), true));
  return new Blob([view.buffer], { type: "audio/wav" });
}

const button = document.getElementById("record");
let recorder = null;
button.hidden = !(navigator.mediaDevices && window.MediaRecorder);
button.addEventListener("click", async () => {
  if (recorder) {
    recorder.stop();
    return;
  }
  try {
    // without speech enhancement of the browser, which would leave traces
    const clean = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: clean });
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", async () => {
      for (const track of stream.getTracks()) track.stop();
      button.textContent = "Record";
      const blob = new Blob(parts, { type: recorder.mimeType });
      recorder = null;
      const name = `recording ${new Date().toLocaleTimeString()}.wav`;
      const file = await wav(blob);
      queue = queue.then(() => analyse(file, name));
    });
    recorder.start();
    button.textContent = "Stop";
  } catch (error) {
    status.className = "unseen";
    status.textContent = `Cannot use the microphone: ${error.message}`;
  }
});
