"""Every format gives back the labels that went in; what cannot be used is refused with its line."""

import csv
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from audiollm import audio
from audiollm.errors import LabelError
from audiollm.labelling import formats, sources
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label, Outcome, Task
from audiollm.settings import Settings
from tests.refusals import refused

CLASSES = ("angry", "sad", "happy", "neutral")
NOTES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30)
Write = Callable[[list[Outcome], Path], None]
Read = Callable[[Path, str, Settings], formats.Imported]
FORMATS: dict[str, tuple[str, Write, Read]] = {
    "csv": ("l.csv", formats.write_csv, formats.read_csv),
    "jsonl": ("l.jsonl", formats.write_jsonl, formats.read_jsonl),
    "audio folder": ("sounds", formats.write_audio_folder, formats.read_audio_folder),
    "dataset": ("data set", formats.write_dataset, formats.read_dataset),
    "label studio": ("tasks", formats.write_studio, formats.read),
}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sounds, with a comma")
    paths = []
    for seed in range(3):
        samples = 0.1 * np.random.default_rng(seed).standard_normal(4000)
        paths.append(folder / f"声音 {seed}.flac")
        soundfile.write(paths[-1], samples, 16000, subtype="PCM_16")
    return paths


def tasks_of(paths: list[Path]) -> list[Task]:
    return [
        Task(
            id=audio.content_hash(audio.load(path)),
            path=str(path),
            seconds=0.25,
            source="a test",
            reason="tie",
            original="sad",
            model="tiny",
            answer={"angry": 0.6, "sad": 0.4},
            speaker="emodb-03",
        )
        for path in paths
    ]


