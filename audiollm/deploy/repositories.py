"""A model folder, and people's labels, as repositories of the hub."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from audiollm import hub
from audiollm.contracts.manifest import MANIFEST_NAME, Manifest
from audiollm.contracts.options import read_json
from audiollm.deploy.calls import Call, creation
from audiollm.deploy.card import card, encoder_is_public
from audiollm.errors import ConfigError, ModelError
from audiollm.labelling.formats import write_dataset
from audiollm.labelling.tasks import Label, Outcome, Task


def model_calls(
    folder: Path, id: str, *, licence: str = "", public: bool = False, message: str = "Upload"
) -> list[Call]:
    """Pushes a folder made by `python -m train merge`, with its card.

    Raises:
        ModelError: it is no model, or lacks a file.
        ConfigError: its encoder is a folder that nobody else has; it has no licence.
    """
    if missing := hub.missing(folder, (*hub.LLM_FILES, MANIFEST_NAME)):
        raise ModelError("hub_folder", folder=folder, missing=missing)
    manifest = read_json(Manifest, folder / MANIFEST_NAME)
    if not encoder_is_public(manifest.encoder):
        raise ConfigError("deploy_encoder", id=manifest.encoder.id)
    readme = card(folder, manifest, id, licence).encode()
    uploaded = {"repo_id": id, "commit_message": message}
    patterns = [name for name in hub.LLM_PATTERNS if name != "README.md"]
    return [
        *creation(id, "model", public=public),
        Call("upload_folder", {**uploaded, "folder_path": str(folder), "allow_patterns": patterns}),
        Call("upload_file", {**uploaded, "path_or_fileobj": readme, "path_in_repo": "README.md"}),
    ]


def label_calls(
    outcomes: Sequence[Outcome], folder: Path, id: str, *, public: bool = False
) -> list[Call]:
    """Pushes labelled clips as a data set of the kind `audiofolder`, which is written to `folder`.

    Raises:
        ConfigError: nothing is labelled.
        LabelError: the folder exists, or a sound cannot be copied.
    """
    labelled = [outcome for outcome in outcomes if outcome.all_labels]
    if not labelled:
        raise ConfigError("deploy_no_labels")
    write_dataset(anonymous(labelled), folder)
    uploaded = {
        "repo_id": id,
        "repo_type": "dataset",
        "folder_path": str(folder),
        "delete_patterns": ["data/*"],  # clips whose labels were withdrawn
        "commit_message": f"{len(labelled)} labelled clips",
    }
    return [*creation(id, "dataset", public=public), Call("upload_folder", uploaded)]


def anonymous(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Without names of people and folders, and without notes; people and speakers are numbered."""
    people = _numbers("annotator", (label.person for o in outcomes for label in o.all_labels))
    speakers = _numbers("speaker", (outcome.task.speaker for outcome in outcomes))

    def label(value: Label) -> Label:
        return replace(value, person=people[value.person], note="")

    def task(value: Task) -> Task:
        model, other = Path(value.model).name, Path(value.other_model).name
        speaker = speakers[value.speaker]
        return replace(value, speaker=speaker, source="", model=model, other_model=other)

    return [
        Outcome(
            task(outcome.task),
            tuple(map(label, outcome.labels)),
            label(outcome.decision) if outcome.decision else None,
        )
        for outcome in outcomes
    ]


def _numbers(word: str, names: Iterable[str]) -> dict[str, str]:
    distinct = sorted({name for name in names if name})
    return {"": "", **{name: f"{word} {i}" for i, name in enumerate(distinct, start=1)}}
