// Two short tones when a training that ran has ended, where the person wants them. Made here: no
// file is fetched, and a browser lets a page sound only after somebody has touched it.
(() => {
  const NOTES = [660, 880], LENGTH = 0.18, LOUD = 0.12;  // Hz, s, of full scale

  function tone() {
    const context = new AudioContext();
    NOTES.forEach((pitch, number) => {
      const note = context.createOscillator(), volume = context.createGain();
      const start = context.currentTime + number * LENGTH;
      note.frequency.value = pitch;
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(LOUD, start + 0.02);  // no click at either end
      volume.gain.linearRampToValueAtTime(0, start + LENGTH);
      note.connect(volume).connect(context.destination);
      note.start(start);
      note.stop(start + LENGTH);
      if (number === NOTES.length - 1) note.onended = () => context.close();
    });
  }

  let before = [];  // ids of the trainings that ran when the page looked last
  function look() {
    const place = document.querySelector("#train-running [data-running]");
    if (!place) return;
    const now = place.dataset.running.split(" ").filter(Boolean);
    const ended = before.some((id) => !now.includes(id));
    before = now;
    if (ended && document.querySelector("#train-sound input")?.checked) tone();
  }
  const changes = { childList: true, subtree: true, attributes: true, attributeFilter: ["data-running"] };
  new MutationObserver(look).observe(document, changes);

  document.addEventListener("change", (event) => {
    // ticked by a person: so it will sound
    if (event.isTrusted && event.target.closest?.("#train-sound") && event.target.checked) tone();
  });
})();
