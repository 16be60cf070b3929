"""Turns rows into Markdown tables, padded so that they read well in a terminal, and a CSV of every round."""

from __future__ import annotations

import csv
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import fio
from bench.cases import ABSENT, CPU_GOAL, FIO_GOAL
from bench.limits import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.commands import CommandRow
    from bench.runner import Row

HELD_GOAL_SECONDS = 0.002
TIMEOUT_GOAL_MILLISECONDS = 15
THREADS_GOAL = 1.5
OWN = ("ours", "ours-threads")
# Columns that are no rival: `io`, itself once more, and the device's own measure.
PEERS = ("io", "io-again", fio.NAME)
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
NOTHING = "-"
YES, NO = "yes", "**no**"
# Behind what is said of a row that need not be ahead.
NO_GOAL = "(no goal)"


@dataclass
class Table:
    """Columns as wide as their widest cell; the first is a name, the others are figures."""

    heading: list[str]
    rows: list[list[str]]
    #: Columns that say yes or no to a goal: what it is called, made with the other cells of its row.
    goals: dict[str, str] = field(default_factory=dict)

    def verdicts(self) -> Iterator[tuple[str, bool]]:
        """Each goal that the table says yes or no to, and which of these."""
        for row in self.rows:
            for heading, title in self.goals.items():
                cell = row[self.heading.index(heading)]
                if cell == YES or (cell.startswith(NO) and not cell.endswith(NO_GOAL)):
                    yield title.format(*row), cell == YES

    def markdown(self) -> str:
        # A bar would end the cell, also within a code span.
        heading, *rows = ([cell.replace("|", r"\|") for cell in line] for line in [self.heading, *self.rows])
        widths = [max(len(line[column]) for line in [heading, *rows]) for column in range(len(heading))]
        first, *others = widths
        ruler = ["-" * max(first, 3), *("-" * (max(width, 3) - 1) + ":" for width in others)]
        return "\n".join(self._line(cells, widths) for cells in (heading, ruler, *rows))

    def _line(self, cells: list[str], widths: list[int]) -> str:
        name, *figures = cells
        padded = [cell.rjust(max(width, 3)) for cell, width in zip(figures, widths[1:], strict=True)]
        return "| " + " | ".join([name.ljust(max(widths[0], 3)), *padded]) + " |"


def duration(seconds: float) -> str:
    """Three digits and the unit that suits them."""
    for size, unit in UNITS:
        if seconds >= size:
            # No exponent: 1e+03 ms is hard to read.
            return f"{float(f'{seconds / size:.3g}'):g} {unit}"
    return f"{seconds:.3g} s"


def mark(met: bool | None) -> str:
    return NOTHING if met is None else YES if met else NO


def number(value: float | None) -> str:
    """As many digits as say something: 127, 12.7, 1.27."""
    if value is None:
        return NOTHING
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def rivals_of(libraries: Iterable[str]) -> list[str]:
    return [name for name in libraries if name not in (*PEERS, *OWN)]


def is_met(row: Row) -> bool | None:
    ours = row.ratio("ours")
    return None if ours is None else ours <= row.case.goal


def ratio_table(rows: list[Row], libraries: list[str]) -> Table:
    """Each library's time over `io`'s, the goal, and whether a rival is ahead of ours."""
    rivals = rivals_of(libraries)
    own = [name for name in OWN if name in libraries]
    headings = {"ours": "ours", "ours-threads": "ours, threads"}
    table = Table(
        [
            *("time, as a multiple of io's", "io", "io / io", *(headings[name] for name in own)),
            *("goal", "met", *rivals, "ahead of all"),
        ],
        [],
        {"met": "{0}", "ahead of all": "{0}: ahead of all"},
    )
    for row in rows:
        again = row.ratios("io-again")
        table.rows.append(
            [
                row.case.title,
                duration(statistics.median(row.columns["io"].seconds)),
                f"{min(again):.2f}-{max(again):.2f}" if again else NOTHING,
                *(number(row.ratio(name)) for name in own),
                f"≤ {row.case.goal:g}",
                mark(is_met(row)),
                *(number(row.ratio(name)) for name in rivals),
                ahead(row, "ours", rivals),
            ]
        )
    return table


