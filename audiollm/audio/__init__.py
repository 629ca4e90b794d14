"""Sound in any form -> one checked mono clip at 16 kHz, its cues and its windows. No torch here."""

from audiollm.audio.folders import files_below, sound_files
from audiollm.audio.loading import SUFFIXES, from_array, load
from audiollm.audio.mixing import CLIPPED_FROM, MAX_CHANNELS, MIN_RATE
from audiollm.audio.sound import (
    QUIET,
    SAMPLE_RATE,
    Sound,
    content_hash,
    require_level,
    require_speech,
    to_int16,
)

__all__ = [
    "CLIPPED_FROM",
    "MAX_CHANNELS",
    "MIN_RATE",
    "QUIET",
    "SAMPLE_RATE",
    "SUFFIXES",
    "Sound",
    "content_hash",
    "files_below",
    "from_array",
    "load",
    "require_level",
    "require_speech",
    "sound_files",
    "to_int16",
]
