// A line moves over each picture while its audio plays; a click on the picture seeks there.
for (const example of document.querySelectorAll(".plays")) {
  const audio = document.getElementById(example.dataset.audio);
  const line = example.querySelector(".playhead");
  const [left, right, seconds] = ["left", "right", "seconds"].map((key) => Number(example.dataset[key]));
  const place = () => {
    const share = Math.min(audio.currentTime / seconds, 1);
    line.hidden = false;
    line.style.left = `${100 * (left + (right - left) * share)}%`;
  };
  const follow = () => {
    place();
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    follow();
  });
  audio.addEventListener("seeked", place);
  audio.addEventListener("ended", place);
  example.addEventListener("click", (event) => {
    const box = example.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width - left) / (right - left);
    audio.currentTime = Math.min(Math.max(share, 0), 1) * seconds;
    audio.play();
  });
}
