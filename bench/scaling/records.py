"""What was measured, on its way to docs/benchmarks/*.csv and back."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.runner import Row

RECORDS = Path(__file__).parents[2] / "docs" / "benchmarks"
X_NAMES = {
    "size-whole": "file bytes",
    "size-sequential": "file bytes",
    "tasks-cached": "tasks",
    "tasks-cold": "tasks",
    "open-files": "files",
    "line-length": "line bytes",
}


@dataclass(frozen=True)
class Reading:
    """The rounds of one library at one point."""

    x: int
    seconds: list[float]
    bytes: float | None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def record(
    path: Path, experiment: str, rows: dict[int, Row], about: dict[str, str], left_out: list[str]
) -> None:
    """Every round of every library, below a line that describes the machine and one per gap."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {'; '.join(f'{name}: {value}' for name, value in about.items())}\n")
        file.writelines(f"# {line}\n" for line in left_out)
        out = csv.writer(file, lineterminator="\n")
        out.writerow([X_NAMES[experiment], "library", "round", "seconds", "bytes"])
        for x, row in rows.items():
            for library, column in row.columns.items():
                for number, seconds in enumerate(column.seconds):
                    held = f"{column.bytes[0]:.6g}" if column.bytes and number == 0 else ""
                    out.writerow([x, library, number, f"{seconds:.6g}", held])


def load(path: Path) -> dict[str, list[Reading]]:
    """The readings of every library, by growing x."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))[1:]
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    held: dict[tuple[str, int], float] = {}
    for x, library, _round, took, memory in rows:
        seconds[library, int(x)].append(float(took))
        if memory:
            held[library, int(x)] = float(memory)
    found: dict[str, list[Reading]] = defaultdict(list)
    for key, rounds in sorted(seconds.items()):
        found[key[0]].append(Reading(key[1], rounds, held.get(key)))
    return found
