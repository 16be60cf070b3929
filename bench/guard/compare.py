"""Decides, from two runs of each tree, whether one of the cases has become slower."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report import Table

# What a case may take more than before, and how far two runs of one tree may differ.
GOAL = 0.05
STEADY = 0.005


@dataclass(frozen=True)
class Comparison:
    """Instructions per operation of one case: two runs of the tree, and two of what it grew from."""

    name: str
    now: tuple[float, float]
    before: tuple[float, float]

    @property
    def change(self) -> float:
        """0.05 is five per cent more than before."""
        return min(self.now) / min(self.before) - 1

    @property
    def spread(self) -> float:
        """How far two runs of one tree differ, of both trees the larger."""
        return max(max(runs) / min(runs) - 1 for runs in (self.now, self.before))

    @property
    def is_slower(self) -> bool:
        return self.change >= GOAL

    @property
    def is_steady(self) -> bool:
        return self.spread <= STEADY

    @property
    def verdict(self) -> str:
        return "SLOWER" if self.is_slower else "ok" if self.is_steady else "UNSTEADY"


def comparisons(now: list[dict[str, float]], before: list[dict[str, float]]) -> list[Comparison]:
    """One per case, from the runs of each tree."""
    return [
        Comparison(name, (now[0][name], now[1][name]), (before[0][name], before[1][name])) for name in now[0]
    ]


def table(compared: list[Comparison]) -> Table:
    """One line per case."""
    heading = ["instructions per operation", "before", "now", "change", "two runs differ by", ""]
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
    """0 when every case is as it was or better, 1 when one is slower, 2 when two runs do not agree."""
    if any(one.is_slower for one in compared):
        return 1
    return 0 if all(one.is_steady for one in compared) else 2
