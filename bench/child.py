"""The process that one library runs in: it reads requests from stdin and answers on stdout, one line each.

A child lives for one case. `set-up` makes everything as in every other round; then `round` times the work,
or `held` runs it under a heartbeat. `check` sums up what is read or was written, `idle` keeps a heartbeat
alone until the next line arrives, `timeout` cancels the work by a timeout, `clear` removes what was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import os
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import data, libraries
from bench.cases import ABSENT, BY_NAME, Case, Work
from bench.heartbeat import Heartbeat
from bench.scaling import points
from bench.timed import Timed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

# Long enough that a library which is held only once is not met just after its start.
SETTLE_SECONDS = 0.02
TIMEOUT_SECONDS = 0.010
ALL = {**BY_NAME, **points.BY_NAME}
# Without a buffer: `idle` waits for a line that a buffer could have taken already.
REQUESTS = io.FileIO(0, closefd=False)


class AbsentError(Exception):
    """The library has no such call: nothing failed, there is only nothing to measure."""


class Sum:
    """Adds up what was read: one CRC of the whole where there is an order, a sum of CRCs where not."""

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self.value = 0

    def take(self, piece: str | bytes) -> None:
        content = piece.encode() if isinstance(piece, str) else piece
        if self._ordered:
            self.value = zlib.crc32(content, self.value)
        else:
            self.value += zlib.crc32(content)


class Child:
    def __init__(self, library: str, case: Case, operations: int, folder: Path) -> None:
        self.case = case
        self.library = libraries.load(library)
        self.method: Any = getattr(self.library, case.method, None)
        if self.method is None:
            raise AbsentError
        self.work: Work = case.prepare(data.Data(folder), library, operations)
        self.expected: int | None = None
        # One for all rounds: a library may keep threads for each loop that it has met, spinning ones, too.
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def set_up(self) -> dict[str, Any]:
        if self.work.writes is not None:
            self.work.writes.unlink(missing_ok=True)
            os.sync()
        for path in self.work.reads:
            if self.case.cold:
                data.drop_from_cache(path)
            else:
                data.bring_into_cache(path)
        gc.collect()
        return {}

    async def run(self) -> Any:
        has_take = not self.case.writes and self.work.count is None
        return await self.method(*self.work.arguments, *((None,) if has_take else ()))

    def round(self) -> dict[str, Any]:
        async def timed() -> dict[str, Any]:
            cpu, began = time.process_time(), time.perf_counter()
            result = await self.run()
            answer = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
            if isinstance(result, Timed):
                answer |= result.figures
                result = result.count
            if self.work.count is not None and result != self.work.count:
                raise RuntimeError(f"it did {result}, not {self.work.count}")
            # Not before: giving memory back is the same for everybody, and up to 30 ms for 1 GiB.
            del result
            return answer

        return self.loop.run_until_complete(timed())

    def check(self) -> dict[str, Any]:
        total = data.checksum(self.work.writes) if self.work.writes is not None else self._sum_of(self.method)
        if self.expected is None:
            self.expected = self._expect()
        if total != self.expected:
            raise RuntimeError(f"wrong data: its sum is {total}, not {self.expected}")
        return {}

    def _sum_of(self, method: Any) -> int:
        total = Sum(self.case.ordered)
        self.loop.run_until_complete(_finished(method(*self.work.arguments, total.take)))
        return total.value

    def _expect(self) -> int:
        """What `io` makes of the same work."""
        method = getattr(libraries.load("io"), self.case.method)
        if self.work.writes is None:
            return self._sum_of(method)
        target = self.work.writes.with_suffix(".expected")
        self.loop.run_until_complete(method(target, *self.work.arguments[1:]))
        total = data.checksum(target)
        target.unlink()
        return total

    def held(self) -> dict[str, Any]:
        async def watched() -> float:
            heartbeat = Heartbeat()
            await asyncio.sleep(SETTLE_SECONDS)
            result = await self.run()
            worst = heartbeat.stop()
            del result  # As in `round`.
            return worst

        return {"held_seconds": self.loop.run_until_complete(watched())}

    def timeout(self) -> dict[str, Any]:
        """How long after its start an `asyncio.timeout` ends work that could go on for ever."""
        if sys.version_info < (3, 11):
            raise RuntimeError("asyncio.timeout came with Python 3.11")

        async def endless() -> float:
            began = time.perf_counter()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while True:
                        await self.run()
            return time.perf_counter() - began

        return {"seconds": self.loop.run_until_complete(endless())}

    def idle(self) -> dict[str, Any]:
        async def until_told() -> float:
            told = asyncio.Event()
            asyncio.get_running_loop().add_reader(0, told.set)
            heartbeat = Heartbeat()
            await told.wait()
            asyncio.get_running_loop().remove_reader(0)
            return heartbeat.stop()

        worst = self.loop.run_until_complete(until_told())
        REQUESTS.readline()
        return {"held_seconds": worst}

    def clear(self) -> dict[str, Any]:
        if self.work.writes is not None:
            self.work.writes.unlink(missing_ok=True)
        return {}


async def _finished(work: Coroutine[Any, Any, Any]) -> None:
    """Drops the result, which may take 1 GiB."""
    await work


def answers(child: Child) -> dict[str, Callable[[], dict[str, Any]]]:
    """What can be asked for."""
    return {
        "set-up": child.set_up,
        "round": child.round,
        "check": child.check,
        "held": child.held,
        "timeout": child.timeout,
        "idle": child.idle,
        "clear": child.clear,
    }


def main() -> None:
    # A group of its own, since it is stopped between its turns: if the parent dies, the kernel ends it.
    os.setpgid(0, 0)
    library, case, operations, folder = sys.argv[1:]
    known: dict[str, Callable[[], dict[str, Any]]] = {}
    failure = ""
    try:
        known = answers(Child(library, ALL[case], int(operations), Path(folder)))
    except Exception as error:
        failure = describe(error)
    while request := REQUESTS.readline().decode().strip():
        try:
            answer = {"error": failure} if failure else known[request]()
        except Exception as error:  # One library's failure is a gap in the table.
            answer = {"error": describe(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def describe(error: Exception) -> str:
    return ABSENT if isinstance(error, AbsentError) else f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
