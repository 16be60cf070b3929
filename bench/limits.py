"""Figures that have a limit of their own instead of a ratio to `io`, measured on each of our engines."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import programs

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 11


@dataclass(frozen=True)
class Limit:
    """A program that prints one number; it runs in a process of its own, given a folder for its files."""

    name: str
    title: str
    program: str
    unit: str
    goal: float
    rounds: int = ROUNDS


@dataclass
class Figure:
    """A number per engine, by the library's name, with its limit."""

    name: str
    title: str
    unit: str
    goal: float
    values: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""

    def median(self, library: str) -> float | None:
        values = self.values.get(library)
        return statistics.median(values) if values else None

    def is_met(self) -> bool | None:
        """On every engine that was measured; None where none was."""
        medians = [statistics.median(values) for values in self.values.values() if values]
        return all(value <= self.goal for value in medians) if medians else None


LIMITS = [
    Limit("idle-file", "memory of an idle open file", programs.IDLE, "KiB", 16),
    Limit(
        *("in-flight", "memory in flight, 1,024 tasks x `pread(64 KiB)`", programs.IN_FLIGHT, "MiB", 8),
        rounds=5,
    ),
    Limit("flat", "memory growth over a sequential read of 10 GiB", programs.FLAT, "MiB", 1, rounds=1),
    Limit(
        "copy-memory",
        "memory of `afx copy --hash sha256` to two targets, 1 GiB",
        programs.COPY,
        "MiB",
        32,
        rounds=3,
    ),
    Limit("import", "`import aiofile`, above `import asyncio`", programs.IMPORT, "ms", 15),
    Limit(
        *("executor", "calls of the default executor, plain reads and writes", programs.EXECUTOR, "calls", 0),
        rounds=1,
    ),
]


def measure(limit: Limit, engines: dict[str, dict[str, str]], folder: Path) -> Figure:
    """Runs the program on every engine, round by round."""
    figure = Figure(limit.name, limit.title, limit.unit, limit.goal)
    for _ in range(limit.rounds):
        for library, environment in engines.items():
            done = subprocess.run(
                [sys.executable, "-c", limit.program, str(folder)],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                figure.note = (done.stderr.strip().splitlines() or ["no message"])[-1]
                return figure
            figure.values.setdefault(library, []).append(float(done.stdout))
    return figure