def ahead(row: Row, ours: str, rivals: list[str]) -> str:
    """Whether ours takes less time than each rival; a difference inside `io`'s own spread is none."""
    ratios = {name: row.ratio(ours, name) for name in rivals}
    found = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if not found:
        return NOTHING
    worst = max(found, key=lambda name: found[name])
    if found[worst] <= 1:
        return YES
    spread = max(row.ratios("io-again"), default=1.0)
    return f"level with {worst}" if found[worst] <= spread else f"{NO}: {worst}, {found[worst]:.2f}"


def threads_table(rows: list[Row], libraries: list[str]) -> Table:
    """What holds without io_uring: near our own figures with it where the cache serves, ahead of rivals."""
    goal = f"≤ {THREADS_GOAL:g} if cached"
    table = Table(
        [
            *("ours on threads", "time / io's", "time / ours with io_uring", goal),
            *("ahead of aiofiles", "ahead of ayafileio"),
        ],
        [],
        {
            goal: "{0}: threads beside io_uring",
            "ahead of aiofiles": "{0}: threads ahead of aiofiles",
            "ahead of ayafileio": "{0}: threads ahead of ayafileio",
        },
    )
    for row in rows:
        ratio = row.ratio("ours-threads", "ours")
        if ratio is None:
            continue
        ayafileio = ahead(row, "ours-threads", ["ayafileio"])
        table.rows.append(
            [
                row.case.title,
                number(row.ratio("ours-threads")),
                number(ratio),
                "cold" if row.case.cold else mark(ratio <= THREADS_GOAL),
                ahead(row, "ours-threads", ["aiofiles"]),
                f"{ayafileio} {NO_GOAL}" if row.case.cold else ayafileio,
            ]
        )
    return table


def held_table(rows: list[Row], libraries: list[str]) -> Table:
    """How long each library holds the event loop beyond what a bare loop suffers meanwhile."""
    own = [name for name in OWN if name in libraries]
    rivals = rivals_of(libraries)
    headings = {"ours": "ours", "ours-threads": "ours, threads"}
    goal = f"≤ {HELD_GOAL_SECONDS * 1000:g}"
    table = Table(
        ["loop held, ms above control", "control", *(headings[name] for name in own), goal, *rivals],
        [],
        {goal: "{0}: loop held"},
    )
    for row in rows:
        if not row.control:
            continue
        held = {name: row.held_above_control(name) for name in [*own, *rivals]}
        ours = [held[name] for name in own if held[name] is not None]
        table.rows.append(
            [
                row.case.title,
                f"{statistics.median(row.control) * 1000:.1f}",
                *(milliseconds(held[name]) for name in own),
                mark(all(value is None or value <= HELD_GOAL_SECONDS for value in ours) if ours else None),
                *(milliseconds(held[name]) for name in rivals),
            ]
        )
    return table


def milliseconds(seconds: float | None) -> str:
    """Below the clock's noise the sign says nothing."""
    return NOTHING if seconds is None else f"{seconds * 1000 + 0.0:.1f}".replace("-0.0", "0.0")


def figures_of(rows: list[Row]) -> list[Figure]:
    """Limits that come out of the rows themselves."""
    found = []
    for row in rows:
        own = [name for name in OWN if name in row.columns]
        if row.case.name == "read-whole":
            values = {name: row.ratios(name, "io", "cpu_seconds") for name in own}
            title = "CPU seconds of the 1 GiB read, as a multiple of io's"
            found.append(Figure("cpu", title, "", CPU_GOAL, values))
        if row.case.name == "pread":
            values = {name: row.ratios(name, fio.NAME) for name in own[:1]}
            title = "cold `pread`, 64 tasks, as a multiple of fio's io_uring at depth 64"
            note = "" if fio.NAME in row.columns else "fio is not installed"
            found.append(Figure("fio", title, "", FIO_GOAL, values, note))
        if row.case.name == "each-line":
            columns = row.columns
            values = {name: [s * 1000 for s in columns[name].timeout_seconds] for name in own}
            title = "`asyncio.timeout(0.010)` around a cached `async for` fires after"
            found.append(Figure("timeout", title, "ms", TIMEOUT_GOAL_MILLISECONDS, values))
    return found


