"""``print`` that does not hold the loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any

from ._file import File
from ._waiting import uninterrupted


async def print(
    *values: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: Any = None,
    flush: bool = False,
) -> None:
    """Prints as the built-in does, without holding the event loop.

    Args:
        values: what to print, each through ``str()``.
        sep: between values; a space by default.
        end: after the last; a line end by default.
        file: a file of this module or any object with a ``write`` method, coroutine or not;
            ``sys.stdout``, looked up now, by default. What is printed to the same object with the
            built-in stays in order with it, and so do prints that run at the same time.
        flush: whether to flush the file afterwards.

    Raises:
        OSError: writing failed.
        TypeError: sep or end is no string.

    Cancellation: a line that was begun is written whole, then CancelledError is raised.
    """
    target: Any = sys.stdout if file is None else file
    if target is None:
        return
    text = _text(values, " " if sep is None else sep, "\n" if end is None else end)
    # Asking a function what it is takes longer than writing a line.
    if isinstance(target, File) or inspect.iscoroutinefunction(target.write):
        await target.write(text)
        if flush:
            await target.flush()
    else:
        await uninterrupted(_queues.put(target, text, flush))


def _text(values: tuple[object, ...], sep: str, end: str) -> str:
    for name, value in (("sep", sep), ("end", end)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be None or a string, not {type(value).__name__}")
    return sep.join(map(str, values)) + end


class _Queues:
    """What is to be printed, in order for each object. One thread at a time writes to an object."""

    def __init__(self) -> None:
        self.start_anew()
        os.register_at_fork(after_in_child=self.start_anew)

    def start_anew(self) -> None:
        """In a forked child no thread would empty a queue, or give the lock back."""
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[tuple[str, bool, Future[None]]]] = {}

    async def put(self, target: Any, text: str, flush: bool) -> None:
        """Queues what is to be written, and waits until it is."""
        written: Future[None] = Future()
        with self._lock:
            queue = self._waiting.get(id(target))
            if queue is None:
                queue = deque()
                # Refused by an executor that is shut down: then nothing was queued.
                asyncio.get_running_loop().run_in_executor(None, self._empty, target, queue)
                self._waiting[id(target)] = queue
            queue.append((text, flush, written))
        await asyncio.wrap_future(written)

    def _empty(self, target: Any, queue: deque[tuple[str, bool, Future[None]]]) -> None:
        while True:
            with self._lock:
                if not queue:
                    del self._waiting[id(target)]
                    return
                text, flush, written = queue.popleft()
            error: BaseException | None = None
            try:
                target.write(text)
                if flush:
                    target.flush()
            except BaseException as raised:
                error = raised
            # Its task may be gone, with its loop.
            if not written.set_running_or_notify_cancel():
                continue
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(error)


_queues = _Queues()
