"""What the browser shows by itself in place of an answer: `js` of the Analyse page's events."""

import json
from typing import Any

from audiollm.labels import LANGUAGES
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import actions


def _filled(script: str, words: dict[str, Any]) -> str:
    return script.replace("WORDS", json.dumps(words))


# A clip has come or gone, and what is shown is of another one. The server's word might come after
# the answer, and stay.
COVER = _filled(
    """(sound, language) => {
  const notice = { __type__: "update", value: WORDS[language][sound ? 1 : 0], visible: true };
  const hidden = { __type__: "update", visible: "hidden" };
  return [notice, hidden, hidden, hidden, "", ""];
}""",
    {key: [actions.begin(clip, key).notice for clip in (None, "a")] for key in LANGUAGES},
)
# What was answered to a clip that has gone may have been on its way
COVER_AGAIN = f"(sound, language) => sound ? [] : ({COVER})(sound, language)"
# The server is told which clip was there before, so that it knows an event that comes late
INSTEAD = """(sound, language) => {
  const before = window.audiollm.clip ?? null;
  window.audiollm.clip = sound?.path ?? null;
  return [sound, language, before];
}"""
# There will be no answer, and the server cannot say so
FAILED = _filled(
    """(language) => {
  const { restarted, tell } = window.audiollm.connection;
  const why = restarted() ? "recording_gone" : "broken_off";
  tell();  // it is said here
  return { __type__: "update", value: WORDS[why][language], visible: true };
}""",
    {
        why: {key: render.notice(text(why, key), "error") for key in LANGUAGES}
        for why in ("broken_off", "recording_gone")
    },
)