def figure_table(figures: list[Figure]) -> Table:
    """Our own figures that have a limit, on every engine."""
    table = Table(["figure", "ours", "ours, threads", "goal", "met"], [], {"met": "{0}"})
    for figure in figures:
        unit = f" {figure.unit}" if figure.unit else ""
        medians = [figure.median(name) for name in OWN]
        cells = [NOTHING if value is None else f"{number(value)}{unit}" for value in medians]
        title = f"{figure.title} ({figure.note})" if figure.note else figure.title
        table.rows.append([title, *cells, f"≤ {figure.goal:g}{unit}", mark(figure.is_met())])
    return table


def timeout_line(row: Row) -> str:
    """When `asyncio.timeout(0.010)` around the first case fired, the median of each rival."""
    columns = row.columns.items()
    fired = {name: statistics.median(c.timeout_seconds) for name, c in columns if c.timeout_seconds}
    listed = ", ".join(f"{name} {s * 1000:.1f}" for name, s in fired.items() if name not in OWN)
    return f"The same timeout around the rivals' `async for`, ms: {listed}." if listed else ""


def error_lines(rows: list[Row]) -> list[str]:
    return [
        f"{row.case.title}: {name}: {column.error}"
        for row in rows
        for name, column in row.columns.items()
        if column.error not in (None, ABSENT)
    ]


def not_met(tables: list[Table]) -> str:
    """One line: how many of the goals that the tables say yes or no to are met, and which are not."""
    verdicts = [verdict for table in tables for verdict in table.verdicts()]
    missed = [title for title, met in verdicts if not met]
    line = f"{len(verdicts) - len(missed)} of {len(verdicts)} goals met"
    return f"{line}; not met: {'; '.join(missed)}." if missed else f"{line}."


def command_table(rows: list[CommandRow]) -> Table:
    """One line per comparison: ours over one other way of doing the same."""
    heading = [
        *("command, 1 GiB", "compared with", "theirs", "A/A", "ours/theirs", "goal", "met"),
        "ours on monoio/ours",
    ]
    table = Table(heading, [], {"met": "{0} beside {1}"})
    for row in rows:
        again = row.self_ratios()
        for peer in row.measured_peers():
            ratio = row.ratio(peer)
            table.rows.append(
                [
                    f"`{row.command.title}`",
                    f"`{peer.title}`",
                    duration(statistics.median(row.seconds[peer.title])),
                    f"{min(again):.2f}-{max(again):.2f}",
                    f"{ratio:.2f}",
                    f"≤ {peer.goal:g}",
                    mark(ratio <= peer.goal),
                    number(row.monoio_ratio()),
                ]
            )
    return table


def write_csv(
    path: Path, rows: list[Row], commands: list[CommandRow], figures: list[Figure], about: dict[str, str]
) -> None:
    """Every round of every library, below one line that describes the machine."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {'; '.join(f'{name}: {value}' for name, value in about.items())}\n")
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["case", "library", "quantity", "round", "value"])
        for case, library, quantity, values in series(rows, commands, figures):
            out.writerows([case, library, quantity, n, f"{v:.6g}"] for n, v in enumerate(values))


def series(
    rows: list[Row], commands: list[CommandRow], figures: list[Figure]
) -> Iterator[tuple[str, str, str, list[float]]]:
    """Each list of values with its case, its library and what it measures, with its unit."""
    for row in rows:
        yield row.case.name, "control", "held, s", row.control
        for library, column in row.columns.items():
            yield row.case.name, library, "time per operation, s", column.seconds
            yield row.case.name, library, "CPU time per operation, s", column.cpu_seconds
            yield row.case.name, library, "held, s", column.held_seconds
            yield row.case.name, library, "timeout, s", column.timeout_seconds
    for command in commands:
        for line, seconds in command.seconds.items():
            yield command.command.name, line, "whole process, s", seconds
    for figure in figures:
        for library, values in figure.values.items():
            yield figure.name, library, figure.unit or "ratio", values
