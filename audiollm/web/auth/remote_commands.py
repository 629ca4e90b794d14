"""How to train where this page cannot: commands to copy. No gradio here."""

from audiollm.settings import Space

BEFORE = "python -m train prepare --corpus emodb --out data/emodb"
FIT = "train fit --data data/emodb --stage"
AFTER = (
    "python -m train merge --run runs/mine-stage2 --out models/mine",
    "python -m train evaluate --model models/mine --data data/emodb --record",
)


def _steps(space: Space) -> list[str]:
    return [
        f"hf download {space.id} --repo-type space --local-dir audiollm",
        "cd audiollm",
        "pip install -r requirements.txt",
        BEFORE,
        f"accelerate launch -m {FIT} 1 --out runs/mine-stage1",
        f"accelerate launch -m {FIT} 2 --from runs/mine-stage1 --out runs/mine-stage2",
        *AFTER,
    ]


def own_computer(space: Space) -> str:
    """For a terminal on a computer of one's own."""
    return "\n".join(["pip install huggingface_hub", *_steps(space)])


def hub_job(space: Space) -> str:
    """For Hugging Face Jobs: what it makes is uploaded, since its disk goes with it."""
    inside = ["pip install -q huggingface_hub", *_steps(space), "hf upload mine models/mine"]
    script = " &&\n  ".join(inside)
    machine = "--flavor a10g-small --timeout 3h --secrets HF_TOKEN python:3.12"
    return f"hf jobs run {machine} bash -c '\n  {script}'"