@st.composite
def votes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What up to three people say of each of three sounds, and perhaps a decision."""
    said = []
    for number in range(3):
        people = draw(st.lists(st.sampled_from(["Ann", "李 雷", 'Bo,"x"']), unique=True))
        kinds = [(person, "label") for person in people]
        kinds += [("Judge", "decision")] if draw(st.booleans()) else []
        for person, kind in kinds:
            name = draw(st.sampled_from([*CLASSES, "unclear", "several"]))
            second = draw(st.sampled_from(["", *(c for c in CLASSES if c != name)]))
            said.append(
                {
                    "number": number,
                    "person": person,
                    "kind": kind,
                    "name": name,
                    "secondary": second,
                    "intensity": draw(st.integers(0, 3)),
                    "note": draw(NOTES) + draw(st.sampled_from(["", "\nand\tmore", '"'])),
                    "blind": draw(st.booleans()),
                    "took": draw(st.floats(0, 1000)),
                    "at": f"2026-01-0{draw(st.integers(1, 9))}T10:00:00.123+00:00",
                }
            )
    return said


def plain(outcomes: list[Outcome]) -> dict[str, Any]:
    """What must come back, by sound."""

    def bare(label: Label) -> Label:
        return replace(label, origin="", token="", number=0)

    return {
        o.task.id: (
            {bare(label) for label in o.labels},
            o.decision and bare(o.decision),
            (o.task.original, o.task.speaker, o.task.source, o.task.reason, o.final),
        )
        for o in outcomes
    }


def grouped(tasks: Sequence[Task], labels: Sequence[Label]) -> list[Outcome]:
    found = []
    for task in tasks:
        said = [label for label in labels if label.task == task.id]
        decision = next((label for label in said if label.kind == "decision"), None)
        votes = tuple(label for label in said if label.kind == "label")
        found.append(Outcome(task, votes, decision))
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_labels_come_back_equal(
    name: str, sounds: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tasks, settings = tasks_of(sounds), Settings()
    place, write, read = FORMATS[name]

    @tries(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(votes())
    def round_trip(said: list[dict[str, Any]]) -> None:
        labels = [
            Label(task=tasks[one["number"]].id, **{k: v for k, v in one.items() if k != "number"})
            for one in said
        ]
        before = grouped(tasks, labels)
        path = tmp_path_factory.mktemp("trip") / place
        write(before, path)
        found = read(path, "nobody", settings)
        after = grouped(found.tasks, found.labels)
        assert plain(after) == plain(before)

    round_trip()


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_into_its_queue_and_into_an_empty_one_twice(
    name: str, sounds: list[Path], tmp_path: Path
) -> None:
    """What a queue holds, in its order: an import changes nothing of it, and makes it again."""
    first, second = LabelStore(tmp_path / "a"), LabelStore(tmp_path / "b")
    answer = {"angry": 0.5, "sad": 0.25, "bored": 0.125, "happy": 0.125}
    tasks = [replace(task, answer=answer, score=n / 4) for n, task in enumerate(tasks_of(sounds))]
    tasks[1] = replace(tasks[1], other_model="tiny: probe", other_answer={"own class": 1.0})
    first.add_tasks(tasks)
    first.add_labels(
        [
            Label(tasks[0].id, "Ann", "bored", intensity=2, note="=1+1\nlaughs", blind=True),
            Label(tasks[0].id, "Bo", "angry", "sad", took=2.5),
            Label(tasks[0].id, "Cy", "own class", kind="decision"),
            Label(tasks[1].id, "Ann", "not_speech"),
            Label(tasks[2].id, "Dan", "sad"),
        ]
    )
    place, write, _ = FORMATS[name]
    write(first.outcomes(), tmp_path / place)
    first.undo("Dan")  # later than the export
    before = (first.tasks(), first.outcomes(), first.classes())
    for _ in range(2):  # imported twice it is there once
        for store in (first, second):
            found = formats.read(tmp_path / place, "nobody", Settings(), store.classes())
            store.import_labels(found.tasks, found.labels)
    assert (first.tasks(), first.outcomes(), first.classes()) == before
    assert len(first.history()) == len(second.history()) == 5
    assert second.classes() == first.classes()
    assert [replace(t, path="/") for t in second.tasks()] == [
        replace(t, path="/") for t in first.tasks()
    ]
    again = plain(second.outcomes())
    assert again.pop(tasks[2].id)[0]  # undone in the first queue only
    assert again.items() <= plain(first.outcomes()).items()


def test_an_import_adds_what_is_missing_and_takes_nothing_back(
    sounds: list[Path], tmp_path: Path
) -> None:
    store = LabelStore(tmp_path)
    (task, other, _) = tasks_of(sounds)
    store.add_tasks([task, replace(other, answer={}, model="")])
    older = "2020-01-01T00:00:00+00:00"
    store.add_label(Label(task.id, "Cy", "angry", kind="decision"))
    (again, filled) = (replace(t, path=str(sounds[2]), reason="plain") for t in (task, other))
    again = replace(again, answer={"sad": 1.0}, original="happy", score=1.0)
    decision = Label(task.id, "Dan", "sad", kind="decision", at=older, origin="old.csv")
    assert store.import_labels([again, filled], [decision]) == (0, 1)
    assert store.task(task.id) == task
    assert store.task(other.id) == other
    assert store.outcome(task.id).final == "angry"  # decided later
    label_error = replace(task, answer={}, model="", other_model="probe", other_answer={"sad": 0.1})
    store.add_tasks([label_error])
    assert store.task(task.id).answer == task.answer


def test_the_tasks_of_an_export_open_on_another_computer(
    sounds: list[Path], tmp_path: Path
) -> None:
    formats.write_studio([Outcome(task) for task in tasks_of(sounds)], tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    tasks = json.loads((tmp_path / "there" / "tasks.json").read_text(encoding="utf-8"))
    for task, sound in zip(tasks, sounds, strict=True):
        served = urlsplit(task["data"]["audio"])
        assert served.path == "/data/local-files/"
        file = tmp_path / "there" / parse_qs(served.query)["d"][0]
        assert file.read_bytes() == sound.read_bytes()
    assert str(sounds[0].parent) not in json.dumps(tasks, ensure_ascii=False)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_name_that_is_no_utf8_is_written(
    name: str, sounds: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / os.fsdecode(b"gr\xfcn.wav")
    shutil.copyfile(sounds[0], path)
    task = replace(tasks_of(sounds)[0], source="x")
    object.__setattr__(task, "path", str(path))  # no such task can be made
    place, write, _ = FORMATS[name]
    write([Outcome(task, (Label(task.id, "Ann", "sad"),))], tmp_path / place)
    written = tmp_path / place
    assert written.stat().st_size


def test_no_task_has_a_file_name_that_is_no_utf8(sounds: list[Path]) -> None:
    task = tasks_of(sounds)[0]
    with refused("label_file_name"):
        replace(task, path=os.fsdecode(b"/gr\xfcn.wav"))


def table(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_a_foreign_table_needs_only_file_and_label(sounds: list[Path], tmp_path: Path) -> None:
    path = table(tmp_path / "their.csv", ("path", "emotion", "x"), (str(sounds[0]), "Anger", "1"))
    found = formats.read(path, "Ann", Settings())
    assert [(label.person, label.name) for label in found.labels] == [("Ann", "angry")]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_our_own_names_of_columns_come_first(form: str, sounds: list[Path], tmp_path: Path) -> None:
    row = {"label": "sad", "emotion": "angry", "audio": str(sounds[0]), "path": "gone.wav"}
    path = tmp_path / f"l.{form}"
    if form == "csv":
        table(path, tuple(row), tuple(row.values()))
    else:
        path.write_text(json.dumps(row))
    found = formats.read(path, "Ann", Settings())
    assert [label.name for label in found.labels] == ["sad"]
    assert [task.path for task in found.tasks] == [str(sounds[0])]


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_missing_value_of_json_is_missing(
    nothing: object, sounds: list[Path], tmp_path: Path
) -> None:
    names = ("person", "speaker", "intensity", "note", "took", "at", "secondary", "original")
    rows = [
        {"file": str(sounds[0]), "label": "sad", **dict.fromkeys(names, nothing)},
        {"file": str(sounds[1]), "label": nothing, **dict.fromkeys(names, nothing)},
    ]
    path = tmp_path / "l.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = formats.read(path, "Ann", Settings())
    assert [(task.speaker, task.original) for task in found.tasks] == [("", "")] * 2
    (label,) = found.labels
    assert (label.person, label.name, label.secondary) == ("Ann", "sad", "")
    assert (label.intensity, label.note, label.took, label.at) == (0, "", 0.0, "")


@pytest.mark.parametrize("nothing", ["nan", "NaN", "NULL", "<NA>", "N/A"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_word_for_a_missing_value_is_no_class_and_no_speaker(
    nothing: str, form: str, sounds: list[Path], tmp_path: Path
) -> None:
    about = dict.fromkeys(("speaker", "original", "secondary"), nothing)
    rows = [{"file": str(sounds[i]), "label": label} for i, label in enumerate(("sad", nothing))]
    path = tmp_path / f"l.{form}"
    if form == "csv":
        table(path, (*rows[0], *about), *((*row.values(), *about.values()) for row in rows))
    else:
        path.write_text("".join(f"{json.dumps(row | about)}\n" for row in rows))
    found = formats.read(path, "Ann", Settings())
    assert [(task.speaker, task.original) for task in found.tasks] == [("", "")] * 2
    assert [(label.name, label.secondary) for label in found.labels] == [("sad", "")]


@pytest.mark.parametrize(
    ("former", "reason"), [("ear", "disagreement"), ("suspect", "label_error")]
)
def test_a_former_name_of_a_reason_is_read(
    sounds: list[Path], tmp_path: Path, former: str, reason: str
) -> None:
    row = (str(sounds[0]), "sad", former)
    path = table(tmp_path / "old.csv", ("file", "label", "reason"), row)
    found = formats.read(path, "Ann", Settings())
    assert [task.reason for task in found.tasks] == [reason]


@pytest.mark.parametrize(
    ("label", "file", "code"),
    [
        ("joyfulness", 0, "label_unknown_class"),
        ("angery", 0, "label_likely_class"),
        ("angry", None, "label_sound_missing"),
        ("a;b", 0, "label_bad_value"),
    ],
)
def test_a_table_with_a_fault_is_refused_whole_with_its_line(
    sounds: list[Path], tmp_path: Path, label: str, file: int | None, code: str
) -> None:
    name = "gone.wav" if file is None else str(sounds[file])
    path = table(
        tmp_path / "l.csv",
        ("file", "label", "note"),
        (str(sounds[1]), "sad", "two\nlines"),
        (name, label, ""),
    )
    with refused(code, LabelError) as values:
        formats.read(path, "Ann", Settings())
    assert (values["file"], values["line"]) == ("l.csv", 4)


def test_other_formats_name_the_line_too(sounds: list[Path], tmp_path: Path) -> None:
    good = {"file": str(sounds[0]), "label": "sad"}
    lines = tmp_path / "l.jsonl"
    lines.write_text(json.dumps(good) + "\n\n" + json.dumps({**good, "label": "joyfulness"}))
    with refused("label_unknown_class") as values:
        formats.read(lines, "Ann", Settings())
    assert values["line"] == 3
    reason = values["reason"]
    assert isinstance(reason, LabelError)
    assert {"angry", "sad"} <= set(str(reason.values["known"]).split(", "))
    lines.write_text(json.dumps(good) + "\n{")
    with refused("label_no_json") as values:
        formats.read(lines, "Ann", Settings())
    assert values["line"] == 2
    folder = tmp_path / "voices"
    (folder / "joyfulness").mkdir(parents=True)
    (folder / "joyfulness" / "a.flac").write_bytes(sounds[0].read_bytes())
    with refused("label_unknown_class"):
        formats.read(folder, "Ann", Settings())
    (tmp_path / "noise.csv").write_text("file,label\n" + str(lines) + ",sad\n")
    with refused("label_line") as values:
        formats.read(tmp_path / "noise.csv", "Ann", Settings())
    assert values["line"] == 2
    with refused("label_file_format"):
        formats.read(tmp_path / "l.txt", "Ann", Settings())


def studio(sound: str, *choices: str, **more: Any) -> dict[str, Any]:
    """A task as Label Studio documents it (guide "Label Studio JSON format of annotated tasks")."""
    result = {
        "id": "yrSY-dipPI",
        "type": "choices",
        "value": {"choices": list(choices)},
        "from_name": "sentiment",
        "to_name": "sound",
    }
    annotation = {
        "id": 1001,
        "result": [result],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2021-03-09T22:16:08.728353Z",
        "updated_at": "2021-03-09T22:16:08.728378Z",
        "lead_time": 4.288,
        "result_count": 0,
        "task": 1,
        "completed_by": 10,
    }
    return {
        "id": 1,
        "created_at": "2021-03-09T21:52:49.513742Z",
        "updated_at": "2021-03-09T22:16:08.746926Z",
        "project": 83,
        "data": {"audio": sound},
        "annotations": [annotation | more],
        "predictions": [],
    }


def test_what_label_studio_exports_can_be_read(sounds: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "project-83.json"
    (tmp_path / "ab12cd34-voice.flac").write_bytes(sounds[0].read_bytes())
    (tmp_path / "in a folder").mkdir()
    (tmp_path / "in a folder" / "b.flac").write_bytes(sounds[1].read_bytes())
    tasks = [
        studio("/data/upload/1/ab12cd34-voice.flac", "Anger", "Sadness"),
        studio(
            "/data/local-files/?d=in%20a%20folder/b.flac", "Happy", completed_by={"email": "a@b.c"}
        ),
        studio("/data/upload/1/ab12cd34-voice.flac", "Sadness", was_cancelled=True),
    ]
    path.write_text(json.dumps(tasks, indent=2))
    found = formats.read(path, "nobody", Settings())
    assert [(label.person, label.name, label.secondary, label.took) for label in found.labels] == [
        ("user 10", "angry", "sad", 4.288),
        ("a@b.c", "happy", "", 4.288),
    ]
    assert len(found.tasks) == 2
    assert Path(found.tasks[1].path).name == "b.flac"


@pytest.mark.parametrize(
    ("task", "code"),
    [
        (studio("https://example.org/a.wav", "Happy"), "label_sound_remote"),
        (studio("gone.wav", "Happy"), "label_sound_missing"),
        (studio("s.flac", "Positive"), "label_unknown_class"),
        (studio("s.flac"), "label_studio_no_emotion"),
        (studio("s.flac", "sad", "angry", "happy"), "label_studio_many"),
        ({"data": {}}, "label_studio_sound"),
        ({"annotations": []}, "label_studio_data"),
        ([], "label_no_object"),
    ],
)
def test_a_label_studio_task_with_a_fault_is_named_by_its_line(
    sounds: list[Path], tmp_path: Path, task: object, code: str
) -> None:
    (tmp_path / "s.flac").write_bytes(sounds[0].read_bytes())
    good = json.dumps(studio("s.flac", "sad"))
    path = tmp_path / "l.json"
    path.write_text(f"[\n{good},\n{json.dumps(task)}\n]")
    with refused(code, LabelError) as values:
        formats.read(path, "Ann", Settings())
    assert (values["file"], values["line"]) == ("l.json", 3)


@tries(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    folder=st.text("ab #%+&=?äü情;", min_size=1, max_size=5).map(lambda text: f"x{text}y"),
    escaped=st.booleans(),
    mark=st.sampled_from("/\\"),
    host=st.sampled_from(["", "http://localhost:8080", "/prefix"]),
)
def test_an_address_of_label_studio_is_found_however_it_is_written(
    folder: str, escaped: bool, mark: str, host: str, sounds: list[Path], tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    shutil.copyfile(sounds[0], tmp_path / folder / "v#1.flac")
    address = f"{folder}{mark}v#1.flac"
    address = f"{host}/data/local-files/?d={quote(address) if escaped else address}"
    path = tmp_path / "l.json"
    path.write_text(json.dumps([studio(address, "Happy")]))
    (task,) = formats.read(path, "nobody", Settings()).tasks
    assert Path(task.path) == tmp_path / folder / "v#1.flac"


@pytest.mark.parametrize("name", ["a  b.flac", "in\\a.flac", "//[a.flac", "a?d=b.flac"])
def test_a_name_of_a_table_is_found_as_it_is_written(
    name: str, sounds: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "t" / name.replace("\\", "/").lstrip("/")
    place.parent.mkdir(parents=True)
    shutil.copyfile(sounds[0], place)
    name = str(place) if name.startswith("//") else name
    csv_table = table(tmp_path / "t" / "l.csv", ("file", "label"), (name, "sad"))
    studio_table = tmp_path / "t" / "l.json"
    studio_table.write_text(json.dumps([studio(name, "sad")]))
    for path in (csv_table, studio_table):
        (task,) = formats.read(path, "nobody", Settings()).tasks
        assert Path(task.path) == place.resolve()


def test_a_label_studio_file_that_is_cut_off_is_refused(sounds: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    (tmp_path / "s.flac").write_bytes(sounds[0].read_bytes())
    path.write_text("[" + json.dumps(studio("s.flac", "sad")))
    with refused("label_cut_off"):
        formats.read(path, "Ann", Settings())


@pytest.mark.parametrize("answer", ['{"sad": NaN}', '{"sad": 1e999}', '["sad"]', "3", "{"])
@pytest.mark.parametrize("name", ["answer", "other_answer"])
def test_an_answer_that_is_none_is_named_with_its_line(
    name: str, answer: str, sounds: list[Path], tmp_path: Path
) -> None:
    row = (str(sounds[0]), "sad", "plain", answer)
    path = table(tmp_path / "l.csv", ("file", "label", "reason", name), row)
    with refused("label_bad_value") as values:
        formats.read(path, "Ann", Settings())
    assert values["line"] == 2


def test_a_data_set_in_another_writing_is_refused_with_a_sentence(
    sounds: list[Path], tmp_path: Path
) -> None:
    shutil.copy(sounds[0], tmp_path / "a.wav")
    line = json.dumps({"file_name": "a.wav", "label": "happy", "note": "ü"}, ensure_ascii=False)
    for coding in ("utf-8", "utf-8-sig"):
        (tmp_path / "metadata.jsonl").write_text(line, encoding=coding)
        assert len(formats.read(tmp_path, "Ann", Settings()).labels) == 1
    (tmp_path / "metadata.jsonl").write_text(line, encoding="latin-1")
    with refused("label_unreadable"):
        formats.read(tmp_path, "Ann", Settings())


def test_a_time_that_is_no_number_is_named_with_its_line(
    sounds: list[Path], tmp_path: Path
) -> None:
    path = table(tmp_path / "t.csv", ("file", "label", "took"), (str(sounds[0]), "happy", "nan"))
    with refused("label_bad_duration") as values:
        formats.read(path, "Ann", Settings())
    assert values["line"] == 2


@pytest.mark.parametrize(
    "note", ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "'=1", "'tis", "''x"]
)
def test_no_cell_of_a_table_is_a_formula(note: str, sounds: list[Path], tmp_path: Path) -> None:
    task = replace(tasks_of(sounds)[0], source='=HYPERLINK("https://example.org")')
    label = Label(task=task.id, person="=cmd|' /C calc'!A0", name="sad", note=note, at="2026-01-01")
    formats.write_csv([Outcome(task, (label,))], tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))]
    found = formats.read_csv(tmp_path / "labels.csv", "", Settings())
    assert found.tasks[0].source == task.source
    assert (found.labels[0].person, found.labels[0].note) == (label.person, note)


@pytest.mark.parametrize("name", ["deep.jsonl", "deep.json"])
@pytest.mark.parametrize("deep", ["[" * 100_000, '[{"a":' * 100_000])
def test_a_file_that_is_nested_too_deeply_is_refused(name: str, deep: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(deep)
    with pytest.raises(LabelError) as caught:
        formats.read(tmp_path / name, "Ann", Settings())
    assert caught.value.code == "label_line"
    with pytest.raises(LabelError) as caught:
        sources.from_label_errors(tmp_path / name, Settings())
    assert caught.value.code == "label_line"


@pytest.mark.parametrize("time", [0, 1e9, 6e9])  # the years 1970, 2001 and 2160
def test_a_folder_is_packed_whatever_the_clock_says(tmp_path: Path, time: float) -> None:
    folder = tmp_path / "labels"
    (folder / "生气").mkdir(parents=True)
    file = folder / "生气" / "a.wav"
    file.write_bytes(b"a voice")
    os.utime(file, (time, time))
    formats.pack(folder)
    assert not folder.exists()
    with zipfile.ZipFile(tmp_path / "labels.zip") as packed:
        assert packed.read("labels/生气/a.wav") == b"a voice"
