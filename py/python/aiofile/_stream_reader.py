"""Reading a blocking stream such as ``sys.stdin``, cancellably and in order."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from . import _native
from ._kept_reads import KeptReads


class _Request(NamedTuple):
    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    outcome: Future[Any]


class StreamReader:
    """Reads one stream for all tasks, on a thread that does not keep the interpreter from exiting.

    What a cancelled read brings later is kept for the next one. Whoever reads the stream itself meanwhile
    does not get that.
    """

    def __init__(self, stream: Any, refer: Callable[[], Any]) -> None:
        self._reads = KeptReads(refer)
        self.start_anew()
        _keep_open(stream)

    def start_anew(self) -> None:
        """In a forked child no thread reads."""
        self._reads.start_anew()
        self._lock = threading.Lock()
        self._requests: deque[_Request] = deque()
        self._running = False

    async def call(self, method: str, /, *arguments: Any, **options: Any) -> Any:
        """Calls a method of the stream that reads.

        Cancellation: at once; what the call brings is kept.
        """
        request = _Request(method, arguments, options, Future())
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
                self._reads.put_back(method, arguments, request.outcome.result())
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
                result = self._reads.call(request.method, *request.arguments, **request.options)
            except BaseException as raised:
                error = raised
            if not request.outcome.set_running_or_notify_cancel():
                if error is None:
                    self._reads.put_back(request.method, request.arguments, result)
            elif error is None:
                request.outcome.set_result(result)
            else:
                request.outcome.set_exception(error)


def _keep_open(stream: Any) -> None:
    """Has the interpreter leave a real stream alone at its exit, when a thread may still read it."""
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return
    for each in (stream, sys.stdin, sys.__stdin__):
        _native.keep_for_ever(each)


class _Readers:
    """The readers of this process, each for one object, whatever that is equal to."""

    def __init__(self) -> None:
        self._of_id: dict[int, tuple[Callable[[], Any], StreamReader]] = {}
        #: The last that nothing can refer to weakly, which its reader keeps.
        self._strong: tuple[Any, StreamReader] | None = None

    def __iter__(self) -> Iterator[StreamReader]:
        yield from [reader for _, reader in self._of_id.values()]
        if self._strong is not None:
            yield self._strong[1]

    def of(self, stream: Any) -> StreamReader:
        """The reader of a stream, always the same one."""
        refer, reader = self._of_id.get(id(stream), (None, None))
        if refer is not None and reader is not None and refer() is stream:
            return reader
        try:
            refer = weakref.ref(stream, partial(self._forget, id(stream)))
        except TypeError:
            return self._of_strong(stream)
        reader = StreamReader(stream, refer)
        self._of_id[id(stream)] = refer, reader
        return reader

    def _of_strong(self, stream: Any) -> StreamReader:
        if self._strong is None or self._strong[0] is not stream:
            self._strong = stream, StreamReader(stream, lambda: stream)
        return self._strong[1]

    def _forget(self, identity: int, gone: Any) -> None:
        if self._of_id.get(identity, (None,))[0] is gone:
            del self._of_id[identity]


_readers = _Readers()

reader_of = _readers.of


def _start_anew() -> None:
    for reader in _readers:
        reader.start_anew()


os.register_at_fork(after_in_child=_start_anew)
