"""Decides, from some runs of each tree, whether one of the cases has become slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Callable

# What a case may take more than before, and how far the two least runs of one tree may differ.
GOAL = 0.05
STEADY = 0.005

# Runs of each tree: at least, and where they differ.
RUNS = 2
MOST_RUNS = 6

#: Instructions per operation of each case, in one run.
Run = dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Instructions per operation of one case: runs of the tree, and of what it grew from, at least two."""

    name: str
    now: tuple[float, ...]
    before: tuple[float, ...]

    @property
    def change(self) -> float:
        """0.05 is five per cent more than before, by the least of the runs."""
        return min(self.now) / min(self.before) - 1

    @property
    def spread(self) -> float:
        """How far the two least runs of one tree differ, of both trees the larger."""
        return max(second / least - 1 for least, second, *_ in map(sorted, (self.now, self.before)))

    @property
    def is_slower(self) -> bool:
        """Whether it is shown to be: by runs that agree, or by every run against every one before."""
        if self.is_steady:
            return self.change >= GOAL
        return min(self.now) / max(self.before) - 1 >= GOAL

    @property
    def is_steady(self) -> bool:
        return self.spread <= STEADY

    @property
    def verdict(self) -> str:
        return "SLOWER" if self.is_slower else "ok" if self.is_steady else "nothing can be said"


def comparisons(now: list[Run], before: list[Run]) -> list[Comparison]:
    """One per case, from the runs of each tree."""
    return [
        Comparison(name, tuple(run[name] for run in now), tuple(run[name] for run in before))
        for name in now[0]
    ]


def settled(count_now: Callable[[], Run], count_before: Callable[[], Run]) -> list[Comparison]:
    """Runs both trees in turn until every case is steady, as often as is worth the time."""
    now: list[Run] = []
    before: list[Run] = []
    while True:
        now.append(count_now())
        before.append(count_before())
        if len(now) < RUNS:
            continue
        compared = comparisons(now, before)
        if len(now) == MOST_RUNS or all(one.is_steady for one in compared):
            return compared


def table(compared: list[Comparison]) -> Table:
    """One line per case."""
    heading = ["instructions per operation", "before", "now", "change", "least two differ by", ""]
    rows = [
        [
            one.name,
            f"{min(one.before):,.0f}",
            f"{min(one.now):,.0f}",
            f"{one.change:+.2%}",
            f"{one.spread:.2%}",
            one.verdict,
        ]
        for one in compared
    ]
    return Table(heading, rows)


def exit_status(compared: list[Comparison]) -> int:
    """1 when a case is shown to be slower, otherwise 0."""
    return 1 if any(one.is_slower for one in compared) else 0


def summary(compared: list[Comparison]) -> str:
    """What came of it, in a line or two."""
    slower = [one.name for one in compared if one.is_slower]
    unknown = [one.name for one in compared if not (one.is_slower or one.is_steady)]
    lines = [f"{GOAL:.0%} more instructions than before, or more than that: {', '.join(slower)}."]
    if not slower:
        lines = [f"No case is shown to take {GOAL:.0%} more instructions than before."]
    if unknown:
        lines.append(
            f"Nothing can be said about {', '.join(unknown)}: even the two least of {MOST_RUNS} runs of one "
            f"tree differ by more than {STEADY:.1%}."
        )
    return "\n".join(lines)
