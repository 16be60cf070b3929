"""The records of bench-scaling, and which points a machine leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.runner import Column, Row
from bench.scaling import points, records
from bench.scaling.points import POINTS


def a_row(seconds: list[float], held: list[float]) -> Row:
    (point,) = (point for point in POINTS if point.case.name == "open-files-100")
    return Row(point.case, {"ours": Column(seconds=seconds, bytes=held)})


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "open-files.csv"
    rows = {10: a_row([2.0, 1.0, 9.0], [4096.0, 0.0, 0.0]), 100: a_row([3.0], [])}
    records.record(path, "open-files", rows, {"CPUs": "2"}, ["left out: 1000: why"])
    assert path.read_text().splitlines()[:3] == [
        "# CPUs: 2",
        "# left out: 1000: why",
        "files,library,round,seconds,bytes",
    ]
    found = records.load(path)["ours"]
    assert [(reading.x, reading.median, reading.bytes) for reading in found] == [
        (10, 2.0, 4096.0),
        (100, 3.0, None),
    ]


def test_the_experiments_reach_as_far_as_they_should() -> None:
    reach = {name: [point.x for point in POINTS if point.experiment == name] for name in points.EXPERIMENTS}
    assert {name: (xs[0], xs[-1]) for name, xs in reach.items()} == {
        "size-whole": (4 * 1024, 4 * 1024**3),
        "size-sequential": (4 * 1024, 4 * 1024**3),
        "tasks-cached": (1, 4096),
        "tasks-cold": (1, 4096),
        "open-files": (1, 10_000),
        "line-length": (1, 65_536),
    }
    assert len({point.case.name for point in POINTS}) == len(POINTS)


def test_what_does_not_fit_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def why_not(name: str) -> str | None:
        return next(point for point in POINTS if point.case.name == name).why_not(tmp_path)

    monkeypatch.setattr(points, "available_memory", lambda: 2 * points.GIB)
    monkeypatch.setattr(points, "hard_limit", lambda: 4096)
    assert why_not(f"size-whole-{points.GIB}") == "needs 3072 MiB of memory"
    assert why_not("open-files-10000") == "a process may open 4096 files"
    assert why_not("open-files-1000") is None
    assert why_not("tasks-cold-4096") is None
