// What the browser does by itself: the cursor in the recording, copying and saving an answer.
(() => {
  if (!window.isSecureContext) document.documentElement.classList.add("insecure");

  // Browsers call a WebM or MP4 recording a video, and Gradio's audio input would refuse it
  // before anyone has listened: here every file may come, and its content decides.
  const kind = Object.getOwnPropertyDescriptor(Blob.prototype, "type").get;
  Object.defineProperty(File.prototype, "type", {
    get() { return "audio/" + (kind.call(this).split("/")[1] || "unknown"); },
  });

  const player = () => document.querySelector("#sound audio");
  const drawn = () => document.querySelector("#course .js-plotly-plot");

  let frame = 0;  // of the one loop that moves the cursor
  function follow() {
    const graph = drawn(), sound = player();
    if (!graph?._fullLayout?.xaxis || !sound) return;
    let line = graph.querySelector(".cursor");
    if (!line) graph.append(line = Object.assign(document.createElement("div"), { className: "cursor" }));
    const axis = graph._fullLayout.xaxis;
    line.style.left = axis._offset + axis.l2p(Math.min(sound.currentTime, axis.range[1])) + "px";
    line.style.visibility = sound.currentTime ? "visible" : "hidden";
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

  // The layers of a figure, one over the other, on the page's own background
  async function picture(graph) {
    const { width, height } = graph.getBoundingClientRect(), scale = 2;
    const canvas = Object.assign(document.createElement("canvas"), { width: width * scale, height: height * scale });
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.body);
    pen.fillStyle = style.backgroundColor;
    pen.fillRect(0, 0, width, height);
    for (const layer of graph.querySelectorAll(".main-svg")) {
      const copy = layer.cloneNode(true);
      for (const text of copy.querySelectorAll("text")) text.style.fill = style.color;
      const image = new Image();
      image.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
      await image.decode();
      pen.drawImage(image, 0, 0);
    }
    return new Promise((done) => canvas.toBlob(done));
  }

  async function take(button) {
    const { json, csv, text, name } = button.closest("[data-json]").dataset;
    const what = button.dataset.take;
    if (what === "json") save(name + ".json", new Blob([json], { type: "application/json" }));
    if (what === "csv") save(name + ".csv", new Blob(["\ufeff" + csv], { type: "text/csv" }));
    if (what === "png") save(name + ".png", await picture(document.querySelector("#figure .js-plotly-plot")));
    if (what === "copy") {
      await navigator.clipboard.writeText(text);
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
