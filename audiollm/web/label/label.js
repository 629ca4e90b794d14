// The Label page: keys, taps, playing, the next clip loaded ahead, and labels that are kept in this
// browser until the program has written them.
(() => {
  const KEPT = "audiollm-labels", TAB = "audiollm-tab";  // in the browser's storage
  const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
  const PATIENCE = 4000;  // ms without an answer, until it is said and tried again
  const KEYS = { " ": "play", l: "loop", ",": "slower", ".": "faster", c: "second", i: "intensity",
    m: "note", z: "undo", x: "skip", ArrowLeft: "back", ArrowRight: "forward",
    u: "unclear", n: "not_speech", v: "several" };
  const UNUSUAL = ["unclear", "not_speech", "several"];

  // One page in one browser: a reload keeps its clips, a copied tab or a new visit gets others.
  const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
  const unique = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const tab = (reloaded && sessionStorage.getItem(TAB)) || unique();
  sessionStorage.setItem(TAB, tab);

  const clips = new Map();  // task -> { url of its sound, picture }, those that are near
  const sound = new Audio();
  let send = null;   // tells the program something; there when its part of the page is
  let draft = {}, shown = "", since = 0, speed = 2, loop = false, naming = false;
  let busy = 0, waiting = null;  // when the running action was sent; the action
  let again = false; // the clip is to be asked for when that action is answered
  let early = null;  // a label that was given while the clip on the screen was asked for again

  const card = () => document.querySelector("#label-card .clip");
  const there = () => card()?.offsetParent != null;
  const kept = () => { try { return JSON.parse(localStorage.getItem(KEPT)) ?? []; } catch { return []; } };
  const keep = (all) => { try { localStorage.setItem(KEPT, JSON.stringify(all)); } catch { /* full: it is sent all the same */ } };

  // a key is lost only while another clip is on its way: nobody has heard that one
  const free = () => send && (!busy || waiting?.act === "begin");

  function ask(what) {
    if (!send) return;
    busy = performance.now();
    waiting = { asked: unique(), ...what };  // asked again it is the same question
    send("submit", { ...waiting, tab });
  }

  function begin() {
    if (busy) again = true;  // the program hears one thing at a time
    else ask({ act: "begin", pending: kept() });
  }

  function say(act, name) {
    const { task, person, work, blind } = card().dataset;
    const { secondary = "", intensity = 0, note = "" } = draft;
    const label = { act, task, person, work, blind: !!blind, name, intensity, note, token: unique(),
      secondary: secondary === name ? "" : secondary, took: (performance.now() - since) / 1000 };
    // a label that was never answered gives way to this one: the person has thought again
    keep([...kept().filter((old) => old.task !== task || old.person !== person), label]);
    if (busy) early = label;  // it goes when that clip is here, whichever clip that is then
    else ask(label);
  }

  function act(what, button) {
    if (!there()) return;
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
    if (what === "skip" && clip.dataset.task && free()) return say("skip", "");
    if (busy || !send) return;  // the next clip is on its way
    if (what === "undo" || what === "back" || what === "forward")
      return ask({ act: what, task: clip.dataset.task });
  }

  function choose(name, second) {
    if (!card().dataset.task) return;
    if ((naming || second) && !UNUSUAL.includes(name)) {
      draft.secondary = draft.secondary === name ? "" : name;
      naming = false;
      paint();
    } else if (free()) say("label", name);
  }

  function paint() {  // what has been chosen and is not sent yet
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

  function arrived() {  // a card has come from the program
    const clip = card();
    if (!clip || clip.dataset.seen) return;
    clip.dataset.seen = "1";
    const { task = "", next = "", written = "", asked } = clip.dataset, done = written.split(" ");
    const all = kept(), mine = all.some((label) => done.includes(label.token) && label.task === task);
    if (written) keep(all.filter((label) => !done.includes(label.token)));
    // the second answer to a question that was asked again says nothing of the one that waits now
    if (!waiting || asked === waiting.asked) { busy = 0; waiting = null; }
    if (task !== shown || mine) {
      draft = JSON.parse(clip.dataset.yours || "{}");
      naming = false;
    }
    if (task !== shown) { sound.pause(); sound.removeAttribute("src"); }
    shown = task;
    since = performance.now();
    const missing = [task, next].filter((id) => id && !clips.has(id));
    if (missing.length && send) send("input", { ids: missing });
    for (const id of clips.keys())
      if (id !== task && id !== next && clips.size > 8) { URL.revokeObjectURL(clips.get(id).url); clips.delete(id); }
    paint();
    fill();
    if (busy) return;
    const said = early;
    early = null;
    if (said) ask(said);
    else if (again) { again = false; begin(); }
  }

  function fill() {  // the sound and the picture into the card, when both are here
    const clip = card(), found = clip && clips.get(clip.dataset.task);
    if (!found) return;
    const place = clip.querySelector("[data-picture]");
    if (!place || place.dataset.of === clip.dataset.task) return;
    place.dataset.of = clip.dataset.task;
    if (found.trouble) { place.textContent = found.trouble; return; }
    place.innerHTML = found.picture + '<div class="cursor"></div>';
    clip.querySelector("[data-player]").append(sound);
    sound.controls = true;
    if (sound.src !== found.url) sound.src = found.url;
    sound.playbackRate = sound.defaultPlaybackRate = SPEEDS[speed];
    sound.loop = loop;
    if (there()) sound.play().catch(() => {});  // a browser that nobody has touched refuses
  }

  function received() {  // sounds and pictures have come
    const place = document.querySelector("#label-clips [data-clips]");
    if (!place || place.dataset.seen) return;
    place.dataset.seen = "1";
    for (const [id, { sound: coded, picture, trouble }] of Object.entries(JSON.parse(place.dataset.clips))) {
      const bytes = coded ? Uint8Array.from(atob(coded), (sign) => sign.charCodeAt(0)) : null;
      clips.set(id, { trouble, picture, url: bytes && URL.createObjectURL(new Blob([bytes], { type: "audio/flac" })) });
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
  for (const event of ["play", "timeupdate", "seeked", "loadedmetadata"]) sound.addEventListener(event, follow);

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
    if (!there() || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = at.matches?.("textarea, select, [contenteditable]") || (at.matches?.("input") && !["radio", "checkbox"].includes(at.type));
    if (typing) return;
    const inside = at === document.body || at.closest?.("#label-card");
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!inside && (key === " " || key.startsWith("Arrow"))) return;  // they mean something there
    const pressed = /^Digit[1-9]$/.test(event.code) ? event.code.slice(5) : key;
    const button = card().querySelector(`[data-act=label][data-key="${CSS.escape(pressed)}"]`);
    const what = KEYS[key];
    if (!button && !what) return;
    event.preventDefault();  // and a button that was tapped last is not pressed once more
    if (button) choose(button.dataset.name, event.shiftKey);
    else act(what);
  }, true);

  // an action without an answer: the program may have been killed, and be there again
  setInterval(() => {
    const late = busy && performance.now() - busy > PATIENCE, place = card()?.querySelector(".saving");
    if (place) {
      place.hidden = !(late && kept().length);
      place.textContent = card().dataset.saving ?? "";
    }
    // a label that could not be written is sent again: there may be room on the disk now
    if (!busy && card()?.dataset.failed && kept().length && performance.now() - since > PATIENCE) begin();
    if (!late || !waiting) return;
    if (waiting.act === "begin") ask({ ...waiting, pending: kept() });
    else if (waiting.token) ask(waiting);  // the same token is written once, however often it comes
    else busy = 0;  // an undo that is only late must not be done twice
  }, 500);

  // Gradio writes a card that is built like the one before into the same elements
  const changes = { childList: true, subtree: true, attributes: true, attributeFilter: ["data-asked", "data-clips"] };
  new MutationObserver(() => { arrived(); received(); }).observe(document, changes);

  window.labelling = {
    begin,
    connect(tell) { send = tell; busy = 0; begin(); },  // Gradio has drawn the page
  };
})();
