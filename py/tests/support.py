"""What several tests need."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

import aiofile

T = TypeVar("T")

#: Longest that anything here may wait, in seconds: far above what a busy machine takes.
LONGEST_WAIT = 60.0

#: Generated cases are the same in every run, so that a change is judged by itself; asked for a number of
#: them, a run tries new ones.
PROPERTY = settings(
    max_examples=int(os.environ.get("AFX_PROPERTY_CASES", "150")),
    derandomize="AFX_PROPERTY_CASES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
)

ENGINE: str = aiofile.backend_info()["engine"]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a loop of its own; one that hangs is an error."""
    return asyncio.run(asyncio.wait_for(coroutine, LONGEST_WAIT))


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until a condition holds."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < deadline, "the condition never came to hold"
        await asyncio.sleep(0)


class Turns:
    """Counts the turns of the running loop while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)

    def __enter__(self) -> Turns:
        self._task = asyncio.ensure_future(self._run())
        return self

    def __exit__(self, *_error: object) -> None:
        self._task.cancel()


def evict(path: Path) -> None:
    """Has a file's content forgotten by the page cache, where the file system lets go of it."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def descriptors() -> set[str]:
    """What every descriptor of this process refers to, each with its number."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            continue  # The descriptor of the listing itself.
    return found


def rings() -> int:
    """Rings of io_uring that this process has."""
    return sum("[io_uring]" in name for name in descriptors())


def threads() -> int:
    """Threads of this process, whoever started them."""
    return len(os.listdir("/proc/self/task"))


def child(
    program: str, *arguments: str, prefix: list[str] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program in a Python of its own, warnings being errors."""
    command = [*(prefix or []), sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LONGEST_WAIT,
        env={**os.environ, "PYTHONPATH": str(Path(aiofile.__file__).parent.parent), **environment},
        stdin=subprocess.DEVNULL,
        check=False,
        cwd=Path(__file__).parent,
    )


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a child that must have succeeded without a word on stderr."""
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


class CountingExecutor(ThreadPoolExecutor):
    """An executor that counts what it is given."""

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.submitted = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        return super().submit(fn, *args, **kwargs)
