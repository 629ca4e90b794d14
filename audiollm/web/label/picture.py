"""Waveform, spectrogram and pitch of a clip as one small SVG. Colours come from style.css."""

import base64
import io

import numpy as np
from PIL import Image

from audiollm.audio.timeline import RANGE_DB, Overview

WIDTH, WAVE, SPECTRUM = 1000, 90, 160  # user units of the SVG
INK = (15, 118, 110)  # RGB of the spectrogram


def picture(signal: Overview) -> str:
    """The SVG; it is stretched to the width of the card."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {WAVE + SPECTRUM}" preserveAspectRatio="none" '
        f'aria-hidden="true"><path class="wave" d="{_wave(signal)}"/>'
        f'<image x="0" y="{WAVE}" width="{WIDTH}" height="{SPECTRUM}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{_spectrogram(signal)}"/>'
        f'<path class="pitch" d="{_pitch(signal)}"/></svg>'
    )


def _wave(signal: Overview) -> str:
    peak = max(float(signal.high.max()), -float(signal.low.min()), 1e-3)
    x = (np.arange(len(signal.high)) + 0.5) * WIDTH / len(signal.high)
    outline = np.concatenate([signal.high, signal.low[::-1]])
    y = WAVE / 2 * (1 - outline / peak)
    points = (f"{a:.0f} {b:.1f}" for a, b in zip(np.concatenate([x, x[::-1]]), y, strict=True))
    return f"M{' L'.join(points)}Z"


def _pitch(signal: Overview) -> str:
    """A line over the voiced frames: the clip's range of pitch (log scale, without outliers) over
    the height of the spectrogram; at least an octave, or a monotone would look melodic."""
    voiced = signal.pitch[~np.isnan(signal.pitch)]
    if not len(voiced):
        return ""
    low, high = np.percentile(np.log2(voiced), [3, 97])
    octaves = np.log2(np.nan_to_num(signal.pitch, nan=voiced[0])) - (low + high) / 2
    x = signal.times / signal.seconds * WIDTH
    y = WAVE + SPECTRUM * (0.5 - np.clip(0.9 * octaves / max(high - low, 1.0), -0.49, 0.49))
    parts, begun = [], False
    for a, b, hertz in zip(x, y, signal.pitch, strict=True):
        if not np.isnan(hertz):
            parts.append(f"{'L' if begun else 'M'}{a:.0f} {b:.1f}")
        begun = not np.isnan(hertz)
    return "".join(parts)


def _spectrogram(signal: Overview) -> str:
    """PNG [BANDS, T, 4] in base64: high bands on top, one colour, louder is less transparent."""
    loudness = np.clip(1 + signal.spectrogram[::-1] / RANGE_DB, 0, 1)
    pixels = np.empty((*loudness.shape, 4), np.uint8)
    pixels[..., :3] = INK
    pixels[..., 3] = (255 * loudness**1.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
