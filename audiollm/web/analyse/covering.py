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
# Changes of the clip are counted, so that the server knows one that comes late: its connection was
# lost, and the answer to a later clip, which may be the same one, has begun
CHANGED = """(sound, language) => {
  window.audiollm.clips = (window.audiollm.clips ?? 0) + 1;
  return [sound, language, window.audiollm.clips];
}"""
NUMBERED = """(sound, language, fixed) => [sound, language, fixed, window.audiollm.clips ?? 0]"""
# There will be no answer, and the server cannot say so
FAILED = _filled(
    """(language) => {
  const { full, restarted, tell } = window.audiollm.connection;
  const why = full() ? "queue_full" : restarted() ? "recording_gone" : "broken_off";
  tell();  // it is said here
  return { __type__: "update", value: WORDS[why][language], visible: true };
}""",
    {
        why: {key: render.notice(text(why, key), "error") for key in LANGUAGES}
        for why in ("broken_off", "queue_full", "recording_gone")
    },
)
