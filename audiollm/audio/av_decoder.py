"""The child process that decodes compressed sound with FFmpeg (PyAV).

A crafted file may crash, hang or bloat a decoder, and PyAV 17.1 to 18.1 aborts on sound files
that are perfectly fine (seen here: eight planar channels, custom channel layouts). So files of
visitors are decoded in a process of their own, without network, with a memory limit, by
demuxers and decoders from a short list; `audiollm.audio.decoding` starts it and reads its answer.

    python av_decoder.py MAX_SECONDS PROCESSOR_SECONDS TRACK < sound file > answer

The answer is a row of blocks: a header of three little-endian uint32 (rate, channels, samples)
and samples x channels float32, interleaved. The last header is (0, 0, n) and n bytes of JSON
follow: `problem` (null, format, video, track, codec, long or damaged), `detail`, `declared` and
`reached` (seconds, from the header and from the decoder), `packets`, `bad` (not decodable),
`spent` (seconds of processor time).
"""

import contextlib
import io
import json
import os
import struct
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:  # imported late, so that the parent can read HEADER without loading FFmpeg
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

HEADER = struct.Struct("<III")
BLOCK = 256 * 1024  # bytes, about
MEMORY = 2 * 1024**3  # bytes of address space; a decode of an hour uses a tenth of it

# What phones, browsers, recorders and speech corpora write. FFmpeg knows hundreds more, among
# them playlists that open other files and network addresses.
FORMATS = "aac,aiff,amr,amrnb,amrwb,asf,au,avi,caf,flac,matroska,mov,mp3,ogg,w64,wav"
CODECS = (
    "aac,alac,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,flac,mp1float,mp2,mp2float,mp3,"
    "mp3float,opus,libopus,vorbis,speex,libspeex,wmav1,wmav2,ac3,eac3,gsm,gsm_ms,"
    "adpcm_ima_wav,adpcm_ima_qt,adpcm_ms,adpcm_g722,adpcm_g726,adpcm_g726le,"
    "pcm_alaw,pcm_mulaw,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_u16le,pcm_u16be,pcm_s24le,"
    "pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be"
)
# No duration in the header: FFmpeg guesses one; of Ogg it takes the time of the last page, whose
# clock may not start at 0
ESTIMATED = {"aac", "amr", "amrnb", "amrwb", "ogg"}
# Their header declares when the sound ends, on a clock that may not start at 0.
END_DECLARED = {"matroska,webm", "asf"}

# Holds every channel layout until the process ends: PyAV 17.1 to 18.1 frees custom ones twice.
_layouts: list[Any] = []


