"""A call of a blocking file in a thread, which has the file to itself until it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from . import _native
from ._waiting import forget, running_loop

T = TypeVar("T")


class HeldCall(Generic[T]):
    """One call, made by whoever has the file.

    Cancelled, it returns at once: a call that was not begun is not made then, and one that runs keeps the
    file until it ends, so that there are never two of them.

    Args:
        keeper: keeps the file.
        function: what is called.
        lost: gets the result that nobody waits for any more.
    """

    def __init__(
        self, keeper: _native.Keeper, function: Callable[[], T], lost: Callable[[T], object] | None
    ) -> None:
        self._keeper = keeper
        self._function: Callable[[], T] | None = function
        self._lost = lost
        self._lock = threading.Lock()
        self._result: list[T] = []
        self._begun = self._ended = self._abandoned = False
        self._afterwards: list[Callable[[], object]] = []

    @property
    def ended(self) -> bool:
        """Whether nothing of it will happen any more."""
        return self._ended

    async def run(self, executor: Executor | None, certain: bool = False) -> T:
        """Makes the call in an executor; None is the loop's.

        Args:
            executor: where.
            certain: the call is made even when nobody waits for it any more.
        """
        try:
            future = running_loop().run_in_executor(executor, self._make)
        except BaseException:
            self._end()
            raise
        try:
            return await (asyncio.shield(future) if certain else future)
        except BaseException:
            if certain:
                future.add_done_callback(forget)
            else:
                self._abandon()
            raise

    def and_then(self, function: Callable[[], object]) -> bool:
        """Has ``function`` called on the thread of the call, after it. Returns whether it is not too late."""
        with self._lock:
            if self._begun and not self._ended:
                self._afterwards.append(function)
                return True
        return False

    def _make(self) -> T:
        with self._lock:
            function = self._function
            if self._abandoned or function is None:
                raise asyncio.CancelledError
            self._begun = True
        try:
            result = function()
            with self._lock:
                self._result.append(result)
            return result
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            lost = self._take_lost()
            self._ended = True
            # What it refers to may refer to it.
            self._function = None
            if self._abandoned:
                self._lost = None
            afterwards, self._afterwards = self._afterwards, []
        # The file is kept until here: it is the turn of nobody else.
        for function in ([] if lost is None else [lost]) + afterwards:
            with suppress(Exception):
                function()
        self._keeper.end()

    def _abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            lost = self._take_lost()
            begun = self._begun
        if lost is not None:
            lost()
        if not begun:
            self._end()

    def _take_lost(self) -> Callable[[], object] | None:
        """What is to be done about a result that nobody takes, once."""
        if not (self._abandoned and self._result and self._lost is not None):
            return None
        lost, result = self._lost, self._result.pop()
        return lambda: lost(result)


def after_all(calls: Iterable[HeldCall[Any]], function: Callable[[], object]) -> None:
    """Calls ``function`` when none of the calls is in a thread any more, on the thread of the last."""
    if not any(call.and_then(partial(after_all, calls, function)) for call in calls):
        function()
