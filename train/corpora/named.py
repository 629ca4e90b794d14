"""Corpora whose file names say who speaks and how: one documented pattern each.

Sources of the conventions: EmoDB (Burkhardt et al., Interspeech 2005), ASED (Retta et al.,
TALLIP 2022), RAVDESS (Livingstone and Russo, PLoS ONE 2018), CREMA-D (Cao et al., IEEE TAC
2014), SAVEE (Haq and Jackson, 2010), TESS (Pichora-Fuller and Dupuis, 2020), CASIA (Chinese
Academy of Sciences), ESD (Zhou et al., Speech Communication 2022), EMOVO (Costantini et al.,
LREC 2014), nEMO (Christop, LREC-COLING 2024).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from audiollm.audio import sound_files
from train.corpora.base import (
    Clip,
    Corpus,
    UnusableError,
    below,
    codes,
    gather,
    speaker_name,
)


@dataclass(frozen=True)
class Convention:
    """`pattern` is matched against the end of a file's path inside the root, without suffix."""

    language: str | None
    pattern: str
    codes: dict[str, str]  # the pattern's `label`, lower case -> class name
    example: str
    refuse: Callable[[re.Match[str]], str | None] = lambda _: None  # code of the reason, or None
    language_of: Callable[[re.Match[str]], str | None] = lambda _: None


def _words(*names: str) -> dict[str, str]:
    """Corpora that write the emotion out, in the field's usual spellings."""
    every = {
        "angry": "angry",
        "anger": "angry",
        "disgust": "disgusted",
        "fear": "fearful",
        "happy": "happy",
        "happiness": "happy",
        "neutral": "neutral",
        "sad": "sad",
        "sadness": "sad",
        "surprise": "surprised",
        "surprised": "surprised",
    }
    return {name: every[name] for name in names}


def _not_speech(match: re.Match[str]) -> str | None:
    if match["channel"] == "02":
        return "reject_song"
    if match["modality"] == "02":
        return "reject_video"
    return None


_CASIA = _words("angry", "anger", "fear", "happy", "neutral", "sad", "surprise")
_CASIA_FLAT = rf"(?:{'|'.join(_CASIA)})-\d+$"  # how a flattened name ends