def main() -> None:
    """Decode standard input to standard output; the exit status has no meaning."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows, macOS
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2]) + 1))
    try:
        end = decode(
            sys.stdin.buffer,
            sys.stdout.buffer,
            float(sys.argv[1]),
            int(sys.argv[3]),
        )
    except Exception as error:  # whatever a decoder raises, the file is at fault
        end = {"problem": "damaged", "detail": type(error).__name__}
    end["spent"] = time.process_time()
    text = json.dumps(end).encode()
    sys.stdout.buffer.write(HEADER.pack(0, 0, len(text)) + text)
    sys.stdout.buffer.flush()
    os._exit(0)  # without destructors: see `_layouts`


def decode(file: BinaryIO, out: BinaryIO, max_seconds: float, track: int = 0) -> dict[str, Any]:
    """Write a sound track of `file` to `out` as blocks; returns the closing object."""
    whole: dict[str, Any] = {}
    for link in _links(file):
        end = _decode(link, out, max_seconds, track)
        if end["problem"] or not whole:
            whole = end
        else:
            whole |= {key: whole[key] + end[key] for key in ("reached", "packets", "bad")}
        if end["problem"]:
            break
    return whole


def _links(file: BinaryIO) -> Iterator[BinaryIO]:
    """The streams that are chained in an Ogg file, in order: FFmpeg loses most of those that have
    the same serial number. Any other file is yielded as it is."""
    starts, began, position = [0], True, 0
    while True:
        file.seek(position)
        page = file.read(27 + 255)
        if len(page) < 27 or page[:4] != b"OggS":
            break
        begins = bool(page[5] & 2)  # beginning of a stream
        if begins and not began:
            starts.append(position)
        began = begins
        position += 27 + page[26] + sum(page[27 : 27 + page[26]])
    if len(starts) == 1:
        yield file
        return
    for start, end in pairwise([*starts, file.seek(0, os.SEEK_END)]):
        file.seek(start)
        yield io.BytesIO(file.read(end - start))


def _decode(file: BinaryIO, out: BinaryIO, max_seconds: float, track: int) -> dict[str, Any]:
    import av

    file.seek(0)
    options = {
        "format_whitelist": FORMATS,
        "codec_whitelist": CODECS,
        "protocol_whitelist": "none",  # this open file and nothing that it may point to
    }
    try:
        container = av.open(file, "r", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        return {"problem": "format", "detail": type(error).__name__}
    if track >= len(container.streams.audio):
        without = "video" if container.streams.video else "damaged"
        return {"problem": "track" if container.streams.audio else without}
    stream = container.streams.audio[track]
    if stream.codec_context is None:  # the description of the track is lost
        return {"problem": "damaged"}
    codec = stream.codec_context.codec.name
    if codec not in CODECS.split(","):
        return {"problem": "codec", "detail": codec}
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    declared = _declared(container, stream, file)
    if declared and container.format.name in END_DECLARED and declared > start:
        declared -= start
    if declared and declared > max_seconds:
        return {"problem": "long", "declared": declared}

    packing = av.AudioResampler(format="flt")  # interleaved float32, rate and channels kept
    count = {"packets": 0, "bad": 0}
    reached = 0.0
    writer = _Writer(out)
    for frame in _frames(container, stream, count):
        if frame.pts is not None and frame.time_base is not None:
            end = float(frame.pts * frame.time_base) + frame.samples / frame.sample_rate
            reached = max(reached, end - start)
        try:
            packed = packing.resample(frame)
        except ValueError:  # rate or channels changed on the way
            packing = av.AudioResampler(format="flt")
            packed = packing.resample(frame)
        for block in packed:
            _layouts.append(block.layout)
            size = block.samples * block.layout.nb_channels * 4
            writer.write(block.sample_rate, block.layout.nb_channels, bytes(block.planes[0])[:size])
    writer.flush()
    return {"problem": None, "declared": declared, "reached": reached, **count}


class _Writer:
    """Joins frames of some 20 ms to larger blocks."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        self.kind = (0, 0)  # rate, channels
        self.parts: list[bytes] = []
        self.size = 0

    def write(self, rate: int, channels: int, data: bytes) -> None:
        if (rate, channels) != self.kind or self.size >= BLOCK:
            self.flush()
        self.kind = (rate, channels)
        self.parts.append(data)
        self.size += len(data)

    def flush(self) -> None:
        if self.parts:
            rate, channels = self.kind
            self.out.write(HEADER.pack(rate, channels, self.size // (4 * channels)))
            self.out.writelines(self.parts)
        self.parts, self.size = [], 0


def _frames(
    container: "InputContainer", stream: "AudioStream", count: dict[str, int]
) -> Iterator["AudioFrame"]:
    """Decoded frames; packets that do not decode are counted and skipped, as players do."""
    from av.error import EOFError as NoMoreFrames
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError:  # the container itself breaks off
            count["bad"] += 1
            return
        count["packets"] += 1
        try:
            frames = packet.decode()
        except NoMoreFrames:
            return
        except FFmpegError:
            count["bad"] += 1
            continue
        for frame in frames:
            _layouts.append(frame.layout)
            yield frame


def _declared(container: "InputContainer", stream: "AudioStream", file: BinaryIO) -> float | None:
    """Seconds that the header declares; None where FFmpeg could only estimate them."""
    name = container.format.name
    if name in ESTIMATED or (name == "mp3" and not _mp3_declares(file)):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / 1e6  # of the only track; else perhaps of the pictures
    return None


def _mp3_declares(file: BinaryIO) -> bool:
    """Whether the first MP3 frame is a Xing, Info or VBRI header, which counts the frames."""
    position = file.tell()
    file.seek(0)
    tag = file.read(10)
    if tag[:3] == b"ID3" and len(tag) == 10:
        size = 0
        for byte in tag[6:]:  # seven bits a byte
            size = size << 7 | byte & 0x7F
        file.seek(10 + size)
    else:
        file.seek(0)
    head = file.read(4096)
    file.seek(position)
    return any(name in head for name in (b"Xing", b"Info", b"VBRI"))


if __name__ == "__main__":
    main()
