"""Corpora that are known by their file names: speaker, emotion and language of each."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_corpora import facts, touch
from train import corpora
from train.corpora import Clip, named

NAMED = {
    "emodb": (
        "wav/03a01Fa.wav wav/08b10Wd.flac wav/16a05Lb.mp3 wav/09a02Ec.wav wav/10a04Ab.wav "
        "wav/11b03Td.wav wav/12a01Nb.wav",
        {
            "03a01Fa.wav": ("happy", "emodb-03", "de"),
            "08b10Wd.flac": ("angry", "emodb-08", "de"),
            "16a05Lb.mp3": ("bored", "emodb-16", "de"),
            "09a02Ec.wav": ("disgusted", "emodb-09", "de"),
            "10a04Ab.wav": ("fearful", "emodb-10", "de"),
            "11b03Td.wav": ("sad", "emodb-11", "de"),
            "12a01Nb.wav": ("neutral", "emodb-12", "de"),
        },
    ),
    "ased": (
        "Neutral/n1-01-01-01-03.wav S4-04-02-01-29.wav f2-07-02-02-65.wav",
        {
            "n1-01-01-01-03.wav": ("neutral", "ased-03", "am"),
            "S4-04-02-01-29.wav": ("sad", "ased-29", "am"),
            "f2-07-02-02-65.wav": ("fearful", "ased-65", "am"),
        },
    ),
    "ravdess": (
        "Actor_12/03-01-06-01-02-01-12.wav Actor_01/03-01-02-01-01-01-01.wav",
        {
            "03-01-06-01-02-01-12.wav": ("fearful", "ravdess-12", "en"),
            "03-01-02-01-01-01-01.wav": ("calm", "ravdess-01", "en"),
        },
    ),
    "crema-d": (
        "AudioWAV/1001_DFA_ANG_XX.wav AudioWAV/1091_WSI_SAD_HI.wav 1040_ITH_SAD_X.wav",
        {
            "1001_DFA_ANG_XX.wav": ("angry", "crema-d-1001", "en"),
            "1091_WSI_SAD_HI.wav": ("sad", "crema-d-1091", "en"),
            "1040_ITH_SAD_X.wav": ("sad", "crema-d-1040", "en"),
        },
    ),
    "savee": (
        "DC_a01.wav AudioData/JK/sa15.wav AudioData/KL/su02.wav",
        {
            "DC_a01.wav": ("angry", "savee-dc", "en"),
            "sa15.wav": ("sad", "savee-jk", "en"),
            "su02.wav": ("surprised", "savee-kl", "en"),
        },
    ),
    "tess": (
        "OAF_angry/OAF_back_angry.wav YAF_ps/YAF_youth_ps.wav OA_bite_neutral.wav",
        {
            "OAF_back_angry.wav": ("angry", "tess-oa", "en"),
            "YAF_youth_ps.wav": ("surprised", "tess-ya", "en"),
            "OA_bite_neutral.wav": ("neutral", "tess-oa", "en"),
        },
    ),
    "casia": (
        "liuchanhg/angry/201.wav CASIA/wangzhe/surprise/7.wav a/b/ZhaoZuoxiang-fear-202.flac "
        "zhao-quanyin/sad/take-2-203.wav",
        {
            "ZhaoZuoxiang-fear-202.flac": ("fearful", "casia-zhaozuoxiang", "zh"),
            "take-2-203.wav": ("sad", "casia-zhao-quanyin", "zh"),
            "201.wav": ("angry", "casia-liuchanhg", "zh"),
            "7.wav": ("surprised", "casia-wangzhe", "zh"),
        },
    ),
    "esd": (
        "0001/Angry/evaluation/0001_000351.wav 0010/Sad/0010_001051.wav "
        "ESD/0011/Surprise/train/0011_001500.wav",
        {
            "0001_000351.wav": ("angry", "esd-0001", "zh"),
            "0010_001051.wav": ("sad", "esd-0010", "zh"),
            "0011_001500.wav": ("surprised", "esd-0011", "en"),
        },
    ),
    "emovo": (
        "dis-f1-b1.flac gio-m3-l4.flac EMOVO/f2/neu-f2-n5.wav pau-m1-d2.wav rab-f3-b3.wav "
        "sor-m2-l1.wav tri-f1-d1.wav",
        {
            "dis-f1-b1.flac": ("disgusted", "emovo-f1", "it"),
            "gio-m3-l4.flac": ("happy", "emovo-m3", "it"),
            "neu-f2-n5.wav": ("neutral", "emovo-f2", "it"),
            "pau-m1-d2.wav": ("fearful", "emovo-m1", "it"),
            "rab-f3-b3.wav": ("angry", "emovo-f3", "it"),
            "sor-m2-l1.wav": ("surprised", "emovo-m2", "it"),
            "tri-f1-d1.wav": ("sad", "emovo-f1", "it"),
        },
    ),
    "nemo": (
        "EB0_anger_1.flac samples/SM0_fear_12.wav MK0_happiness_3.wav MP0_neutral_4.wav "
        "KD0_sadness_5.wav WR0_surprised_90.wav",
        {
            "EB0_anger_1.flac": ("angry", "nemo-eb0", "pl"),
            "SM0_fear_12.wav": ("fearful", "nemo-sm0", "pl"),
            "MK0_happiness_3.wav": ("happy", "nemo-mk0", "pl"),
            "MP0_neutral_4.wav": ("neutral", "nemo-mp0", "pl"),
            "KD0_sadness_5.wav": ("sad", "nemo-kd0", "pl"),
            "WR0_surprised_90.wav": ("surprised", "nemo-wr0", "pl"),
        },
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_corpus(name: str, tmp_path: Path) -> None:
    files, wanted = NAMED[name]
    touch(tmp_path, *files.split(), "misc/whatever.wav", "readme.txt")
    found = corpora.read(name, tmp_path)
    assert facts(found) == wanted
    assert all(c.corpus == name and Path(c.path).is_absolute() for c in found.clips)
    (rejected,) = found.rejected  # the text file is no sound, the misnamed sound is said
    assert rejected.path.endswith("whatever.wav")
    assert rejected.kind == "misnamed"


@pytest.mark.parametrize(
    ("name", "file", "kind"),
    [
        ("emodb", "03a01Xa.wav", "label not understood"),
        ("ased", "n3-01-01-01-03.wav", "label not understood"),
        ("ravdess", "03-02-06-01-02-01-12.wav", "song"),
        ("ravdess", "02-01-06-01-02-01-12.mp4", "no sound"),
        ("ravdess", "03-01-09-01-02-01-12.wav", "label not understood"),
        ("savee", "DC_x01.wav", "label not understood"),
        ("tess", "OAF_back_bored.wav", "label not understood"),
        ("tess", "XYZ_back_angry.wav", "misnamed"),
        ("crema-d", "1001_DFA_ANG.wav", "misnamed"),
        ("esd", "0001/Angry/0002_000351.wav", "misnamed"),
        ("casia", "liuchanhg/angry.wav", "misnamed"),
        ("casia", "liuchanhg-angry.wav", "misnamed"),
        ("casia", "liuchanhg-bored-201.wav", "misnamed"),
        ("emovo", "xyz-f1-b1.wav", "label not understood"),
        ("emovo", "dis-x1-b1.wav", "misnamed"),
        ("nemo", "EB0_disgust_1.wav", "label not understood"),
        ("nemo", "EB_anger_1.wav", "misnamed"),
    ],
)
def test_what_is_rejected(name: str, file: str, kind: str, tmp_path: Path) -> None:
    good = NAMED[name][0].split()[0]
    found = corpora.read(name, touch(tmp_path, good, file))
    assert [r.kind for r in found.rejected] == [kind]
    assert len(found.clips) == 1


def test_manifest_takes_the_place_of_names(tmp_path: Path) -> None:
    touch(tmp_path, "audio/a.flac")
    (tmp_path / "manifest.csv").write_text(
        "file,label,speaker,seconds\naudio/a.flac,happy,emodb-03,2.0\n"
    )
    (clip,) = corpora.read("emodb", tmp_path).clips
    assert clip == Clip(
        path=str(tmp_path / "audio/a.flac"),
        label="happy",
        speaker="emodb-03",
        seconds=2.0,
        language="de",
        corpus="emodb",
    )


def test_a_speaker_has_one_name_by_table_and_by_file_name(tmp_path: Path) -> None:
    touch(tmp_path, "audio/EB0_anger_1.flac")
    (by_name,) = corpora.read("nemo", tmp_path).clips
    (tmp_path / "manifest.csv").write_text(
        "file,label,speaker\naudio/EB0_anger_1.flac,angry,nemo-EB0\n"
    )
    assert corpora.read("nemo", tmp_path).clips == (by_name,)


@settings(max_examples=80, deadline=None)
@given(
    folders=st.lists(st.from_regex(r"[a-z0-9 ._-]{1,8}", fullmatch=True), max_size=2),
    emovo=st.from_regex(r"(dis|gio|neu|pau|rab|sor|tri)-[fm][1-3]-[bnld][1-5]", fullmatch=True),
    nemo=st.from_regex(r"[A-Z]{2}0_(anger|fear|sadness)_[0-9]{1,2}", fullmatch=True),
    casia=st.from_regex(r"[A-Za-z]{3,9}-(angry|fear|sad)-[0-9]{1,3}", fullmatch=True),
)
def test_names_are_read_below_any_folders(
    folders: list[str], emovo: str, nemo: str, casia: str
) -> None:
    wanted = {
        "emovo": (emovo, emovo.split("-")[1], "it"),
        "nemo": (nemo, nemo.split("_", maxsplit=1)[0].lower(), "pl"),
        "casia": (casia, casia.split("-", maxsplit=1)[0].lower(), "zh"),
    }
    for corpus, (stem, speaker, language) in wanted.items():
        found = named.who(corpus, "/".join([*folders, stem]))
        assert found == (f"{corpus}-{speaker}", language)
        assert named.who(corpus, re.sub(r"[-_]", "+", stem)) == ("", language)
    assert named.who("unheard", emovo) == ("", None)
