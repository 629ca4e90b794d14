// While the microphone records, the last seconds of sound are sent about once a second. What was
// recorded while the recording pauses is not. What happens with it is in live.py.
(() => {
  const RATE = 16000;  // of the model; a browser that cannot change the rate sends its own
  const LEAST = 1;  // s of sound for the first answer
  const LATE = 5000;  // ms without an answer, until newer sound is sent: the connection may be lost
  const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
    process([[samples]]) { if (samples) this.port.postMessage(samples); return true; }
  })`;

  let send = null, timing;  // null until Gradio has drawn the page
  let sent = 0, waiting = false;  // when a request was sent, and whether it has no answer yet

  function connected(stream, rate) {
    const context = new AudioContext(rate ? { sampleRate: rate } : {});
    try {
      return { context, source: context.createMediaStreamSource(stream) };
    } catch (fault) {
      context.close();
      if (!rate) throw fault;
      return connected(stream);
    }
  }

  // Samples in [-1, 1] as base64 of 16-bit integers
  function coded(samples) {
    const bytes = new Uint8Array(Int16Array.from(samples, (x) => Math.max(-1, Math.min(1, x)) * 32767).buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  }

  async function record(stream, controls) {
    if (!send || !controls.closest("#sound")) return;
    const { context, source } = connected(stream, RATE), { seconds, every } = timing;
    const place = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
    await context.audioWorklet.addModule(place);
    URL.revokeObjectURL(place);
    const tap = new AudioWorkletNode(context, "tap", { channelCount: 1, channelCountMode: "explicit" });
    const rate = context.sampleRate, ring = new Float32Array(seconds * rate);
    const pauses = () => controls.querySelector(".resume-button")?.checkVisibility();
    let recorded = 0;  // samples
    tap.port.onmessage = ({ data }) => {
      if (pauses()) return;
      for (const sample of data) ring[recorded++ % ring.length] = sample;
    };
    source.connect(tap).connect(context.destination);  // or it would not run; it puts out silence
    context.resume();
    const look = () => {
      if (!stream.active || !controls.isConnected) {
        clearInterval(watch);
        source.disconnect();
        context.close();
        return;
      }
      const now = performance.now(), answered = !waiting || now - sent > LATE;
      if (!answered || now - sent < 1000 * every || recorded < LEAST * rate || pauses()) return;
      const last = new Float32Array(Math.min(recorded, ring.length));
      for (let i = 0; i < last.length; i++) last[i] = ring[(recorded - last.length + i) % ring.length];
      sent = now;
      waiting = true;
      send({ rate, end: recorded / rate, pcm: coded(last) });
    };
    const watch = setInterval(look, 50);
  }

  Object.assign(window.audiollm, {
    sendsLive: (sender, times) => { send = sender; timing = times; },
    records: (stream, controls) => record(stream, controls)
      .catch((fault) => console.warn("nothing is answered live:", fault)),
    answered: () => {
      const start = sent, detail = document.querySelector(".live-said")?.className;
      waiting = false;
      requestAnimationFrame(() => performance.measure("live", { start, detail }));  // for bench.live
    },
  });
})();
