"""Windows over a recording, stretches of speech, and the picture on one time axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiollm import audio
from audiollm.audio import prosody, timeline, windows
from audiollm.web.analyse import course
from tests.conftest import voiced

RATE = audio.SAMPLE_RATE


@given(seconds=st.floats(0.3, 3600))
def test_windows_of_the_course_cover_a_sound_and_overlap_by_half(seconds: float) -> None:
    spans = windows.course(seconds)
    assert spans[0][0] == 0
    assert spans[-1][1] == pytest.approx(seconds)
    lengths = {round(b - a, 6) for a, b in spans}
    assert len(lengths) == 1
    assert lengths.pop() <= max(windows.LONGEST, windows.SHORTEST)
    starts = np.array([a for a, _ in spans])
    length = spans[0][1] - spans[0][0]
    assert (np.diff(starts) <= length / 2 + 1e-6).all()
    assert len(spans) <= max(windows.MOST, 2 * seconds / windows.LONGEST + 1)


@pytest.mark.parametrize("seconds", [0.3, 2.0, 61.0])
def test_the_picture_has_the_same_width_for_every_length(seconds: float) -> None:
    sound = audio.from_array(voiced(seconds), RATE)
    seen = timeline.overview(sound, prosody.track(sound.samples))
    width = len(seen.times)
    assert width <= timeline.COLUMNS
    assert seen.spectrogram.shape == (timeline.BANDS, width)
    assert len(seen.low) == len(seen.high) == len(seen.pitch) == width
    assert 0 < seen.times[0] < seen.times[-1] < seconds
    assert seen.high.max() == pytest.approx(sound.samples.max())
    assert seen.low.min() == pytest.approx(sound.samples.min())
    assert seen.spectrogram.max() == 0
    assert seen.spectrogram.min() >= -timeline.RANGE_DB


def test_a_tone_stands_at_its_place_in_the_picture() -> None:
    time = np.arange(2 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 1000 * time) * (time > 1)
    sound = audio.from_array(tone.astype(np.float32), RATE)
    seen = timeline.overview(sound, prosody.track(sound.samples))
    band, column = np.unravel_index(seen.spectrogram.argmax(), seen.spectrogram.shape)
    assert seen.hertz[band] == pytest.approx(1000, rel=0.1)
    assert seen.times[column] > 1
    assert (seen.spectrogram[:, seen.times < 0.95] == -timeline.RANGE_DB).all()


def test_what_is_heard_is_told_step_by_step_beside_the_cursor() -> None:
    spans = ((0.0, 2.0), (1.0, 3.0), (2.0, 4.0))
    table = np.array([[0.8, 0.2], [np.nan, np.nan], [0.3, 0.7]])
    heard = timeline.Timeline(("angry", "sad"), spans, table, 3)
    sound = audio.from_array(voiced(4.0), RATE)
    seen = timeline.overview(sound, prosody.track(sound.samples))
    figure = course.course(seen, heard, "en")
    assert figure.layout.meta == {"edges": [0, 1.5, 2.5, 4], "labels": ["Angry 80%", "", "Sad 70%"]}
    assert list(figure.data[0].x) == [0, 1.5, 1.5, 2.5, 2.5, 4]
    assert course.course(seen, None, "en").layout.meta == {}


@given(seconds=st.floats(0.5, 3600))
def test_the_time_axis_has_few_steps_and_minutes_for_a_long_sound(seconds: float) -> None:
    axis = course._times(seconds, "en")
    assert ("ticktext" in axis) == (seconds > course.IN_MINUTES)
    if "ticktext" in axis:
        assert 2 < len(axis["ticktext"]) == len(axis["tickvals"]) <= course.MOST_STEPS + 1
        assert axis["ticktext"][:2] in (
            ["0:00", "0:30"],
            ["0:00", f"{axis['tickvals'][1] // 60}:00"],
        )
        assert axis["tickvals"][-1] <= seconds


def test_the_pitch_stands_over_its_sound() -> None:
    voice = np.concatenate([np.zeros(int(9.3 * RATE), np.float32), voiced(1.5)])
    sound = audio.from_array(voice, RATE)
    seen = timeline.overview(sound, prosody.track(sound.samples))
    found = seen.times[~np.isnan(seen.pitch)]
    assert found.min() > 9.25
    assert found.max() - found.min() > 0.8
