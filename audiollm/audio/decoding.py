"""Sound file -> blocks of samples, by the decoder that is safe for what the file holds.

Plain WAV and FLAC, the bulk of speech corpora, are read here by libsndfile; everything else by
FFmpeg in a child process (`av_decoder.py`). libsndfile 1.2.2 overflows on crafted IMA-ADPCM
(CVE-2026-37555), so it never sees a file whose first bytes, read here, do not say PCM, float,
A-law or mu-law. File endings play no part.
"""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, cast

import numpy as np
import soundfile

from audiollm.audio.av_decoder import HEADER
from audiollm.audio.effort import Effort
from audiollm.contracts.messages import Message
from audiollm.errors import AudioError

# float32 [n, channels] and samples per second
Blocks = Generator[tuple[np.ndarray, int], None, None]
Order: TypeAlias = Literal["little", "big"]

BLOCK = 65536  # samples read at once, all channels together
PATIENCE = 60.0  # s without anything from a decoder, after which it is ended
CUT_SHARE, CUT_SECONDS = 0.95, 0.1  # a file that holds less than its header declares is cut off

_WAV_BITS = {1: (8, 16, 24, 32), 3: (32, 64), 6: (8,), 7: (8,)}  # PCM, float, A-law, mu-law
_SUBTYPES = {*("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")}
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # an extensible format's, after its tag
_MAX_CHUNKS = 256
# kind of file -> byte order, chunk of the samples, chunk that describes them
_CHUNKS: dict[bytes, tuple[Order, bytes, bytes]] = {
    **dict.fromkeys((b"RIFFWAVE", b"RF64WAVE"), ("little", b"data", b"fmt ")),
    **dict.fromkeys((b"FORMAIFF", b"FORMAIFC"), ("big", b"SSND", b"COMM")),
}
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LIST", b"bext")  # behind the samples, even if cut off
_LARGE_CHUNK = 1024**2  # bytes; samples that happen to be letters declare more
_UNKNOWN_SIZE = 0x7FFFF000  # bytes; a recorder that writes to a pipe puts this or more, or 0
_OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the longest page
_ADTS_FRAME = 8191  # bytes of the longest
_MAX_ANSWER = 64 * 1024**2  # bytes of a block from the child; real ones have some kB
_AV_DECODER = Path(__file__).with_name("av_decoder.py")

# Beginnings of files that are sound, whole or not: (offset, bytes).
_SIGNATURES = (
    *((0, s) for s in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"ID3", b"caff")),
    *((0, s) for s in (b"#!AMR", b".snd", b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"riff")),
    *((4, s) for s in (b"ftyp", b"moov", b"mdat", b"wide")),
)


class NoTrackError(LookupError):
    """The file has fewer sound tracks."""


def blocks(
    file: BinaryIO, name: str, max_seconds: float, track: int = 0, effort: Effort | None = None
) -> Blocks:
    """Samples of an open, seekable sound file, in order; close it to end its decoder early.

    track: number of the sound track, from 0; only films and the like have several.
    effort: of the file, whose tracks share it.

    Raises:
        NoTrackError: there is a first track, but not this one.
        AudioError: not sound, no sound track, damaged, cut off, too much work, or declared to be
            longer than `max_seconds`; `name` is what the message calls the file. A file that
            declares no length is not bounded here: stop reading when enough has come.
    """
    effort = effort or Effort(name, max_seconds)
    if whole := _mended(file):
        return _copy_blocks(whole, name, max_seconds, track, effort)
    declared = _plain_frames(file)
    if declared is not None and track:
        raise NoTrackError
    if declared is not None:
        return _libsndfile_blocks(file, name, declared, max_seconds)
    if _breaks_off(file):
        raise _damaged(name)
    return _ffmpeg_blocks(file, name, max_seconds, track, effort)


