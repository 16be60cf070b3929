"""Reading a blocking stream such as ``sys.stdin``, cancellably and in order."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from . import _native


class _Request(NamedTuple):
    function: Callable[[], Any]
    outcome: Future[Any]


class StreamReader:
    """Reads one stream for all tasks, on a thread that does not keep the interpreter from exiting.

    What a cancelled read brings later is kept for the next one. Whoever reads the stream itself meanwhile
    does not get that.
    """

    def __init__(self, stream: Any) -> None:
        self._refer = weakref.ref(stream)
        #: What was read for somebody who is gone: never empty.
        self._kept: Any = None
        self.start_anew()
        _keep_open(stream)

    def start_anew(self) -> None:
        """In a forked child no thread reads."""
        self._lock = threading.Lock()
        self._requests: deque[_Request] = deque()
        self._running = False

    async def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the stream that reads: read, read1, readall, readline or readlines.

        Cancellation: at once; what the call brings is kept.
        """
        request = _Request(lambda: getattr(self, method)(*arguments), Future())
        with self._lock:
            self._requests.append(request)
            if not self._running:
                threading.Thread(target=self._serve, name="aiofile reader", daemon=True).start()
                self._running = True
        try:
            return await asyncio.wrap_future(request.outcome)
        except asyncio.CancelledError:
            # It may have come in the same moment.
            if not request.outcome.cancelled() and request.outcome.exception() is None:
                self._put_back(request.outcome.result())
            raise

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._requests:
                    self._running = False
                    return
                request = self._requests.popleft()
            if request.outcome.cancelled():
                continue
            result: Any = None
            error: BaseException | None = None
            try:
                result = request.function()
            except BaseException as raised:
                error = raised
            if not request.outcome.set_running_or_notify_cancel():
                if error is None:
                    self._put_back(result)
            elif error is None:
                request.outcome.set_result(result)
            else:
                request.outcome.set_exception(error)

    def _put_back(self, result: Any) -> None:
        with self._lock:
            for piece in reversed(result if isinstance(result, list) else [result]):
                self._kept = piece + self._kept if self._kept and piece else piece or self._kept

    def _take(self, count: int) -> Any:
        """At most ``count`` characters of what is kept, all when it is negative; None when there are none."""
        with self._lock:
            kept = self._kept
            if kept is None or count == 0:
                return None
            taken, self._kept = (kept, None) if count < 0 else (kept[:count], kept[count:] or None)
            return taken

    def _and_more(self, taken: Any, read: Callable[[], Any]) -> Any:
        """What was taken and what follows it."""
        if taken is None:
            return read()
        try:
            return taken + read()
        except BaseException:
            self._put_back(taken)
            raise

    # On the thread.

    @property
    def _stream(self) -> Any:
        return self._refer()

    def read(self, size: int | None = -1) -> Any:
        """As the stream's."""
        limit = -1 if size is None else size
        taken = self._take(limit)
        if taken is None:
            return self._stream.read(limit)
        missing = limit - len(taken) if limit >= 0 else -1
        return self._and_more(taken, lambda: self._stream.read(missing)) if missing else taken

    def readall(self) -> Any:
        """As the stream's."""
        return self._and_more(self._take(-1), self._stream.readall)

    def read1(self, size: int = -1) -> Any:
        """As the stream's."""
        taken = self._take(size)
        return self._stream.read1(size) if taken is None else taken

    def readline(self, size: int | None = -1) -> Any:
        """As the stream's."""
        limit = -1 if size is None else size
        taken = self._take(self._line_len(limit)) if self._kept else None
        if taken is None:
            return self._stream.readline(limit)
        if len(taken) == limit or taken[-1:] in {"\n", b"\n"}:
            return taken
        missing = limit - len(taken) if limit >= 0 else -1
        return self._and_more(taken, lambda: self._stream.readline(missing))

    def _line_len(self, limit: int) -> int:
        """How much of what is kept belongs to the next line."""
        end = self._kept.find("\n" if isinstance(self._kept, str) else b"\n") + 1 or len(self._kept)
        return int(end if limit < 0 else min(end, limit))

    def readlines(self, hint: int | None = -1) -> list[Any]:
        """As the stream's."""
        lines: list[Any] = []
        total = 0
        while line := self.readline():
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint < total:
                break
        return lines


def _keep_open(stream: Any) -> None:
    """Has the interpreter leave a real stream alone at its exit, when a thread may still read it."""
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return
    for each in (stream, sys.stdin, sys.__stdin__):
        _native.keep_for_ever(each)


_readers: weakref.WeakKeyDictionary[Any, StreamReader] = weakref.WeakKeyDictionary()


def reader_of(stream: Any) -> StreamReader:
    """The reader of a stream, always the same one."""
    reader = _readers.get(stream)
    if reader is None:
        reader = _readers[stream] = StreamReader(stream)
    return reader


def _start_anew() -> None:
    for reader in _readers.values():
        reader.start_anew()


os.register_at_fork(after_in_child=_start_anew)
