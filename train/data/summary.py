"""What `prepare` counts of a corpus, and the table that it prints."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiollm import labels
from audiollm.contracts.messages import Message
from audiollm.contracts.prepared import REJECTED, Counts, Summary
from train.corpora import SPLITS, Clip, Rejected


def summarise(clips: Sequence[Clip], rejected: Sequence[Rejected]) -> Summary:
    """Counts of every split and the reasons of rejection."""

    def part(members: list[Clip]) -> Counts:
        counts = Counter(c.label for c in members)
        return Counts(
            clips=len(members),
            hours=round(sum(c.seconds for c in members) / 3600, 4),
            speakers=len({c.speaker for c in members if c.speaker}),
            classes={name: counts[name] for name in labels.ordered(counts)},
        )

    names = sorted({c.corpus for c in clips})
    return Summary(
        splits={name: part([c for c in clips if c.split == name]) for name in SPLITS},
        corpora={name: part([c for c in clips if c.corpus == name]) for name in names},
        all=part(list(clips)),
        rejected=dict(Counter(r.kind for r in rejected).most_common()),
    )


def table(summary: Summary, notes: Sequence[Message], out: Path) -> str:
    """The summary as a person reads it."""
    classes = list(summary.all.classes)
    rows: list[list[Any]] = [["", "clips", "hours", "speakers", *classes]]
    parts = {**summary.splits, "all": summary.all}
    if len(summary.corpora) > 1:
        parts.update(summary.corpora)
    for name, part in parts.items():
        counts = [part.classes.get(label, 0) for label in classes]
        hours = f"{part.hours:.2f}" if part.hours else "?"  # features bring no length
        rows.append([name, part.clips, hours, part.speakers or "?", *counts])
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            [str(row[0]).ljust(widths[0])]
            + [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]
    if summary.rejected:
        total = sum(summary.rejected.values())
        lines += ["", f"{total} files are not used; {out / REJECTED} says why, file by file:"]
        lines += [f"  {count:>6}  {kind}" for kind, count in summary.rejected.items()]
    lines += ["", *(f"Note: {note}." for note in notes)] if notes else []
    following = shlex.join(["python", "-m", "train", "fit", "--stage", "1", "--data", str(out)])
    lines += ["", f"Prepared in {out}. Next: {following}"]
    return "\n".join(lines) + "\n"
