"""Turns rows into a table for the terminal, one for a README, and a CSV of every round."""

from __future__ import annotations

import csv
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.cases import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.commands import CommandRow
    from bench.runner import Row

HELD_GOAL_SECONDS = 0.002
TIMEOUT_GOAL_SECONDS = 0.015
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
NOTHING = "-"


@dataclass
class Table:
    """Columns as wide as their widest cell; the first is a name, the others are figures."""

    heading: list[str]
    rows: list[list[str]]

    def text(self) -> str:
        lines = [self.heading, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heading))]
        return "\n".join(self._line(line, widths) for line in lines)

    def _line(self, cells: list[str], widths: list[int]) -> str:
        name, *figures = cells
        padded = [cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=True)]
        return "  ".join([name.ljust(widths[0]), *padded]).rstrip()

    def markdown(self) -> str:
        ruler = ["---", *(["---:"] * (len(self.heading) - 1))]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (self.heading, ruler, *self.rows))


def duration(seconds: float) -> str:
    """Three digits and the unit that suits them."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def mark(value: float, goal: float) -> str:
    return "ok" if value <= goal else "MISS"


def ratio_table(rows: list[Row], libraries: list[str]) -> Table:
    """Each library's time over `io`'s; a rival that is ahead of ours carries an exclamation mark."""
    others = [name for name in libraries if name not in ("io", "io-again", "ours")]
    table = Table(["case, time / io's", "io", "io/io", "ours", "goal", "", *others], [])
    for row in rows:
        ours = row.ratio("ours")
        again = row.ratios("io-again")
        table.rows.append(
            [
                row.case.title,
                duration(statistics.median(row.columns["io"].seconds)),
                f"{min(again):.2f}-{max(again):.2f}" if again else NOTHING,
                NOTHING if ours is None else f"{ours:.2f}",
                f"<= {row.case.goal:g}",
                NOTHING if ours is None else mark(ours, row.case.goal),
                *(rival_cell(row.ratio(name), ours, name) for name in others),
            ]
        )
    return table


def rival_cell(ratio: float | None, ours: float | None, name: str) -> str:
    if ratio is None:
        return NOTHING
    ahead = ours is not None and ratio < ours and name != "ours-threads"
    return f"{ratio:.3g}{'!' if ahead else ''}"


def held_table(rows: list[Row], libraries: list[str]) -> Table:
    """How long each library holds the event loop beyond what a bare loop suffers meanwhile."""
    names = [name for name in libraries if name not in ("io", "io-again")]
    goal = f"goal <= {HELD_GOAL_SECONDS * 1000:g}"
    table = Table(["case, loop held in ms above control", "control", names[0], goal, *names[1:]], [])
    for row in rows:
        if not row.control:
            continue
        first, *others = (row.held_above_control(name) for name in names)
        table.rows.append(
            [
                row.case.title,
                f"{statistics.median(row.control) * 1000:.1f}",
                milliseconds(first),
                NOTHING if first is None else mark(first, HELD_GOAL_SECONDS),
                *map(milliseconds, others),
            ]
        )
    return table


def milliseconds(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{seconds * 1000:.1f}"


def timeout_line(row: Row) -> str:
    """When `asyncio.timeout(0.010)` around the first case fired, the median of each library."""
    columns = row.columns.items()
    fired = {name: statistics.median(c.timeout_seconds) for name, c in columns if c.timeout_seconds}
    if not fired:
        return "asyncio.timeout(0.010): not measured"
    listed = ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in fired.items())
    verdict = f" (goal <= 15: {mark(fired['ours'], TIMEOUT_GOAL_SECONDS)})" if "ours" in fired else ""
    return f"asyncio.timeout(0.010) around a cached async for fires after ms: {listed}{verdict}"


def error_lines(rows: list[Row]) -> list[str]:
    return [
        f"{row.case.title}: {name}: {column.error}"
        for row in rows
        for name, column in row.columns.items()
        if column.error not in (None, ABSENT)
    ]


def command_table(rows: list[CommandRow]) -> Table:
    """One line per comparison: ours over one other way of doing the same."""
    table = Table(["command, 1 GiB", "compared with", "theirs", "A/A", "ours/theirs", "goal", ""], [])
    for row in rows:
        again = row.self_ratios()
        for peer in row.measured_peers():
            ratio = row.ratio(peer)
            table.rows.append(
                [
                    row.command.title,
                    peer.title,
                    duration(statistics.median(row.seconds[peer.title])),
                    f"{min(again):.2f}-{max(again):.2f}",
                    f"{ratio:.2f}",
                    f"<= {peer.goal:g}",
                    mark(ratio, peer.goal),
                ]
            )
    return table


def write_csv(path: Path, rows: list[Row], commands: list[CommandRow], about: dict[str, str]) -> None:
    """Every round of every library; the machine is described in each line, so files can be put together."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["case", "library", "quantity", "round", "seconds", *about])
        for case, library, quantity, figures in series(rows, commands):
            out.writerows([case, library, quantity, n, s, *about.values()] for n, s in enumerate(figures))


def series(rows: list[Row], commands: list[CommandRow]) -> Iterator[tuple[str, str, str, list[float]]]:
    """Each list of figures with its case, its library and what it measures."""
    for row in rows:
        yield row.case.name, "control", "held", row.control
        for library, column in row.columns.items():
            yield row.case.name, library, "per operation", column.seconds
            yield row.case.name, library, "cpu per operation", column.cpu_seconds
            yield row.case.name, library, "held", column.held_seconds
            yield row.case.name, library, "timeout", column.timeout_seconds
    for command in commands:
        for line, figures in command.seconds.items():
            yield command.command.name, line, "whole process", figures