def too_long(name: str, seconds: float, max_seconds: float) -> AudioError:
    """`seconds` is the length where it is known, else 0."""
    limit = duration(max_seconds)
    if seconds:
        return AudioError("audio_too_long", name=name, length=duration(seconds), limit=limit)
    return AudioError("audio_over_limit", name=name, limit=limit)


def duration(seconds: float) -> Message:
    """A length as people read it: 0.05 s, 12.3 s, 4 min 10 s, 2 h 0 min."""
    if seconds < 60:
        number = f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}"
        return Message.of("duration_seconds", n=number)
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return Message.of("duration_minutes", n=minutes, seconds=rest)
    return Message.of("duration_hours", n=minutes // 60, minutes=minutes % 60)


# ------------------------------------------------------------------ plain WAV and FLAC


def _plain_frames(file: BinaryIO) -> int | None:
    """Samples of each channel that a plain WAV or FLAC header declares, 0 where it does not know.

    None: not such a file, so not for libsndfile.
    """
    file.seek(0)
    head = file.read(64)
    if head[:4] == b"fLaC" and len(head) >= 26:
        # STREAMINFO comes first; its total is the low 36 bits here. 0, a piped encoder, is
        # left to FFmpeg: libsndfile would find nothing to read.
        return int.from_bytes(head[18:26], "big") % 2**36 or None
    # The format chunk must come first: libsndfile believes the first one that it meets.
    if head[:4] + head[8:16] != b"RIFFWAVEfmt " or len(head) < 36:
        return None
    tag, align, bits = (int.from_bytes(head[i : i + 2], "little") for i in (20, 32, 34))
    if tag == 0xFFFE and head[46:60] == _GUID and int.from_bytes(head[16:20], "little") >= 40:
        tag = int.from_bytes(head[44:46], "little")
    if bits not in _WAV_BITS.get(tag, ()) or not align:
        return None
    return _data_chunk(file, 12, "little", 4)[1] // align or None


def _data_chunk(
    file: BinaryIO,
    position: int,
    order: Order,
    width: int,
    chunk: bytes = b"data",
) -> tuple[int, int]:
    """Offset and declared bytes of a file's samples; 0 bytes where the header leaves them open.

    `position` is where the first chunk begins, `width` the bytes of a chunk's size; `chunk` is
    looked for, that of the samples unless told otherwise.
    """
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(4 + width)
        size = int.from_bytes(head[4:], order)
        if len(head) < 4 + width or (head[:4] != chunk and size >= _UNKNOWN_SIZE):
            break
        position += 4 + width
        if head[:4] == chunk:
            return position, size if size < _UNKNOWN_SIZE else 0
        position += size + size % 2 * (width == 4)
    return position, 0


def _breaks_off(file: BinaryIO) -> bool:
    """Whether an Ogg file ends inside a page, an ADTS file inside a frame, or a CAF or AVI file
    before its samples do.

    FFmpeg takes them for shorter sounds.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    kind = file.read(4)
    if kind == b"OggS":
        file.seek(max(0, size - _OGG_PAGE))
        tail = file.read(_OGG_PAGE)
        page = tail[tail.rfind(kind) :]
        return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
    if kind[:1] == b"\xff" and kind[1] & 0xF6 == 0xF0:
        file.seek(max(0, size - 4 * _ADTS_FRAME))
        return _frame_breaks_off(file.read())
    if kind == b"caff":
        start, declared = _data_chunk(file, 8, "big", 8)
        return start + CUT_SHARE * declared > size
    if kind == b"RIFF":
        declared = int.from_bytes(file.read(4), "little")
        known = file.read(4) == b"AVI " and declared < _UNKNOWN_SIZE
        return known and CUT_SHARE * declared > size
    return False


def _frame_breaks_off(tail: bytes) -> bool:
    """Whether an ADTS stream with this end lacks a part of its last frame."""
    for start in range(min(len(tail), _ADTS_FRAME)):
        at, frames = start, 0
        while len(tail) - at >= 6 and tail[at] == 0xFF and tail[at + 1] & 0xF6 == 0xF0:
            at += (int.from_bytes(tail[at + 3 : at + 6], "big") >> 5 & 0x1FFF) or len(tail)
            frames += 1
        if frames >= 3:
            return at > len(tail) or (at < len(tail) and tail[at:].startswith(b"\xff"))
    return False


def _mended(file: BinaryIO) -> BinaryIO | None:
    """A copy that declares all of its samples, where a WAV, RF64 or AIFF declares fewer, as of a
    recorder that crashed. Further chunks, tags and zeros behind the samples are none."""
    file.seek(0)
    head = file.read(36)
    if (kind := head[:4] + head[8:12]) not in _CHUNKS:
        return None
    order, samples, about = _CHUNKS[kind]
    start, declared = _data_chunk(file, 12, order, 4, samples)
    at = start - 4, 4  # where the size stands, in so many bytes
    if kind == b"RF64WAVE":
        at, declared = (28, 8), int.from_bytes(head[28:36], "little")
    rest = file.seek(0, os.SEEK_END) - start - declared
    file.seek(_data_chunk(file, 12, order, 4, about)[0])
    fields = file.read(18)
    if not declared or len(fields) < 16 or rest <= 0:
        return None
    second = float(int.from_bytes(fields[8:12], "little"))  # bytes
    if order == "big":
        exponent = min(fields[8] % 128 * 256 + fields[9] - 16446, 0)  # more is no rate
        rate = int.from_bytes(fields[10:18], "big") * 2.0**exponent
        second = declared * rate / max(1, int.from_bytes(fields[2:6], "big"))
    if rest <= CUT_SECONDS * second or declared >= CUT_SHARE * (declared + rest):
        return None
    file.seek(start + declared)
    begin = file.read(9)
    if any(_is_chunk(begin[pad:], rest, order) for pad in (0, 1)):
        return None
    while begin and not begin.strip(b"\0"):
        begin = file.read(BLOCK)
    return _with_sizes(file, order, at, declared, declared + rest) if begin else None


def _with_sizes(file: BinaryIO, order: Order, at: tuple[int, int], old: int, new: int) -> BinaryIO:
    """A copy with another size of its samples; AIFF counts them as well."""
    count_at = _data_chunk(file, 12, "big", 4, b"COMM")[0] + 2 if order == "big" else 0
    file.seek(0)
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    shutil.copyfileobj(file, copy)
    if count_at:
        copy.seek(count_at)
        frames = int.from_bytes(copy.read(4), "big") * new // old
        copy.seek(count_at)
        copy.write(min(frames, 2**32 - 1).to_bytes(4, "big"))
    copy.seek(at[0])
    copy.write(min(new, 2 ** (8 * at[1]) - 1).to_bytes(at[1], order))
    return cast(BinaryIO, copy)


def _copy_blocks(
    copy: BinaryIO, name: str, max_seconds: float, track: int, effort: Effort
) -> Blocks:
    with copy:
        yield from blocks(copy, name, max_seconds, track, effort)


def _is_chunk(begin: bytes, rest: int, order: Order) -> bool:
    """Whether a chunk, or a tag of a player, begins so; `rest`: bytes to the end of the file."""
    if begin.startswith(_TAGS):
        return True
    name, size = begin[:4], int.from_bytes(begin[4:8], order)
    return name.isascii() and name.decode().isprintable() and size <= max(rest, _LARGE_CHUNK)


def _libsndfile_blocks(file: BinaryIO, name: str, declared: int, max_seconds: float) -> Blocks:
    try:
        file.seek(0)
        sound = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise _damaged(name) from error
    with sound:
        rate = sound.samplerate
        if sound.subtype not in _SUBTYPES:
            raise _damaged(name)
        if declared > max_seconds * rate:
            raise too_long(name, declared / rate, max_seconds)
        decoded = 0
        count = max(1, BLOCK // sound.channels)
        while len(block := _read(sound, count, name)):
            decoded += len(block)
            yield block, rate
        _check_complete(name, decoded / rate, declared / rate)


def _read(sound: soundfile.SoundFile, count: int, name: str) -> np.ndarray:
    try:
        return sound.read(count, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _damaged(name) from error


# ------------------------------------------------------------------ everything else


def _ffmpeg_blocks(
    file: BinaryIO, name: str, max_seconds: float, track: int, effort: Effort
) -> Blocks:
    limits = [str(max_seconds), str(max(1, math.ceil(effort.left)))]
    command = [sys.executable, "-P", str(_AV_DECODER), *limits, str(track)]
    with subprocess.Popen(  # noqa: S603
        command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        watch = _Watch(child)
        watch.start()
        try:
            yield from _child_blocks(watch, file, name, max_seconds, effort)
        except (ValueError, KeyError, TypeError) as error:  # no answer of a working decoder
            raise _damaged(name) from error
        finally:
            watch.over.set()
            child.kill()


class _Watch(threading.Thread):
    """Ends a decoder that hangs: the time until it gives what is read counts, not the time in which
    nobody reads."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        super().__init__(daemon=True)
        self.child, self.over = child, threading.Event()
        self._since = math.inf  # s of the monotonic clock: a read began

    def run(self) -> None:
        while not self.over.wait(min(1.0, PATIENCE / 4)):
            if time.monotonic() - self._since > PATIENCE:
                self.child.kill()

    def read(self, size: int) -> bytes:
        self._since = time.monotonic()
        try:
            return cast(BinaryIO, self.child.stdout).read(size)
        finally:
            self._since = math.inf

    @property
    def worked_too_long(self) -> bool:
        """After its end: whether it had used up its processor time."""
        return self.child.wait() == -getattr(signal, "SIGXCPU", 0)


def _child_blocks(
    answer: _Watch, file: BinaryIO, name: str, max_seconds: float, effort: Effort
) -> Blocks:
    seconds = 0.0
    while True:
        head = answer.read(HEADER.size)
        if len(head) < HEADER.size:  # the decoder crashed, or was ended
            raise effort.exceeded if answer.worked_too_long else _damaged(name)
        rate, channels, samples = HEADER.unpack(head)
        if not rate:
            end = json.loads(answer.read(min(samples, _MAX_ANSWER)))
            break
        size = min(samples * channels * 4, _MAX_ANSWER)  # a hijacked decoder may claim anything
        data = answer.read(size)
        if len(data) < samples * channels * 4:
            raise effort.exceeded if answer.worked_too_long else _damaged(name)
        seconds += samples / rate
        yield np.frombuffer(data, "<f4").reshape(samples, channels), rate

    effort.spend(max(0.0, end["spent"]))
    problem = end["problem"]
    if problem == "track":
        raise NoTrackError
    if problem == "long":
        raise too_long(name, end["declared"], max_seconds)
    if problem == "video":
        raise AudioError("audio_only_video", name=name)
    if problem == "codec":
        raise AudioError("audio_codec", name=name, codec=end["detail"])
    if problem == "format" and not _begins_like_sound(file):
        raise AudioError("audio_format", name=name)
    if problem or end["bad"] > max(2, end["packets"] // 10):
        raise _damaged(name)
    # A stream may pause (muted microphone), so the time that it reached counts too.
    _check_complete(name, max(seconds, end["reached"]), end["declared"] or 0)


def _begins_like_sound(file: BinaryIO) -> bool:
    file.seek(0)
    head = file.read(16)
    return any(head[at : at + len(mark)] == mark for at, mark in _SIGNATURES)


def _check_complete(name: str, seconds: float, declared: float) -> None:
    if seconds < CUT_SHARE * declared and declared - seconds > CUT_SECONDS:
        stated, length = duration(declared), duration(seconds)
        raise AudioError("audio_cut_off", name=name, declared=stated, length=length)


def _damaged(name: str) -> AudioError:
    return AudioError("audio_damaged", name=name)