CONVENTIONS: dict[str, Convention] = {
    "emodb": Convention(
        language="de",
        pattern=r"(?P<speaker>\d\d)[ab]\d\d(?P<label>[A-Z])[a-z]?",
        codes=codes("w angry, l bored, e disgusted, a fearful, f happy, t sad, n neutral"),
        example="wav/03a01Fa.wav",
    ),
    "ased": Convention(
        language="am",
        # emotion letter and number, sentence, intensity, repetition, speaker
        pattern=r"(?P<label>[a-z]\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)",
        codes={"n1": "neutral", "f2": "fearful", "h3": "happy", "s4": "sad", "a5": "angry"},
        example="neutral/n1-01-01-01-03.wav",
    ),
    "ravdess": Convention(
        language="en",
        pattern=r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<label>\d\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)",
        codes=codes(
            "01 neutral, 02 calm, 03 happy, 04 sad, "
            "05 angry, 06 fearful, 07 disgusted, 08 surprised"
        ),
        example="Actor_12/03-01-06-01-02-01-12.wav",
        refuse=_not_speech,
    ),
    "crema-d": Convention(
        language="en",
        pattern=r"(?P<speaker>1\d{3})_[A-Z]{3}_(?P<label>[A-Z]{3})_[A-Z]{1,2}",
        codes=codes("ang angry, dis disgusted, fea fearful, hap happy, neu neutral, sad sad"),
        example="AudioWAV/1001_DFA_ANG_XX.wav",
    ),
    "savee": Convention(
        language="en",
        pattern=r"(?P<speaker>DC|JE|JK|KL)[_/](?P<label>[a-z]{1,2})\d\d",
        codes=codes("a angry, d disgusted, f fearful, h happy, n neutral, sa sad, su surprised"),
        example="DC_a01.wav or DC/a01.wav",
    ),
    "tess": Convention(
        language="en",
        # one file of the published set is named OA_ instead of OAF_
        pattern=r"(?P<speaker>OA|YA)F?_[a-z]+_(?P<label>[a-z]+)",
        codes={
            **_words("angry", "disgust", "fear", "happy", "neutral", "sad"),
            "ps": "surprised",
        },
        example="OAF_angry/OAF_back_angry.wav",
    ),
    "casia": Convention(
        language="zh",
        # as folders, or flattened: the three parts joined by dashes, in whatever folders
        pattern=r"(?P<speaker>[^/]+)"
        rf"(?:/(?=[^/]+/(?![^/]+-{_CASIA_FLAT}))|-(?={_CASIA_FLAT}))(?P<label>[^/]+?)[/-][^/]+",
        codes=_CASIA,
        example="liuchanhg/angry/201.wav or liuchanhg-angry-201.wav",
    ),
    "esd": Convention(
        language=None,
        # the published train/evaluation/test folders share all speakers: not used as a split
        pattern=r"(?P<speaker>00[012]\d)/(?P<label>[a-z]+)/(?:[a-z]+/)?(?P=speaker)_\d+",
        codes=_words("angry", "happy", "neutral", "sad", "surprise"),
        example="0001/Angry/evaluation/0001_000351.wav",
        language_of=lambda match: "zh" if int(match["speaker"]) <= 10 else "en",
    ),
    "emovo": Convention(
        language="it",
        # emotion in Italian, speaker, sentence
        pattern=r"(?P<label>[a-z]{3})-(?P<speaker>[fm]\d)-[a-z]\d",
        codes=codes(
            "dis disgusted, gio happy, neu neutral, pau fearful, rab angry, sor surprised, tri sad"
        ),
        example="f1/dis-f1-b1.wav",
    ),
    "nemo": Convention(
        language="pl",
        # the published data.tsv says nothing more about speaker and emotion
        pattern=r"(?P<speaker>[a-z]{2}\d)_(?P<label>[a-z]+)_\d+",
        codes=_words("anger", "fear", "happiness", "neutral", "sadness", "surprised"),
        example="samples/SM0_anger_1.wav",
    ),
}


def read(name: str, root: Path) -> Corpus:
    """Reads a corpus of `CONVENTIONS` from its folder, wherever below it the files lie."""
    convention = CONVENTIONS[name]
    pattern = _compiled(convention)
    items = [
        (str(file), partial(_clip, name, convention, pattern, file, inside))
        for file, inside in below(root, sound_files(root))
    ]
    return Corpus(name, *gather(items))


def who(name: str, inside: str) -> tuple[str, str | None]:
    """Speaker and language of a path without suffix; "" and None where it does not say so."""
    convention = CONVENTIONS.get(name)
    if convention is None:
        return "", None
    match = _compiled(convention).fullmatch(inside)
    if match is None:
        return "", convention.language
    speaker = speaker_name(name, match["speaker"].lower())
    return speaker, convention.language_of(match) or convention.language


def _compiled(convention: Convention) -> re.Pattern[str]:
    return re.compile(rf"(?:^|.*/){convention.pattern}", re.IGNORECASE)


def _clip(
    name: str, convention: Convention, pattern: re.Pattern[str], file: Path, inside: str
) -> Clip:
    match = pattern.fullmatch(inside)
    if match is None:
        raise UnusableError("reject_misnamed", example=convention.example)
    reason = convention.refuse(match)
    if reason:
        raise UnusableError(reason)
    label = convention.codes.get(match["label"].lower())
    if label is None:
        raise UnusableError("reject_code", value=repr(match["label"]), corpus=name)
    return Clip(
        path=str(file),
        label=label,
        speaker=speaker_name(name, match["speaker"].lower()),
        language=convention.language_of(match) or convention.language,
        corpus=name,
    )
