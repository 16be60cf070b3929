"""How a coroutine waits for what is not at once."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from . import _native

T = TypeVar("T")


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Lets the event loop turn once; cancellation is delivered here."""
    _native.begin_wait()
    try:
        yield
    finally:
        _native.end_wait()


def running_loop() -> asyncio.AbstractEventLoop:
    """The loop that runs.

    Raises:
        RuntimeError: none does, or one that is not of asyncio's kind.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = "no running event loop: aiofile works in asyncio, and in anyio on asyncio; not in trio"
        raise RuntimeError(message) from None


async def uninterrupted(coroutine: Coroutine[Any, Any, T], impatient: bool = False) -> T:
    """Runs a coroutine to its end, and only then raises a CancelledError that came meanwhile.

    Args:
        coroutine: it runs in a task of its own, whatever becomes of the caller.
        impatient: the coroutine is cancelled with the caller, and ends as it sees fit.
    """
    task = asyncio.get_running_loop().create_task(coroutine)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
            if impatient:
                task.cancel()
                impatient = False
        except BaseException:
            if not task.done():
                raise
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


#: The loop itself refers to a task weakly.
_carried_on: set[asyncio.Task[Any]] = set()


async def carried_on(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in a task of its own; cancelled, it returns at once, and the task goes on."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _carried_on.add(task)
    task.add_done_callback(_carried_on.discard)
    try:
        return await asyncio.shield(task)
    except BaseException:
        task.add_done_callback(forget)
        raise


def forget(future: asyncio.Future[Any]) -> None:
    """Marks an error as seen: nobody may ever come for it."""
    if not future.cancelled():
        future.exception()
