"""Blocking calls as coroutine functions: each call is one trip to an executor."""

from __future__ import annotations

import asyncio
import inspect
import os
import stat
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from ._waiting import forget, running_loop, uninterrupted

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop | None


def _in_executor(
    loop: Loop, executor: Executor | None, function: Callable[..., T], *arguments: Any
) -> asyncio.Future[T]:
    return (loop or running_loop()).run_in_executor(executor, function, *arguments)


async def interruptible(work: partial[T], loop: Loop, executor: Executor | None) -> T:
    """Cancelled, it returns at once; the call runs to its end, unless it still waited for its thread."""
    return await _in_executor(loop, executor, work)


async def unstoppable(work: partial[T], loop: Loop, executor: Executor | None) -> T:
    """Cancelled, it returns at once; the call is made all the same, even if it still waited."""
    return await asyncio.shield(_in_executor(loop, executor, work))


async def lending(work: partial[T], loop: Loop, executor: Executor | None) -> T:
    """Cancelled, it waits for the call if that uses memory of the caller's that can change."""
    running = interruptible(work, loop, executor)
    lends = _lends([*work.args, *work.keywords.values()])
    return await (uninterrupted(running) if lends else running)


async def acquiring_descriptor(work: partial[int], loop: Loop, executor: Executor | None) -> int:
    """Cancelled, it returns at once; the descriptor is closed when there is one."""
    return await acquire(work, os.close, loop, executor)


def _lends(arguments: Sequence[Any]) -> bool:
    return any(
        _lends(argument) if isinstance(argument, (list, tuple)) else not isinstance(argument, _IMMUTABLE)
        for argument in arguments
    )


_IMMUTABLE = bytes, str, int, os.PathLike, type(None)


class _Acquisition(Generic[T]):
    """A call that gives a resource, which is disposed of where nobody takes it any more."""

    def __init__(self, function: Callable[[], T], dispose: Callable[[T], object]) -> None:
        self._function = function
        self._dispose = dispose
        self._lock = threading.Lock()
        self._kept: list[T] = []
        self._abandoned = False

    def run(self) -> None:
        """Makes the call; on a thread of the executor."""
        resource = self._function()
        with self._lock:
            if not self._abandoned:
                self._kept.append(resource)
                return
        self._dispose(resource)

    def take(self) -> T:
        return self._kept.pop()

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
        with suppress(OSError):
            while self._kept:
                self._dispose(self._kept.pop())


async def acquire(
    function: Callable[[], T], dispose: Callable[[T], object], loop: Loop, executor: Executor | None
) -> T:
    """Runs a call that gives a resource.

    Cancellation: it returns at once; the resource is disposed of as soon as there is one, by the thread
    that got it.
    """
    acquisition = _Acquisition(function, dispose)
    try:
        await _in_executor(loop, executor, acquisition.run)
    except BaseException:
        acquisition.abandon()
        raise
    return acquisition.take()


class _Blocking(Generic[T]):
    """What the threads of an executor share: an iterator that one of them has at a time."""

    def __init__(self, iterator: Iterator[T]) -> None:
        self._iterator = iterator
        self._lock = threading.Lock()

    def step(self) -> T | None:
        with self._lock:
            return next(self._iterator, None)

    def close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            with self._lock:
                close()


