"""The command afx against the usual ones: whole processes, cached source, target removed before each."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import data, monoio, order

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUNDS = 11
AGAIN = " (again)"
DIGEST = re.compile(r"\b[0-9a-f]{32,}\b")


@dataclass(frozen=True)
class Peer:
    """Another way to the same result, as a shell line; `goal` is for ours / theirs."""

    title: str
    line: str
    goal: float
    # The program that must be there; the last word of the title if none is named.
    needs: str = ""

    @property
    def program(self) -> str:
        return self.needs or self.title.split()[-1]


@dataclass(frozen=True)
class Command:
    """A shell line of afx with its peers: $S is the source, $U another one, $T the target, as is $T.2."""

    name: str
    title: str
    line: str
    peers: tuple[Peer, ...]
    writes: bool = True
    # What is printed: digests of what is read. Those of SHA-256 are compared with Python's own, those of
    # others with what the first peer prints.
    digest: str | None = None
    reads_two: bool = False


@dataclass
class CommandRow:
    """Seconds per round for ours (`afx`, and on monoio), each peer by title, and the first peer once more."""

    command: Command
    seconds: dict[str, list[float]] = field(default_factory=dict)
    error: str | None = None

    def measured_peers(self) -> list[Peer]:
        return [peer for peer in self.command.peers if self.seconds.get(peer.title)]

    def ratio(self, peer: Peer) -> float:
        return self._ratio("afx", peer.title)

    def monoio_ratio(self) -> float | None:
        """Ours on monoio over ours."""
        return self._ratio(monoio.TITLE, "afx") if self.seconds.get(monoio.TITLE) else None

    def _ratio(self, line: str, other: str) -> float:
        pairs = zip(self.seconds[line], self.seconds[other], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def self_ratios(self) -> list[float]:
        """The first peer against itself: what a difference must exceed to be one."""
        first = self.measured_peers()[0].title
        pairs = zip(self.seconds[first + AGAIN], self.seconds[first], strict=True)
        return [again / once for again, once in pairs]


COMMANDS = [
    Command(
        "copy",
        "afx copy",
        '"$AFX" copy "$S" "$T"',
        (
            Peer("cp", 'cp "$S" "$T"', 0.95),
            Peer("cat", 'cat "$S" > "$T"', 0.95),
            Peer("rsync", 'rsync --whole-file "$S" "$T"', 0.95),
            Peer("xcp", 'xcp --no-progress "$S" "$T"', 0.95),
        ),
    ),
    Command(
        "copy-durable",
        "afx copy --durability=full",
        '"$AFX" copy --durability=full "$S" "$T"',
        (Peer("cp && sync", 'cp "$S" "$T" && sync "$T"', 1.0),),
    ),
    Command(
        "copy-two",
        "afx copy --hash sha256 --tee, two targets",
        '"$AFX" copy --hash sha256 "$S" "$T" --tee "$T.2"',
        (Peer("one target", '"$AFX" copy --hash sha256 "$S" "$T"', 1.3, needs="sh"),),
    ),
    Command(
        "copy-hash",
        "afx copy --hash sha256",
        '"$AFX" copy --hash sha256 "$S" "$T"',
        (
            Peer("cp && sha256sum", 'cp "$S" "$T" && sha256sum "$T"', 0.30),
            Peer("cp && openssl", 'cp "$S" "$T" && openssl dgst -sha256 "$T"', 0.75),
        ),
        digest="sha256",
    ),
    Command(
        "hash",
        "afx hash -a sha256",
        '"$AFX" hash -a sha256 "$S"',
        (Peer("sha256sum", 'sha256sum "$S"', 0.30), Peer("openssl", 'openssl dgst -sha256 "$S"', 1.05)),
        writes=False,
        digest="sha256",
    ),
    Command(
        "hash-two",
        "afx hash -a sha256, two files",
        '"$AFX" hash -a sha256 "$S" "$U"',
        (Peer("openssl, then openssl", 'openssl dgst -sha256 "$S" && openssl dgst -sha256 "$U"', 0.65),),
        writes=False,
        digest="sha256",
        reads_two=True,
    ),
    Command(
        "hash-blake3",
        "afx hash -a blake3",
        '"$AFX" hash -a blake3 "$S"',
        (Peer("b3sum", 'b3sum "$S"', 1.10),),
        writes=False,
        digest="blake3",
    ),
    Command(
        "hash-pipe",
        "afx hash -a sha256, from a pipe",
        'cat "$S" | "$AFX" hash -a sha256',
        (
            Peer("cat | sha256sum", 'cat "$S" | sha256sum', 0.35),
            Peer("cat | openssl", 'cat "$S" | openssl dgst -sha256', 1.05),
        ),
        writes=False,
        digest="sha256",
    ),
]


class WrongResultError(Exception):
    """A command failed, or what it left differs from its source."""


def run_commands(
    only: Iterable[str], folder: Path, rounds: int | None, on_monoio: str | None
) -> list[CommandRow]:
    """Measures the commands of these names. `on_monoio` stands for `"$AFX"` on monoio, if that can be had."""
    made = data.Data(folder)
    wanted = [command for command in COMMANDS if command.name in only]
    return [_run_command(command, made, rounds or ROUNDS, on_monoio) for command in wanted]


def _run_command(command: Command, made: data.Data, rounds: int, on_monoio: str | None) -> CommandRow:
    row = CommandRow(command)
    peers = [peer for peer in command.peers if shutil.which(peer.program)]
    if not peers:
        row.error = f"none of these is installed: {', '.join(peer.program for peer in command.peers)}"
        return row
    sources, target = [made.big(), *([made.other_big()] if command.reads_two else [])], made.target("command")
    lines = {peers[0].title: peers[0].line, peers[0].title + AGAIN: peers[0].line, "afx": command.line}
    lines |= {peer.title: peer.line for peer in peers[1:]}
    if on_monoio is not None:
        lines[monoio.TITLE] = command.line.replace('"$AFX"', on_monoio)
    expected = [data.digest(source) for source in sources]
    digests = expected if command.digest == "sha256" else []
    try:
        # The first round warms up.
        for number in range(-1, rounds):
            for name in order.of_round(list(lines), number):
                seconds, printed = _time(lines[name], sources, target)
                if command.writes and data.digest(target) != expected[0]:
                    raise WrongResultError(f"{name} left a target that differs")
                if command.digest is not None:
                    digests = digests or DIGEST.findall(printed)
                    if not digests or DIGEST.findall(printed) != digests:
                        raise WrongResultError(f"{name} printed other digests than {digests}: {printed!r}")
                if number >= 0:
                    row.seconds.setdefault(name, []).append(seconds)
    except (OSError, WrongResultError) as error:
        row.error = str(error)
    remove(target)
    return row


def remove(target: Path) -> None:
    """Removes a target, and the second one beside it."""
    for path in (target, Path(f"{target}.2")):
        path.unlink(missing_ok=True)


def _time(line: str, sources: list[Path], target: Path) -> tuple[float, str]:
    """Seconds for the whole process, and what it printed."""
    remove(target)
    os.sync()
    for source in sources:
        data.bring_into_cache(source)
    afx = Path(sysconfig.get_path("scripts"), "afx")
    environment = {
        **os.environ,
        "AFX": str(afx),
        "S": str(sources[0]),
        "U": str(sources[-1]),
        "T": str(target),
    }
    began = time.perf_counter()
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise WrongResultError(f"{line}: exit status {done.returncode}: {done.stderr.strip()}")
    return seconds, done.stdout
