"""Opening files when there are nearly as many open as the process may have."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from typing import TypeVar
from weakref import WeakKeyDictionary

from . import _native

T = TypeVar("T")

#: How long to wait for one file to be closed before the error is raised: none may ever be.
_PATIENCE_SECONDS = 1.0

#: Looks at every turn of the loop, before there are pauses between them; only one task of a loop looks.
_EAGER_LOOKS = 20
_FIRST_PAUSE_SECONDS = 0.0001
_LONGEST_PAUSE_SECONDS = 0.005


class UnderWay:
    """How many files are being opened, in all threads together, nearly."""

    count = 0


class _Queue:
    """Who waits for a descriptor on one loop."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        #: Waiting brought nothing: nobody else need try it before a file is closed.
        self.gave_up = False


_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()


def has_room(is_native: bool = True) -> bool:
    """Whether a file can be opened now without coming near the limit.

    Args:
        is_native: it is closed by this module; other files are not counted.
    """
    return _native.has_room(UnderWay.count) and (is_native or _native.has_room_for_others(UnderWay.count))


async def opened_with_room(opens: Callable[[], Awaitable[T]], is_native: bool = True) -> T:
    """Opens a file as soon as there is a descriptor for it.

    Near the limit of the process (RLIMIT_NOFILE) the files of a loop are opened one after the other, each
    when another of this module's is closed: ten thousand tasks that open a file each all get theirs.

    Args:
        opens: opens the file.
        is_native: see :func:`has_room`.

    Raises:
        OSError: opening failed; with EMFILE only when no file was closed for a second.
    """
    if has_room(is_native):
        try:
            return await _counted(opens)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
    queue = _queues.setdefault(asyncio.get_running_loop(), _Queue())
    async with queue.turn:
        return await _opened_in_turn(opens, queue, is_native)


async def _counted(opens: Callable[[], Awaitable[T]]) -> T:
    UnderWay.count += 1
    try:
        return await opens()
    finally:
        UnderWay.count -= 1


async def _opened_in_turn(opens: Callable[[], Awaitable[T]], queue: _Queue, is_native: bool) -> T:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for pause in _pauses():
        room = has_room(is_native)
        if room:
            queue.gave_up = False
        elif time.monotonic() >= deadline:
            queue.gave_up = True
        if room or queue.gave_up:
            try:
                return await _counted(opens)
            except OSError as error:
                if error.errno != errno.EMFILE or time.monotonic() >= deadline or queue.gave_up:
                    queue.gave_up |= error.errno == errno.EMFILE
                    raise
        await asyncio.sleep(pause)
    raise AssertionError("the pauses do not end")


def _pauses() -> Iterator[float]:
    yield from repeat(0.0, _EAGER_LOOKS)
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
