// What the browser does by itself: the level while recording, the cursor in the recording, copying
// and saving an answer.
(() => {
  // Gradio's <base href="./"> leads where the page itself stands, but makes url(#pattern) of a figure
  // an address, which no longer names this page after its tab has changed it: hatches vanish.
  document.querySelector("base")?.remove();

  if (!window.isSecureContext) document.documentElement.classList.add("insecure");

  // Browsers call a WebM or MP4 recording a video, and Gradio's audio input would refuse it
  // before it is decoded: here every file is accepted, and its content decides.
  const kind = Object.getOwnPropertyDescriptor(Blob.prototype, "type").get;
  Object.defineProperty(File.prototype, "type", {
    get() { return "audio/" + (kind.call(this).split("/")[1] || "unknown"); },
  });

  const chosen = (words) => words[document.documentElement.lang.startsWith("zh") ? "zh" : "en"];

  // A file that is too large or of another kind is refused before it is sent: Gradio would do so in
  // English, and put an error in place of the way in.
  function refused(input, files) {
    const kinds = input.accept.split(",").map((kind) => kind.trim()), { most, too_large, wrong_kind } = window.audiollm;
    const large = files.find((file) => file.size > most);
    const other = files.find((file) => !kinds.some((kind) => kind.includes("/") || file.name.toLowerCase().endsWith(kind)));
    const megabytes = (bytes) => bytes < 1e7 ? (bytes / 1e6).toFixed(2) : Math.ceil(bytes / 1e6);
    if (large) return chosen(too_large).replace("{size}", megabytes(large.size)).replace("{most}", megabytes(most));
    return input.accept && other ? chosen(wrong_kind).replace("{name}", other.name).replace("{kinds}", input.accept) : "";
  }
  function arrives(event, files) {
    const block = event.target.closest?.(".block");
    const input = event.target.matches?.("input[type=file]") ? event.target : block?.querySelector("input[type=file]");
    if (!input) return;
    const place = block ?? input.parentElement;  // of a button
    place.parentElement.querySelector(".refused-file")?.remove();
    const message = refused(input, [...(files ?? [])]);
    if (!message) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.target.dispatchEvent(new Event("dragleave"));  // it is no longer held over the place
    input.value = "";  // the same may be chosen again
    const notice = Object.assign(document.createElement("div"), { className: "notice error refused-file" });
    notice.setAttribute("role", "alert");
    notice.textContent = message;
    place.after(notice);
  }
  document.addEventListener("drop", (event) => arrives(event, event.dataTransfer?.files), true);
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("input[type=file]")) arrives(event, event.target.files);
  }, true);

  // Gradio's buttons have the browser's language, or English: here they get the chosen one.
  const NAMES = [["Click to upload or drop files", "点击上传或拖放文件"], ["Clear", "清除"]];

  // Gradio names every radio button differently, and arrow keys move only among those of one name.
  // Screen readers go by the page's language, and that is the chosen one, not the browser's.
  function tidy() {
    for (const radio of document.querySelectorAll("fieldset[id] input[type=radio]"))
      if (radio.name !== radio.closest("fieldset").id) radio.name = radio.closest("fieldset").id;
    // The answer is read aloud when it comes, by its table; the same in figures would be noise.
    document.getElementById("headline")?.setAttribute("aria-live", "polite");
    for (const id of ["figure", "course", "pair", "live-figure", "live-course"]) document.getElementById(id)?.setAttribute("aria-hidden", "true");
    const language = document.querySelector("#language input:checked")?.value;
    if (language) document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    for (const button of document.querySelectorAll("button[aria-label]")) {
      const [en, zh] = NAMES.find((pair) => pair.includes(button.ariaLabel)) ?? [];
      const label = chosen({ en, zh });
      if (label && label !== button.ariaLabel) button.ariaLabel = label;
    }
  }
  const changes = { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] };
  new MutationObserver(tidy).observe(document, changes);

  // Every tab has its own address, /?tab=train, which a reload and the back button lead to.
  const tabOf = (name) => document.querySelector(`[role=tab]#${name}-tab-button`);
  const nameOf = (tab) => tab.id.replace("-tab-button", "");
  function openTab() {
    const wanted = new URLSearchParams(location.search).get("tab") ?? "analyse";
    const tab = /^\w+$/.test(wanted) && tabOf(wanted);
    if (tab && tab.getAttribute("aria-selected") !== "true") tab.click();
  }
  addEventListener("popstate", openTab);
  document.addEventListener("click", (event) => {
    const tab = event.target.closest?.("[role=tab][id$=-tab-button]");
    if (!tab || !event.isTrusted) return;  // those of a program follow the address
    const address = new URL(location.href), before = address.href;
    if (nameOf(tab) === "analyse") address.searchParams.delete("tab");
    else address.searchParams.set("tab", nameOf(tab));
    address.searchParams.delete("example");  // a reload would choose it again
    if (address.href !== before) history.pushState(null, "", address);
  });

  // A figure that is drawn while its tab is hidden does not know how wide it is.
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[role=tab]")) return;
    for (const wait of [100, 1000]) setTimeout(() => window.dispatchEvent(new Event("resize")), wait);  // ms
  });

  // The level of the microphone, below the record controls for as long as its stream is open.
  // The sound is not played: the nodes are not connected to an output.
  const FAINTEST = -60;  // dBFS at the left end of the bar
  const CUT_OFF = 0.98, OVERDRIVEN = 0.001;  // of full scale; share of the samples, as in the answer
  const HELD = 1000;  // ms: a warning stays for the eye

  let controls;  // of the recorder whose button was pressed last
  document.addEventListener("click", (event) => {
    controls = event.target.closest?.(".record-button")?.closest(".controls") ?? controls;
  }, true);

  function showLevel(stream) {
    if (!controls?.isConnected || !stream.getAudioTracks().length) return;
    const context = new AudioContext();
    try {
      const source = context.createMediaStreamSource(stream), analyser = context.createAnalyser();
      analyser.fftSize = 4096;  // 85 ms at 48 kHz: no sample falls between two looks
      source.connect(analyser);
      context.resume();  // some browsers start it asleep
      const samples = new Float32Array(analyser.fftSize), recorder = controls;
      const place = document.createElement("div");
      place.className = "recording-level";
      place.innerHTML = '<div role="meter" aria-valuemin="0" aria-valuemax="100"><i></i></div><time></time><strong role="status"></strong>';
      const [bar, clock, warning] = place.children;
      document.querySelectorAll(".recording-level").forEach((old) => old.remove());
      recorder.after(place);
      let shown = 0, loud = -Infinity;
      const look = () => {
        if (!stream.active || !place.isConnected) {  // stopped, unplugged, or its controls are gone
          clearInterval(watch);
          place.remove();
          source.disconnect();
          context.close();
          return;
        }
        analyser.getFloatTimeDomainData(samples);
        const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const level = 100 * (1 - 20 * Math.log10(Math.max(peak, 1e-6)) / FAINTEST);
        shown = Math.min(Math.max(level, shown - 4, 0), 100);  // up at once, down slowly
        const cut = samples.filter((x) => Math.abs(x) >= CUT_OFF).length;
        if (cut > OVERDRIVEN * samples.length) loud = performance.now();
        bar.setAttribute("aria-label", chosen(window.audiollm.level));  // the language may change
        bar.setAttribute("aria-valuenow", Math.round(shown));
        bar.firstChild.style.width = shown + "%";
        const clips = performance.now() - loud < HELD, words = clips ? chosen(window.audiollm.clipping) : "";
        place.classList.toggle("loud", clips);
        if (warning.textContent !== words) warning.textContent = words;
        clock.textContent = recorder.querySelector("time")?.textContent ?? "0:00";  // Gradio's
      };
      const watch = setInterval(look, 50);
      look();
    } catch (fault) {
      context.close();
      throw fault;
    }
  }

  // Another recording in place of the one that is there: its cross, the microphone, its button.
  const there = (what) => new Promise((done) => {
    const end = performance.now() + 3000;  // ms
    const look = () => {
      const found = document.querySelector(what);
      if (found || performance.now() > end) done(found); else requestAnimationFrame(look);
    };
    look();
  });
  document.addEventListener("click", async (event) => {
    if (!event.target.closest?.("#again")) return;
    document.querySelector("#sound .top-panel button, #sound .icon-button-wrapper button")?.click();
    (await there("#sound .record-button"))?.click();
  });

  // Processing for calls would change the cues that are measured here.
  const UNCHANGED = { autoGainControl: false, echoCancellation: false, noiseSuppression: false };
  const devices = navigator.mediaDevices;  // not there on an address that is not secure
  if (devices?.getUserMedia) {
    const open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wanted, ...more) => {
      const sound = wanted?.audio && { ...(wanted.audio === true ? {} : wanted.audio), ...UNCHANGED };
      const stream = await open(sound ? { ...wanted, audio: sound } : wanted, ...more);
      try { showLevel(stream); } catch (fault) { console.warn("no level is shown:", fault); }
      if (controls?.isConnected) window.audiollm.records(stream, controls);
      return stream;  // a recording never fails for want of its level
    };
  }

  const player = () => document.querySelector("#sound audio");
  const drawn = () => document.querySelector("#course .js-plotly-plot");

  // The likeliest class at a time, of `meta` in course.py; nothing without speech or a result
  function likeliest(meta, time) {
    const next = meta?.edges?.findIndex((edge) => edge > time) ?? -1;
    return next > 0 ? meta.labels[next - 1] : "";
  }

  let frame = 0;  // of the one loop that moves the cursor
  function follow() {
    const graph = drawn(), sound = player();
    if (!graph?._fullLayout?.xaxis || !sound) return;
    let line = graph.querySelector(".cursor");
    if (!line) graph.append(line = Object.assign(document.createElement("div"), { className: "cursor" }));
    const axis = graph._fullLayout.xaxis, { t, h } = graph._fullLayout._size;
    Object.assign(line.style, { top: t + "px", height: h + "px" });
    line.style.left = axis._offset + axis.l2p(Math.min(sound.currentTime, axis.range[1])) + "px";
    line.style.visibility = sound.currentTime ? "visible" : "hidden";
    line.dataset.likeliest = likeliest(graph.layout.meta, sound.currentTime);
    line.classList.toggle("late", line.offsetLeft > graph.clientWidth / 2);  // it is written left
    cancelAnimationFrame(frame);
    if (!sound.paused) frame = requestAnimationFrame(follow);
  }
  for (const event of ["play", "timeupdate", "seeked", "loadedmetadata"])
    document.addEventListener(event, follow, true);  // media events do not bubble

  function seek(event) {
    const graph = event.target.closest?.("#course .js-plotly-plot"), sound = player();
    if (!graph?._fullLayout?.xaxis || !sound) return;
    const axis = graph._fullLayout.xaxis;
    const time = axis.p2l(event.clientX - graph.getBoundingClientRect().left - axis._offset);
    if (time < 0 || time > axis.range[1]) return;
    sound.currentTime = time;
    sound.play();
  }

  function save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  Object.assign(window.audiollm, { save, openTab });  // for what Gradio's own events say

  // The figures one below the other, under the answer, on the page's own background. The layers of a
  // figure lie over one another; its fillings are named by the page's address, which an image lacks.
  async function picture(title, graphs) {
    const boxes = graphs.map((graph) => graph.getBoundingClientRect()), scale = 2, HEAD = 40;  // px
    const width = Math.max(...boxes.map((box) => box.width));
    const height = boxes.reduce((sum, box) => sum + box.height, HEAD);
    const canvas = Object.assign(document.createElement("canvas"), { width: width * scale, height: height * scale });
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.body);
    pen.fillStyle = style.backgroundColor;
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = style.color;
    pen.font = `600 17px ${style.fontFamily}`;
    pen.fillText(title, 8, 27, width - 16);
    let top = HEAD;
    for (const [number, graph] of graphs.entries()) {
      for (const layer of graph.querySelectorAll(".main-svg")) {
        const copy = layer.cloneNode(true);
        for (const text of copy.querySelectorAll("text")) text.style.fill = style.color;
        const drawn = new XMLSerializer().serializeToString(copy);
        const image = new Image();
        image.src = "data:image/svg+xml," + encodeURIComponent(drawn.replace(/url\((&quot;|'|)[^)#]*#/g, "url($1#"));
        await image.decode();
        pen.drawImage(image, 0, top);
      }
      top += boxes[number].height;
    }
    return new Promise((done) => canvas.toBlob(done));
  }

  function pictured() {
    const headline = document.querySelector("#headline .headline");
    const title = [...headline.children].filter((part) => !part.matches(".aloud")).map((part) => part.innerText);
    const graphs = [...document.querySelectorAll(":is(#figure, #course) .js-plotly-plot")];
    return picture(title.join("  "), graphs.filter((graph) => graph.checkVisibility()));
  }

  async function take(button) {
    const { json, csv, text, name } = button.closest("[data-json]").dataset;
    const what = button.dataset.take;
    if (what === "json") save(name + ".json", new Blob([json], { type: "application/json" }));
    if (what === "csv") save(name + ".csv", new Blob(["\ufeff" + csv], { type: "text/csv" }));
    if (what === "png") save(name + ".png", await pictured());
    if (what === "copy") {
      try {
        await navigator.clipboard.writeText(text);
      } catch {  // without HTTPS there is no clipboard but this
        const field = Object.assign(document.createElement("textarea"), { value: text });
        document.body.append(field);
        field.select();
        const copied = document.execCommand("copy");
        field.remove();
        if (!copied) return;
      }
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 2000);
    }
  }

  document.addEventListener("click", (event) => {
    seek(event);
    const button = event.target.closest?.("button[data-take]");
    if (button) take(button);
  });
})();
