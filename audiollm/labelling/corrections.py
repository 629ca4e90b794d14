"""How often listeners named another class than the model: counts alone, of no clip and nobody."""

from dataclasses import dataclass
from pathlib import Path

from audiollm.database import Database
from audiollm.errors import DataError
from audiollm.labels import Language


@dataclass(frozen=True)
class Correction:
    """What a listener said of an answer."""

    label: str  # class
    predicted: str  # class
    language: Language  # of the answer


class Corrections:
    """The counts of a home folder."""

    def __init__(self, home: Path) -> None:
        """
        Raises:
            DataError: the folder cannot be written, or a newer program wrote the database.
        """
        self._database = Database(
            home, lambda error: DataError("database_unusable", path=home, reason=error)
        )

    def add(self, correction: Correction, times: int = 1) -> None:
        """Counts a correction; `times` is -1 where one is taken back.

        Raises:
            DataError: the database cannot be written.
        """
        with self._database.write() as db:
            db.execute(
                "INSERT INTO corrections VALUES (?,?,?,MAX(0,?4)) ON CONFLICT DO UPDATE"
                " SET times=MAX(0, times+?4)",
                (correction.label, correction.predicted, correction.language, times),
            )

    def all(self) -> dict[Correction, int]:
        """Every correction and how often it was made, the most frequent first."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT * FROM corrections WHERE times>0 ORDER BY times DESC, answered, said"
            ).fetchall()
        return {Correction(r["said"], r["answered"], r["language"]): r["times"] for r in rows}
