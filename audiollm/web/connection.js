// A phone that is locked, or changes its network, loses its connections, and Gradio's client gives the
// page up with the first request that fails. Here requests wait until the server answers again. What
// changes nothing is sent again; of everything else nobody knows whether it was done, so it is not
// sent twice (repeats.py has the table), and the person is told. The heartbeat is opened again.
(() => {
  const TRIES = 5;  // of one request, while the server answers others
  const SOON = 500, LATEST = 5000;  // ms between two looks whether the server answers
  const ANSWERED = 10000;  // ms in which it does
  const SILENT = 45000;  // ms without the heartbeat, which comes every 15 s: the connection is dead
  const LOOK = 5000;  // ms between two looks at that
  const LOST = [502, 503, 504];  // of a proxy, where they have no JSON; Gradio's have
  const FULL = 503;  // of Gradio: too many events wait
  const EMPTY = [204, 304];
  const real = window.fetch.bind(window), open = new Set();  // what stops each open request
  const { repeats } = window.audiollm;
  let lost = false, waits = null, root = "", lastBeat = 0, restarted = false, full = false;

  const later = (time) => new Promise((done) => {
    const end = () => { clearTimeout(timer); removeEventListener("online", end); done(); };
    const timer = setTimeout(end, time);
    addEventListener("online", end);
  });
  const words = (key) => window.audiollm[key][document.documentElement.lang.startsWith("zh") ? "zh" : "en"];

  function tell(key, role) {
    document.getElementById("connection")?.remove();
    if (!key) return;
    const box = Object.assign(document.createElement("div"), { id: "connection", textContent: words(key) });
    box.className = role === "alert" ? "notice error" : "notice wait";
    box.setAttribute("role", role);
    (document.querySelector(".gradio-container") ?? document.body).append(box);
  }
  const alerted = () => document.querySelector("#connection[role=alert]");
  document.addEventListener("click", () => alerted() && tell(), true);

  // fetch that ends when the connection is found dead
  async function fetched(target, options) {
    const control = new AbortController(), signal = options?.signal ?? target.signal;
    const end = () => control.abort();
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end);
    open.add(end);
    try {
      const response = await real(target, { ...options, signal: control.signal });
      const named = response.headers.get("content-type") ?? "";
      if (LOST.includes(response.status) && !named.includes("json")) throw new TypeError("no server");
      if (response.ok && named.includes("event-stream")) return response;
      if (response.url.includes("/queue/join")) full = response.status === FULL;
      const body = await response.arrayBuffer();  // or it might end on the way to its reader
      open.delete(end);
      return new Response(EMPTY.includes(response.status) ? null : body, response);
    } catch (fault) {
      open.delete(end);
      if (!signal?.aborted) lost = true;
      throw fault;
    }
  }

  // Until the server answers
  const back = () => waits ??= answers().finally(() => { waits = null; });
  async function answers() {
    for (let pause = SOON;; pause = Math.min(2 * pause, LATEST)) {
      try {
        const response = await real(root + "app_id", { cache: "no-store", signal: AbortSignal.timeout(ANSWERED) });
        if (response.ok) {
          restarted ||= (await response.json()).app_id !== window.gradio_config.app_id;
          lost = false;
          return alerted() || tell();
        }
      } catch { /* not yet */ }
      if (!alerted()) tell("offline", "status");
      await later(pause);
    }
  }

  // "again": it may be sent again; "itself": a script of ours does so; "once": it must not
  function way(body) {
    const { fn_index } = JSON.parse(body);
    return ["again", "itself"].find((how) => repeats[how].includes(fn_index)) ?? "once";
  }

  async function sent(target, options, how) {
    for (let tries = 0; tries < TRIES; tries++) {
      if (how === "itself") back();
      else if (lost) await back();
      try {
        return await fetched(target, options);
      } catch (fault) {
        if (options?.signal?.aborted) throw fault;
        if (how !== "again") break;
        await later(tries && SOON);
      }
    }
    if (how !== "itself") tell("broken_off", "alert");
    return Response.json({ error: words("broken_off") }, { status: 500 });
  }

  // Never ends, but where the page ends it
  function heartbeat(request) {
    const body = new ReadableStream({ async start(out) {
      for (; !request.signal.aborted; await later(SOON)) {
        try {
          if (lost) await back();
          const reader = (await fetched(request.clone())).body.getReader();
          for (let part = {}; !part.done; part = await reader.read()) {
            lastBeat = performance.now();
            if (part.value) out.enqueue(part.value);
          }
        } catch { /* opened again */ }
        lost = true;
      }
      out.close();
    } });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  window.fetch = (target, options) => {
    const address = new URL(target.url ?? target, location), [, before, what] = address.href.match(/^(.*\/gradio_api\/)(.*)$/) ?? [];
    if (address.origin !== location.origin || !what) return real(target, options);
    root = before;
    if (what.startsWith("heartbeat/")) return Promise.resolve(heartbeat(target));
    if (target.url) return fetched(target, options);  // a stream
    const acts = /^(run\/[^/]*|queue\/join)$/.test(what.split("?")[0]);
    return sent(target, options, acts ? way(options.body) : "again");
  };

  // A page that was hidden may have slept, and its connections with it
  addEventListener("offline", () => { lost = true; });
  document.addEventListener("visibilitychange", () => { lost ||= !document.hidden; });
  let looked = performance.now();
  setInterval(() => {
    const now = performance.now(), slept = now - looked > 2 * LOOK;
    looked = now;
    if (slept) lastBeat = now - SILENT / 2;  // what has come meanwhile may still be unread
    if (!lastBeat || now - lastBeat < SILENT) return;
    lastBeat = now;
    lost = true;
    for (const end of [...open]) end();
    open.clear();
  }, LOOK);

  Object.assign(window.audiollm, { connection: { back, tell, way, words, restarted: () => restarted, full: () => full } });
})();
