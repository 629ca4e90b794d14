"""Waveform, spectrogram and pitch of a clip as one small SVG: the browser draws it at once, and
has it before the clip is shown. Colours come from style.css."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from audiollm.audio.timeline import BANDS, RANGE_DB, Overview

WIDTH, WAVE, SPECTRUM = 1000, 90, 160  # of the drawing, in its own units
INK = (15, 118, 110)  # red, green, blue of the spectrogram


def picture(seen: Overview) -> str:
    """The SVG; it is stretched to the width of the card."""
    image = base64.b64encode(_png(_shades(seen.spectrogram))).decode()
    height = WAVE + SPECTRUM
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="wave" d="{_wave(seen)}"/>'
        f'<image x="0" y="{WAVE}" width="{WIDTH}" height="{SPECTRUM}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{image}"/>'
        f'<path class="pitch" d="{_pitch(seen)}"/></svg>'
    )


def _wave(seen: Overview) -> str:
    reach = max(float(seen.high.max()), -float(seen.low.min()), 1e-3)
    x = (np.arange(len(seen.high)) + 0.5) * WIDTH / len(seen.high)
    top = WAVE / 2 * (1 - seen.high / reach)
    bottom = WAVE / 2 * (1 - seen.low / reach)
    there = [f"{a:.0f} {b:.1f}" for a, b in zip(x, top, strict=True)]
    back = [f"{a:.0f} {b:.1f}" for a, b in zip(x[::-1], bottom[::-1], strict=True)]
    return f"M{' L'.join([*there, *back])}Z"


def _pitch(seen: Overview) -> str:
    """A line where there is a voice; the height is that of its band in the spectrogram."""
    x = seen.times / seen.seconds * WIDTH
    bands = np.interp(np.nan_to_num(seen.pitch), seen.hertz, np.arange(BANDS))
    y = WAVE + SPECTRUM * (1 - (bands + 0.5) / BANDS)
    parts, begun = [], False
    for a, b, hertz in zip(x, y, seen.pitch, strict=True):
        if np.isnan(hertz):
            begun = False
            continue
        parts.append(f"{'L' if begun else 'M'}{a:.0f} {b:.1f}")
        begun = True
    return "".join(parts)


def _shades(spectrogram: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[BANDS, T, 4]: high bands on top, one colour, louder is less transparent."""
    loud = np.clip(1 + spectrogram[::-1] / RANGE_DB, 0, 1)
    shades = np.empty((*loud.shape, 4), np.uint8)
    shades[..., :3] = INK
    shades[..., 3] = (255 * loud**1.5).astype(np.uint8)
    return shades


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture [H, W, 4] as PNG."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # each begins with its filter: none

    def chunk(kind: bytes, body: bytes) -> bytes:
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
