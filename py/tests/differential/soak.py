"""Plays sequences for as long as it is told, and tells how many there were and which failed.

    AFX_ENGINE=uring PYTHONPATH=py/python:py/tests python -m differential.soak --minutes 60 --seed 1

A round has a seed of its own, so any can be played again, and goes on after a finding with the next.
Writing a sequence takes hypothesis longer than playing it, so it writes a tenth of them; the others put
actions of those together anew, for the same kind of file.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator

from hypothesis import HealthCheck, Phase, given, seed, settings

from support import ENGINE, descriptors

from .case import Action, Case
from .sequences import KINDS, AnyCase
from .stage import Stage

#: Sequences of each kind in a round: those of hypothesis, and those put together of their actions.
WRITTEN, MIXED = 100, 900

#: Actions in a sequence that is put together.
LONGEST = 20

#: Seconds in which a shorter sequence is looked for that fails.
LONGEST_SEARCH = 20

#: Seconds after which a round is taken to stand still: a hundred times what one takes.
LONGEST_ROUND = 600

#: Seconds between two lines that tell how far it is.
PAUSE = 60


def written(kind: str, number: int) -> list[AnyCase]:
    """Sequences that hypothesis writes; always the same for a number."""
    cases: list[AnyCase] = []

    @seed(number)
    @settings(
        max_examples=WRITTEN,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[kind])
    def write(case: AnyCase) -> None:
        cases.append(case)

    write()
    return cases


def mixed(cases: list[AnyCase], number: int) -> Iterator[AnyCase]:
    """Sequences of actions of others of the same kind of file."""
    dice = random.Random(number)
    actions: defaultdict[object, list[Action]] = defaultdict(list)
    for case in cases:
        actions[case.family] += case.actions
    for _ in range(MIXED):
        case = dice.choice(cases)
        known = actions[case.family]
        count = dice.randrange(LONGEST + 1) if known else 0
        case = case._replace(actions=[dice.choice(known) for _ in range(count)])
        yield case._replace(waits=dice.random() < 0.5) if isinstance(case, Case) else case


class Soak:
    """What was played so far."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.played: Counter[str] = Counter()
        self.findings: list[str] = []
        self.started = self.told = time.monotonic()

    def play_round(self, kind: str, number: int) -> None:
        """Plays the sequences of one kind and seed, up to the first that fails."""
        cases = written(kind, number)
        for sequences in (cases, mixed(cases, number)):
            for case in sequences:
                self.played[kind] += 1
                try:
                    self.stage.play(case)
                except Exception:
                    self.tell_finding(kind, number, case)
                    return
            self.tell_now_and_then()

    def tell_finding(self, kind: str, number: int, case: AnyCase) -> None:
        self.findings.append(f"{kind} {number}")
        print(f"\n== {kind}, seed {number}, engine {ENGINE}: {case!r}", flush=True)
        traceback.print_exc(limit=-3, file=sys.stdout)
        shorter = self.shortened(case)
        again = "it did not fail again" if shorter is None else f"in short: {shorter!r}"
        print(f"== {again}\n", flush=True)

    def tell_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Takes an error that nobody could be told, such as a file that was left open, for a finding."""
        self.findings.append(f"unraisable {unraisable.exc_value!r}")
        sys.__unraisablehook__(unraisable)

    def shortened(self, case: AnyCase) -> AnyCase | None:
        """The case without what it fails without; None if it does not fail any more."""
        if not (self.fails(case) or self.fails(case) or self.fails(case)):
            return None
        end = time.monotonic() + LONGEST_SEARCH
        index = len(case.actions)
        while index and time.monotonic() < end:
            index -= 1
            fewer = case._replace(actions=case.actions[:index] + case.actions[index + 1 :])
            if self.fails(fewer):
                # What came before it may not be needed any more.
                case, index = fewer, len(fewer.actions)
        return case

    def fails(self, case: AnyCase) -> bool:
        try:
            self.stage.play(case)
        except Exception:
            return True
        return False

    def tell_now_and_then(self) -> None:
        if time.monotonic() - self.told > PAUSE:
            self.tell()

    def tell(self) -> None:
        """The summary, in one line."""
        self.told = time.monotonic()
        seconds = self.told - self.started
        total = self.played.total()
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.played.items())
        found = f"{len(self.findings)} findings" + (f" ({', '.join(self.findings)})" if self.findings else "")
        rate = f"{seconds / 60:.0f} min, {total / seconds:.0f}/s"
        print(f"{total} sequences on {ENGINE} ({kinds}) in {rate}: {found}", flush=True)


def main() -> int:
    """Plays rounds of all kinds until the time is over. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m differential.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (10)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next has the next (1)")
    parser.add_argument("--findings", type=int, default=100, help="end after so many (100)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="which (all)")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    soak = Soak()
    sys.unraisablehook = soak.tell_unraisable
    number = arguments.seed
    open_after_first = 0
    try:
        end = soak.started + arguments.minutes * 60
        while number == arguments.seed or (
            time.monotonic() < end and len(soak.findings) < arguments.findings
        ):
            for kind in arguments.kinds:
                # A call that blocks the loop is not what a bound on waiting ends.
                faulthandler.dump_traceback_later(LONGEST_ROUND, exit=True)
                soak.play_round(kind, number)
            open_after_first = open_after_first or len(descriptors())
            number += 1
        if len(descriptors()) > open_after_first and not soak.findings:
            soak.findings.append(f"{len(descriptors()) - open_after_first} descriptors left open")
    finally:
        print(f"seeds {arguments.seed} to {number - 1}: ", end="")
        soak.tell()
    soak.stage.close()
    return bool(soak.findings)


if __name__ == "__main__":
    sys.exit(main())
