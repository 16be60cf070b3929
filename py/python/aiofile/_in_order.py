"""Calls of blocking objects that run off the loop, one after the other for each object."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, TypeVar

from ._waiting import running_loop

T = TypeVar("T")


class _Call(NamedTuple):
    function: Callable[[], Any]
    outcome: Future[Any]


class _CallsInOrder:
    """What is still to be called, in order for each object. Only one thread at a time calls an object."""

    def __init__(self) -> None:
        self.start_anew()
        os.register_at_fork(after_in_child=self.start_anew)

    def start_anew(self) -> None:
        """In a forked child no thread would empty a queue, or give the lock back."""
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[_Call]] = {}

    async def run(self, target: object, function: Callable[[], T], executor: Executor | None = None) -> T:
        """Runs ``function``, which is about ``target``, behind all others about it.

        Cancellation: at once; the call is made all the same when its turn has come.
        """
        outcome: Future[T] = Future()
        with self._lock:
            queue = self._waiting.get(id(target))
            if queue is None:
                queue = deque()
                # Refused by an executor that is shut down: then nothing was queued.
                running_loop().run_in_executor(executor, self._empty, target, queue)
                self._waiting[id(target)] = queue
            queue.append(_Call(function, outcome))
        return await asyncio.wrap_future(outcome)

    def is_free(self, target: object) -> bool:
        """Whether no call about ``target`` runs or waits."""
        return id(target) not in self._waiting

    def _empty(self, target: object, queue: deque[_Call]) -> None:
        more = True
        while more:
            with self._lock:
                call = queue.popleft()
            result: Any = None
            error: BaseException | None = None
            try:
                result = call.function()
            except BaseException as raised:
                error = raised
            # Before the outcome is told: whoever hears of it finds the object free.
            with self._lock:
                more = bool(queue)
                if not more:
                    del self._waiting[id(target)]
            # Its task may be gone, with its loop.
            if not call.outcome.set_running_or_notify_cancel():
                continue
            if error is None:
                call.outcome.set_result(result)
            else:
                call.outcome.set_exception(error)


#: Those of this process.
calls_in_order = _CallsInOrder()
