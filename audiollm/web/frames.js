// Gradio's loading indicator asks for the next animation frame for ever after it has gone, 60 times a
// second, which keeps a processor and a battery busy. It and its kind (statustracker) hold the
// function that they found when they were loaded: after the start that one is slow, and all others
// have the browser's own again.
(() => {
  "use strict";
  const PAUSE = 250;  // ms between two frames
  const real = window.requestAnimationFrame;
  let started = false;
  window.requestAnimationFrame = function (callback) {
    // d3 holds one, too, but bound to the window
    if (this || !started) return real.call(window, callback);
    return setTimeout(() => real.call(window, callback), PAUSE);
  };
  const watch = new MutationObserver(() => {
    if (!document.querySelector("[role=tab]")) return;  // the page is not there yet
    watch.disconnect();
    started = true;
    window.requestAnimationFrame = real;
  });
  watch.observe(document, { childList: true, subtree: true });
})();
