// The event stream of Gradio's client, which waits for ever where that ends too early: the
// server closes the stream when the last event of the page is done, and may have accepted another one
// that the client has not been told of; a proxy may close it at any time.
(() => {
  const TRIES = 3;  // an analysis is asked for again so often, until there is an answer
  const fetched = window.fetch.bind(window);
  const asked = new Map(), ended = new Set();  // id of an event -> its function; ids
  let joining = 0, tries = 0;

  window.fetch = (target, options) => {
    const path = new URL(target.url ?? target, location).pathname;
    if (path.endsWith("/queue/join")) return join(target, options);
    if (path.endsWith("/queue/data")) return events(target, options);
    return fetched(target, options);
  };

  async function join(target, options) {
    joining++;
    try {
      const response = await fetched(target, options);
      const id = response.ok && (await response.clone().json()).event_id;
      if (id && !ended.has(id)) asked.set(id, JSON.parse(options.body).fn_index);
      return response;
    } finally { joining--; }
  }

  async function events(target, options) {
    const signal = target.signal ?? options?.signal, response = await fetched(target.clone?.() ?? target, options);
    if (!response.ok) return response;
    const body = new ReadableStream({ start: (out) => { relay(response, out).catch((fault) => out.error(fault)); } });
    return new Response(body, { headers: response.headers });

    async function relay(source, out) {
      const coder = new TextEncoder(), send = (text) => out.enqueue(coder.encode(text + "\n\n"));
      try {
        while (source?.ok) source = (await passed(source, send)) ? await fetched(target.clone?.() ?? target, options) : null;
      } catch (fault) {
        if (signal?.aborted) throw fault;
      }
      if (asked.size) broken(send);
      send('data: {"msg": "close_stream"}');
      out.close();
    }
  }

  // Sends all messages on but the last; whether another stream is to follow
  async function passed(source, send) {
    const reader = source.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "";;) {
      const { done, value } = await reader.read();
      if (done) return false;
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      for (const text of messages) {
        const { msg, event_id, success } = JSON.parse(text.replace(/^data:/, "") || "{}");
        if (msg === "close_stream") return asked.size + joining > 0;
        if (msg === "process_completed") {
          asked.delete(event_id);
          ended.add(event_id);
          if (success) tries = 0;
        }
        send(text);
      }
    }
  }

  function analyses(id) {
    const { components, dependencies } = window.gradio_config;
    const headline = components.find((part) => part.props.elem_id === "headline").id;
    return dependencies.find((event) => event.id === id)?.outputs.includes(headline);
  }

  // Whatever was asked for has no answer; an analysis is asked for again
  function broken(send) {
    const again = tries < TRIES && [...asked.values()].some(analyses);
    const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
    const output = { error: window.audiollm.broken_off[language], visible: !again };
    for (const event_id of asked.keys()) {
      ended.add(event_id);
      send("data: " + JSON.stringify({ msg: "process_completed", event_id, output, success: false }));
    }
    asked.clear();
    if (again) setTimeout(() => document.getElementById("analyse")?.click(), 500 * 2 ** tries++);
  }
})();