class Steps(Generic[T]):
    """The steps of a blocking iterator, each in an executor; no item of it is None.

    Dropped in the middle, it closes the iterator; during a step, the thread that makes it does.
    """

    def __init__(self, iterator: Iterator[T], loop: Loop, executor: Executor | None) -> None:
        self._blocking: _Blocking[T] | None = _Blocking(iterator)
        self._loop = loop
        self._executor = executor
        self._under_way: asyncio.Future[T | None] | None = None
        self._awaited = False

    async def next(self) -> T | None:
        """The next item, None at the end.

        Cancellation: nothing is lost, the step goes on and the next call waits for it.
        """
        if self._awaited:
            raise RuntimeError("another task waits for the next item already")
        if self._under_way is None:
            if self._blocking is None:
                return None
            self._under_way = _in_executor(self._loop, self._executor, self._blocking.step)
            self._under_way.add_done_callback(forget)
        step = self._under_way
        self._awaited = True
        try:
            # Cancelled here, its item is the next call's, even if it is there already.
            await asyncio.wait([step])
        finally:
            self._awaited = False
        self._under_way = None
        if step.cancelled() or step.exception() is not None or step.result() is None:
            self._blocking = None
        return step.result()

    def __del__(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Ends it without waiting."""
        blocking, self._blocking = self._blocking, None
        step, self._under_way = self._under_way, None
        if blocking is not None and (step is None or step.done()):
            # Else the thread has the last reference, and a generator that is dropped is closed.
            blocking.close()

    async def close(self) -> None:
        """Ends it. Cancelled, it closes all the same, after the step that is under way."""
        blocking, self._blocking = self._blocking, None
        if blocking is not None:
            closing = _in_executor(self._loop, self._executor, blocking.close)
            del blocking
            await asyncio.shield(closing)


class _Signature(inspect.Signature):
    """The signature of a blocking function, and ``loop`` and ``executor``; parsed when somebody looks.

    To parse those of all functions takes longer than to import everything else.
    """

    #: None for a signature that was made of this one, and knows its parameters.
    function: Callable[..., Any] | None = None

    @property
    def parameters(self) -> MappingProxyType[str, inspect.Parameter]:
        if self.function is None:
            return super().parameters
        known = list(_signature(self.function).parameters.values())
        rest = [known.pop()] if known and known[-1].kind is inspect.Parameter.VAR_KEYWORD else []
        return MappingProxyType({parameter.name: parameter for parameter in [*known, *_ADDED, *rest]})


_ADDED = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in ("loop", "executor")
]


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:
        return inspect.signature(_UNREADABLE.get(function.__name__, lambda *args, **kwargs: None))


#: Functions of os whose own signatures cannot be read, in some versions of Python.
_UNREADABLE: dict[str, Callable[..., Any]] = {
    "chmod": lambda path, mode, *, dir_fd=None, follow_symlinks=True: None,
    "utime": lambda path, times=None, *, ns=..., dir_fd=None, follow_symlinks=True: None,
}

Way = Callable[[Any, Loop, Any], Coroutine[Any, Any, Any]]


def coroutine_functions(
    owner: str, place: str, lines: Mapping[str, str], ways: Mapping[str, Way]
) -> dict[str, Callable[..., Any]]:
    """Makes a coroutine function of each function that this platform has.

    Args:
        owner: ``"os"`` or ``"os.path"``; looked up at each call, for whoever patches it.
        place: the module they are for.
        lines: what each function does, by its name.
        ways: how each is run that is not interruptible.
    """
    return {
        name: _coroutine_function(owner, name, place, line, ways.get(name, interruptible))
        for name, line in lines.items()
        if _blocking(owner, name) is not None
    }


def _blocking(owner: str, name: str) -> Any:
    """The function of this name that is there now; None where there is none."""
    return getattr(os if owner == "os" else os.path, name, _NEWER.get(name))


def _isjunction(path: Any) -> bool:
    path = os.fspath(path)
    if os.name != "nt":
        return False
    try:
        tag = getattr(os.lstat(path), "st_reparse_tag", 0)
    except (OSError, ValueError):
        return False
    return bool(tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None))


#: Functions that came with later versions of Python (3.12).
_NEWER: dict[str, Callable[..., Any]] = {"isjunction": _isjunction}


def _coroutine_function(owner: str, name: str, place: str, line: str, way: Way) -> Callable[..., Any]:
    async def function(*args: Any, loop: Loop = None, executor: Executor | None = None, **kwargs: Any) -> Any:
        work = partial(_blocking(owner, name), *args, **kwargs)
        return await way(work, loop, executor)

    signature = _Signature()
    signature.function = _blocking(owner, name)
    made: Any = function
    made.__name__ = made.__qualname__ = name
    made.__module__ = place
    made.__wrapped__ = signature.function
    made.__signature__ = signature
    made.__doc__ = f"{line}\n\nAs :func:`{owner}.{name}`, in a thread. {_CANCELLED[way]}"
    return function


_CANCELLED: dict[Way, str] = {
    interruptible: "Cancelled, it returns at once; the call, once begun, runs to its end.",
    unstoppable: "Cancelled, it returns at once, and the call is made all the same.",
    lending: "Cancelled, it waits for the call where that uses memory that can change, not ``bytes``.",
    acquiring_descriptor: "Cancelled, it returns at once, and the descriptor is closed when there is one.",
}
