"""python -m bench.scaling [--only EXPERIMENTS] [--rounds N] [--most N] [--csv DIR]."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench import environments, machine
from bench.__main__ import FOLDER, REPOSITORY, names, progress
from bench.environments import ChildError, Library
from bench.runner import CaseRun, Column
from bench.scaling import points
from bench.scaling.points import Point
from bench.scaling.records import RECORDS, record

if TYPE_CHECKING:
    from bench.fio import FioWorker
    from bench.runner import Row, Worker

ROUNDS = 3
# A first round that is not timed is worth its time only where it is short.
WARM_UP_BYTES = 256 * 1024 * 1024


class PointRun(CaseRun):
    """What was done is checked by its count in every round, not by reading it once more."""

    def _first_round(self, worker: Worker | FioWorker, column: Column, number: int) -> None:
        del column, number
        worker.ask("set-up")
        worker.ask("round")


class ColdStartRun(PointRun):
    def _first_round(self, worker: Worker | FioWorker, column: Column, number: int) -> None:
        """A warm-up would take too long, or change what is measured."""


def measure(point: Point, libraries: list[Library], rounds: int) -> Row:
    # The memory of open files is what a process takes that has none yet: only its first round tells.
    is_cold = point.disk > WARM_UP_BYTES or point.experiment == "open-files"
    run = ColdStartRun if is_cold else PointRun
    return run(point.case, libraries, FOLDER / "data", REPOSITORY).run(rounds, holds=False)


def libraries_of(experiment: str, libraries: list[Library]) -> list[Library]:
    """Batches are another way to read lines, and nothing else."""
    return [library for library in libraries if library.name != "ours-batches" or experiment == "line-length"]


def find_libraries(engine: str) -> tuple[list[Library], list[str]]:
    rivals, missing = environments.rivals(FOLDER)
    own = [library for library in environments.own_libraries(engine) if library.name != "io-again"]
    (ours,) = (library for library in own if library.name == "ours")
    return [*own, Library("ours-batches", ours.python, ours.environment), *rivals], missing


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.scaling", description="Measure how costs grow.")
    parser.add_argument("--only", type=names, default=points.EXPERIMENTS, metavar="EXPERIMENTS")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--most", type=int, metavar="N", help="leave out the points above: --most 65536")
    parser.add_argument("--csv", type=Path, default=RECORDS, metavar="DIR")
    chosen = parser.parse_args()
    if unknown := set(chosen.only) - {*points.EXPERIMENTS}:
        parser.error(f"no such experiment: {', '.join(sorted(unknown))}; there are {points.EXPERIMENTS}")
    FOLDER.mkdir(exist_ok=True)
    about = machine.description()
    libraries, missing = find_libraries(about["engine"].partition(":")[0])
    for experiment in chosen.only:
        rows: dict[int, Row] = {}
        left_out = list(missing)
        for point in (point for point in points.POINTS if point.experiment == experiment):
            if chosen.most is not None and point.x > chosen.most:
                continue
            reason = point.why_not(FOLDER)
            if reason is not None:
                left_out.append(f"left out: {point.x}: {reason}")
                continue
            progress(f"{experiment}, {point.x:,}")
            try:
                rows[point.x] = measure(point, libraries_of(experiment, libraries), chosen.rounds)
            except ChildError as error:
                left_out.append(f"left out: {point.x}: {error}")
                continue
            columns = rows[point.x].columns.items()
            left_out += [f"{point.x}: {name}: {c.error}" for name, c in columns if c.error is not None]
        print("".join(f"{line}\n" for line in left_out), end="", flush=True)
        record(chosen.csv / f"{experiment}.csv", experiment, rows, about, left_out)


if __name__ == "__main__":
    main()
