"""Runs a case: every library in its own process, round after round, in an order that rotates."""

from __future__ import annotations

import json
import signal
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import environments, fio, order
from bench.data import Data
from bench.environments import ChildError

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from bench.cases import Case
    from bench.environments import Library

ROUNDS = 5
ROUNDS_OF_WRITES = 11


@dataclass
class Column:
    """The figures of one library: per round, seconds per operation and what the loop suffered."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    held_seconds: list[float] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)
    timeout_seconds: list[float] = field(default_factory=list)
    error: str | None = None


@dataclass
class Row:
    """All figures of one case. `control` is a bare loop's worst gap while another process used `io`."""

    case: Case
    columns: dict[str, Column]
    control: list[float] = field(default_factory=list)

    def ratios(self, library: str, other: str = "io", quantity: str = "seconds") -> list[float]:
        """One per round: the library against the other in the same round."""
        if library not in self.columns or other not in self.columns:
            return []
        pairs = zip(self._figures(library, quantity), self._figures(other, quantity), strict=False)
        return [one / another for one, another in pairs]

    def _figures(self, library: str, quantity: str) -> list[float]:
        figures: list[float] = getattr(self.columns[library], quantity)
        return figures

    def ratio(self, library: str, other: str = "io", quantity: str = "seconds") -> float | None:
        """The median of the pairwise ratios, or None where there are no figures."""
        ratios = self.ratios(library, other, quantity)
        return statistics.median(ratios) if ratios else None

    def held_above_control(self, library: str) -> float | None:
        """The median of each round's longest hold, in seconds, beyond what a bare loop suffers meanwhile."""
        held = self.columns[library].held_seconds if library in self.columns else []
        return statistics.median(held) - statistics.median(self.control) if held and self.control else None


class Worker:
    """The parent's end of a child."""

    def __init__(self, library: Library, case: Case, folder: Path, repository: Path) -> None:
        self.library = library
        self.operations = case.operations_of(library.name)
        arguments = [library.name, case.name, str(self.operations), str(folder)]
        self._process: subprocess.Popen[str] = environments.start(library, arguments, repository)

    def send(self, request: str) -> None:
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildError("its process ended") from None

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(f"its process ended with status {self._process.wait()}")
        # Threads that a library leaves spinning would take the others' time.
        self._process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer

    def ask(self, request: str) -> dict[str, Any]:
        self.send(request)
        return self.receive()

    def end(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class CaseRun:
    """One case with its children; a library that fails is left out from then on, with its message kept."""

    def __init__(self, case: Case, libraries: list[Library], folder: Path, repository: Path) -> None:
        self.row = Row(case, {library.name: Column() for library in libraries})
        # The children only find the data: two that made the same file would meet.
        for operations in {case.operations_of(library.name) for library in libraries}:
            case.prepare(Data(folder), "io", operations)
        self._workers: dict[str, Worker | fio.FioWorker] = {
            library.name: Worker(library, case, folder, repository) for library in libraries
        }
        if case.name == "pread" and fio.is_here():
            self.row.columns[fio.NAME] = Column()
            self._workers[fio.NAME] = fio.FioWorker(Data(folder).big(), case.operations)

    def run(self, rounds: int, holds: bool) -> Row:
        try:
            self._each(0, self._first_round)
            for number in range(rounds):
                self._each(number, self._timed_round)
            for number in range(min(rounds, ROUNDS) if holds else 0):
                self._each(number, self._held_round)
                self._control_round()
            if self.row.case.name == "each-line":
                for number in range(min(rounds, ROUNDS)):
                    self._each(number, self._timeout_round)
        finally:
            for worker in self._workers.values():
                worker.end()
        return self.row

    def _each(self, number: int, measure: Any) -> None:
        names = [name for name in self._workers if self.row.columns[name].error is None]
        for name in order.of_round(names, number):
            try:
                measure(self._workers[name], self.row.columns[name], number)
            except ChildError as error:
                if name == "io":
                    raise
                self.row.columns[name].error = str(error)

    def _first_round(self, worker: Worker | fio.FioWorker, _column: Column, _number: int) -> None:
        """Warms up and compares what is read, which stays the same, with what `io` reads."""
        worker.ask("set-up")
        worker.ask("round")
        worker.ask("check")
        worker.ask("clear")

    def _timed_round(self, worker: Worker | fio.FioWorker, column: Column, _number: int) -> None:
        worker.ask("set-up")
        answer = worker.ask("round")
        if self.row.case.writes:
            worker.ask("check")
        worker.ask("clear")
        column.seconds.append(answer["seconds"] / worker.operations)
        column.cpu_seconds.append(answer["cpu_seconds"] / worker.operations)
        if "bytes" in answer:
            column.bytes.append(answer["bytes"] / worker.operations)

    def _held_round(self, worker: Worker | fio.FioWorker, column: Column, _number: int) -> None:
        if isinstance(worker, fio.FioWorker) or worker.library.blocking:
            return
        worker.ask("set-up")
        column.held_seconds.append(worker.ask("held")["held_seconds"])
        worker.ask("clear")

    def _timeout_round(self, worker: Worker | fio.FioWorker, column: Column, _number: int) -> None:
        if not isinstance(worker, fio.FioWorker) and not worker.library.blocking:
            column.timeout_seconds.append(worker.ask("timeout")["seconds"])

    def _control_round(self) -> None:
        busy, idle = self._workers["io"], self._workers["io-again"]
        assert isinstance(idle, Worker)
        busy.ask("set-up")
        idle.send("idle")
        busy.ask("round")
        idle.send("stop")
        self.row.control.append(idle.receive()["held_seconds"])
        busy.ask("clear")


def run_case(
    case: Case, libraries: list[Library], folder: Path, repository: Path, rounds: int | None, holds: bool
) -> Row:
    """The figures of one case. Without `io` twice there is no control, so nothing can be held against it."""
    wanted = rounds or (ROUNDS_OF_WRITES if case.writes else ROUNDS)
    return CaseRun(case, libraries, folder, repository).run(wanted, holds)
