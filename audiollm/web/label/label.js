// The Label page: keys, buttons, the player, the next clip loaded ahead, and labels that stay in this
// browser until they are on the disk of the program.
(() => {
  const PENDING = "audiollm-labels", TAB = "audiollm-tab";  // in the browser's storage
  const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
  const TIMEOUT = 4000;  // ms without an answer, until the request is sent again
  const KEYS = { " ": "play", l: "loop", ",": "slower", ".": "faster", c: "second", i: "intensity",
    m: "note", z: "undo", x: "skip", ArrowLeft: "back", ArrowRight: "forward",
    u: "unclear", n: "not_speech", v: "several" };
  const UNUSUAL = ["unclear", "not_speech", "several"];

  // Id of one page in one browser: a reload keeps its clips, a copied tab or a new visit gets others.
  const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
  const unique = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const tab = (reloaded && sessionStorage.getItem(TAB)) || unique();
  sessionStorage.setItem(TAB, tab);

  const clips = new Map();  // task -> { its sound, loaded ahead, picture } of the last clips
  let sound = new Audio();  // of the clip on the screen
  let send = null;   // sends a request; null until Gradio has drawn the page
  let draft = {}, shown = "", since = 0, speed = 2, loop = false, naming = false;
  let busy = 0, waiting = null;  // time and content of the request without an answer
  let again = false; // request the clip when that request is answered
  let early = null;  // a label that waits for the answer to that request

  const card = () => document.querySelector("#label-card .clip");
  const visible = () => card()?.offsetParent != null;
  const pending = () => { try { return JSON.parse(localStorage.getItem(PENDING)) ?? []; } catch { return []; } };
  const store = (all) => { try { localStorage.setItem(PENDING, JSON.stringify(all)); } catch { /* storage is full: it is sent all the same */ } };

  // keys are ignored while another clip is loading
  const free = () => send && (!busy || waiting?.act === "begin");

  function request(what) {
    if (!send) return;
    busy = performance.now();
    waiting = { asked: unique(), ...what };  // sent again, it has the same id
    send("submit", { ...waiting, tab });
  }

  function begin() {
    if (busy) again = true;  // one request at a time
    else request({ act: "begin", pending: pending() });
  }

  function label(act, name) {
    const { task, person, work, blind } = card().dataset;
    const { secondary = "", intensity = 0, note = "" } = draft;
    const made = { act, task, person, work, blind: !!blind, name, intensity, note, token: unique(),
      secondary: secondary === name ? "" : secondary, took: (performance.now() - since) / 1000 };
    // it replaces a label of the same clip without an answer
    store([...pending().filter((old) => old.task !== task || old.person !== person), made]);
    if (busy) early = made;
    else request(made);
  }

  function act(what, button) {
    if (!visible()) return;
    const clip = card();
    if (what === "play") return sound.paused ? sound.play().catch(() => {}) : sound.pause();
    if (what === "loop") { loop = sound.loop = !loop; return paint(); }
    if (what === "slower" || what === "faster") {
      speed = Math.max(0, Math.min(SPEEDS.length - 1, speed + (what === "faster" ? 1 : -1)));
      sound.playbackRate = SPEEDS[speed];
      return paint();
    }
    if (what === "second") { naming = !naming; return paint(); }
    if (what === "intensity") {
      const value = Number(button?.dataset.value ?? ((draft.intensity ?? 0) + 1) % 4);
      draft.intensity = button && draft.intensity === value ? 0 : value;
      return paint();
    }
    if (what === "note") return clip.querySelector("[data-note]")?.focus();
    if (what === "skip" && clip.dataset.task && free()) return label("skip", "");
    if (busy || !send) return;
    if (what === "undo" || what === "back" || what === "forward")
      return request({ act: what, task: clip.dataset.task });
  }

  function choose(name, second) {
    if (!card().dataset.task) return;
    if ((naming || second) && !UNUSUAL.includes(name)) {
      draft.secondary = draft.secondary === name ? "" : name;
      naming = false;
      paint();
    } else if (free()) label("label", name);
  }

  function paint() {  // shows the draft
    const clip = card();
    if (!clip) return;
    for (const one of clip.querySelectorAll("[data-act=intensity]"))
      one.setAttribute("aria-pressed", Number(one.dataset.value) === (draft.intensity ?? 0));
    for (const one of clip.querySelectorAll("[data-act=label]"))
      one.classList.toggle("secondary", one.dataset.name === draft.secondary);
    clip.querySelector("[data-act=second]")?.setAttribute("aria-pressed", naming);
    clip.querySelector("[data-act=loop]")?.setAttribute("aria-pressed", loop);
    clip.classList.toggle("naming", naming);
    const rate = clip.querySelector("[data-speed]"), note = clip.querySelector("[data-note]");
    if (rate) rate.textContent = SPEEDS[speed] + "×";
    if (note && document.activeElement !== note) note.value = draft.note ?? "";
  }

  function arrived() {  // a new card
    const clip = card();
    if (!clip || clip.dataset.seen) return;
    clip.dataset.seen = "1";
    const { task = "", next = "", written = "", asked } = clip.dataset, done = written.split(" ");
    const all = pending(), mine = all.some((one) => done.includes(one.token) && one.task === task);
    if (written) store(all.filter((one) => !done.includes(one.token)));
    // a second answer to an earlier request does not end the current one
    if (!waiting || asked === waiting.asked) { busy = 0; waiting = null; }
    if (task !== shown || mine) {
      draft = JSON.parse(clip.dataset.yours || "{}");
      naming = false;
    }
    if (task !== shown) { sound.pause(); sound = new Audio(); }
    shown = task;
    since = performance.now();
    const missing = [task, next].filter((id) => id && !clips.has(id));
    if (missing.length && send) send("input", { ids: missing });
    for (const id of clips.keys())
      if (id !== task && id !== next && clips.size > 8) { URL.revokeObjectURL(clips.get(id).sound?.src); clips.delete(id); }
    paint();
    fill();
    if (busy) return;
    const made = early;
    early = null;
    if (made) request(made);
    else if (again) { again = false; begin(); }
  }

  function fill() {  // puts sound and picture into the card, when both are loaded
    const clip = card(), found = clip && clips.get(clip.dataset.task);
    if (!found) return;
    const place = clip.querySelector("[data-picture]");
    if (!place || place.dataset.of === clip.dataset.task) return;
    place.dataset.of = clip.dataset.task;
    if (found.error) { place.textContent = found.error; return; }
    place.innerHTML = found.picture + '<div class="cursor"></div>';
    if (sound !== found.sound) { sound = found.sound; sound.currentTime = 0; }
    clip.querySelector("[data-player]").append(sound);
    sound.playbackRate = sound.defaultPlaybackRate = SPEEDS[speed];
    sound.loop = loop;
    if (visible()) sound.play().catch(() => {});  // blocked before the first click or key
  }

  function received() {  // new sounds and pictures
    const place = document.querySelector("#label-clips [data-clips]");
    if (!place || place.dataset.seen) return;
    place.dataset.seen = "1";
    for (const [id, { sound: coded, picture, error }] of Object.entries(JSON.parse(place.dataset.clips))) {
      const bytes = coded ? Uint8Array.from(atob(coded), (sign) => sign.charCodeAt(0)) : null;
      clips.set(id, { error, picture, sound: bytes && player(new Blob([bytes], { type: "audio/flac" })) });
    }
    fill();
  }

  let frame = 0;
  function follow() {
    const line = card()?.querySelector(".cursor");
    if (line && sound.duration) line.style.left = (100 * sound.currentTime) / sound.duration + "%";
    cancelAnimationFrame(frame);
    if (!sound.paused) frame = requestAnimationFrame(follow);
  }

  function player(blob) {
    const made = Object.assign(new Audio(URL.createObjectURL(blob)), { controls: true, preload: "auto" });
    for (const event of ["play", "timeupdate", "seeked", "loadedmetadata"]) made.addEventListener(event, follow);
    return made;
  }

  document.addEventListener("click", (event) => {
    const clip = event.target.closest?.("#label-card .clip");
    if (!clip) return;
    const button = event.target.closest("button[data-act]"), picture = event.target.closest("[data-picture]");
    if (picture && sound.duration) {
      const box = picture.getBoundingClientRect();
      sound.currentTime = (sound.duration * (event.clientX - box.left)) / box.width;
      sound.play().catch(() => {});
    } else if (button?.dataset.act === "label") choose(button.dataset.name, event.shiftKey);
    else if (button) act(button.dataset.act, button);
  });

  document.addEventListener("input", (event) => {
    if (event.target.matches?.("#label-card [data-note]")) draft.note = event.target.value;
  });

  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (at.matches?.("#label-card [data-note]") && (event.key === "Escape" || event.key === "Enter")) {
      event.preventDefault();
      return at.blur();
    }
    if (!visible() || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = at.matches?.("textarea, select, [contenteditable]") || (at.matches?.("input") && !["radio", "checkbox"].includes(at.type));
    if (typing) return;
    const inside = at === document.body || at.closest?.("#label-card");
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!inside && (key === " " || key.startsWith("Arrow"))) return;  // these keys belong to that part
    const pressed = /^Digit[1-9]$/.test(event.code) ? event.code.slice(5) : key;
    const button = card().querySelector(`[data-act=label][data-key="${CSS.escape(pressed)}"]`);
    const what = KEYS[key];
    if (!button && !what) return;
    event.preventDefault();  // also: do not click the focused button
    if (button) choose(button.dataset.name, event.shiftKey);
    else act(what);
  }, true);

  // a request without an answer: the program may have been restarted
  setInterval(() => {
    const late = busy && performance.now() - busy > TIMEOUT, place = card()?.querySelector(".saving");
    if (place) {
      place.hidden = !(late && pending().length);
      place.textContent = card().dataset.saving ?? "";
    }
    // a label that could not be written is sent again: the disk may have space now
    if (!busy && card()?.dataset.failed && pending().length && performance.now() - since > TIMEOUT) begin();
    if (!late || !waiting) return;
    if (waiting.act === "begin") request({ ...waiting, pending: pending() });
    else if (waiting.token) request(waiting);  // the same token is written once
    else busy = 0;  // an undo must not be done twice
  }, 500);

  // Gradio updates a similar card in place
  const changes = { childList: true, subtree: true, attributes: true, attributeFilter: ["data-asked", "data-clips"] };
  new MutationObserver(() => { arrived(); received(); }).observe(document, changes);

  window.labelling = {
    begin,
    connect(sender) { send = sender; busy = 0; begin(); },  // Gradio has drawn the page
  };
})();
