// The event stream of Gradio's client, which gives the page up where that breaks off, and waits for
// ever where it ends too early: the server closes the stream when the last event of the page is done,
// and may have accepted another one that the client has not been told of; a proxy may close it at any
// time. With a stream that breaks off the server drops its events: those that change nothing are
// asked for again, and come to the client as if they were the same.
(() => {
  const TRIES = 3;  // streams that break off before the next event has ended
  const fetched = window.fetch.bind(window), { back, restarted, tell, way, words } = window.audiollm.connection;
  const asked = new Map();  // id of an event, as the client knows it -> what it was asked with
  const known = new Map();  // id of an event that was asked for again -> as the client knows it
  const begun = new Set();  // ids of events, as the client knows them, with a first message: see pass
  const ended = new Set(), joining = new Set();
  let tries = 0;
  let broken = 0;  // streams that have broken off
  let open = false;  // at the server the last of them may still be: see streams.py
  let ending = Promise.resolve();  // what ends it there

  window.fetch = (target, options) => {
    const path = new URL(target.url ?? target, location).pathname;
    if (path.endsWith("/queue/join")) return join(target, options);
    if (path.endsWith("/queue/data")) return Promise.resolve(events(target));
    return fetched(target, options);
  };

  function join(target, options) {
    const answer = joined(target, options);
    joining.add(answer);
    answer.finally(() => joining.delete(answer)).catch(() => {});
    return answer;
  }

  async function joined(target, options) {
    const stream = broken, response = await ask(target, options);
    const id = response.ok && (await response.clone().json()).event_id;
    if (id && !ended.has(id)) asked.set(id, { target, options, stream, now: id });
    return response;
  }

  // The first event that is asked for after a stream has broken off ends that stream at the server,
  // with all events that were asked for before; the others wait for it.
  async function ask(target, options) {
    for (let before; before !== ending;) await (before = ending);
    if (!open) return fetched(target, options);
    open = false;
    const address = new URL(target, location);
    address.searchParams.set("anew", JSON.parse(options.body).session_hash);
    const answer = fetched(address, options);
    ending = answer.then((response) => { open ||= !response.ok; }, () => { open = true; });
    return answer;
  }

  function events(request) {
    const coder = new TextEncoder();
    const body = new ReadableStream({ start: (out) => {
      const send = (message) => out.enqueue(coder.encode(`data: ${JSON.stringify(message)}\n\n`));
      relay(request, send).then(() => out.close(), (fault) => out.error(fault));
    } });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  // Until every event has ended; throws where the client has closed its stream
  async function relay(request, send) {
    do {
      let whole = false;
      try {
        const response = await fetched(request.clone());
        whole = response.ok && await passed(response, send);
      } catch (fault) {
        if (request.signal.aborted) throw fault;
      }
      if (!whole) {
        broken++;
        open = true;
      }
      await Promise.allSettled(joining);
      if (!whole && asked.size) await again(send);
    } while (asked.size);
    send({ msg: "close_stream" });
  }

  // Sends all messages on but the last; whether the server has ended the stream
  async function passed(response, send) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "";;) {
      const { done, value } = await reader.read();
      if (done) return false;
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      for (const text of messages) {
        const message = JSON.parse(text.replace(/^data:/, "") || "{}");
        if (message.msg === "close_stream") return true;
        if (message.msg === "unexpected_error") return false;  // it knows no such page, or stops
        pass(message, send);
      }
    }
  }

  function pass(message, send) {
    const id = known.get(message.event_id) ?? message.event_id, event = asked.get(id);
    if (event && event.now !== message.event_id) return;  // of a run that was given up
    if (message.msg === "process_completed") {
      asked.delete(id);
      begun.delete(id);
      ended.add(id);
      if (message.success) tries = 0;
      else if (restarted()) tell("recording_gone", "alert");  // its recording went with the server before
    }
    if (message.msg === "process_generating") {
      // the first has whole values, the next what has changed: the client knows a first one already
      if (event?.anew) message.output.data = message.output.data?.map((value) => [["replace", [], value]]);
      if (event) event.anew = false;
      begun.add(id);  // it may come before the answer to `join`
    }
    send(message.event_id ? { ...message, event_id: id } : message);
  }

  async function again(send) {
    await back();
    const many = ++tries > TRIES;
    for (const [id, event] of [...asked]) {
      if (event.stream === broken) continue;  // asked for meanwhile
      const response = !many && way(event.options.body) === "again" && await ask(event.target, event.options);
      const { event_id } = response?.ok ? await response.json() : {};
      if (event_id) {
        known.set(event_id, id);
        Object.assign(event, { stream: broken, now: event_id, anew: begun.has(id) });
        continue;
      }
      tell("broken_off", "alert");
      ended.add(id);
      asked.delete(id);
      const output = { error: words("broken_off"), visible: false };
      send({ msg: "process_completed", event_id: id, output, success: false });
    }
    if (many) tries = 0;
  }
})();
