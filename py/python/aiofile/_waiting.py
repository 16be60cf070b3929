"""How a coroutine waits for a native operation."""

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


async def finish(operation: _native.Operation) -> Any:
    """Waits for an operation and returns its outcome.

    Cancellation: the kernel is asked to cancel, its completion is waited for (however often the task
    is cancelled meanwhile), then CancelledError is raised. A device that hangs delays it.
    """
    try:
        return await operation.future()
    except asyncio.CancelledError:
        operation.cancel()
        await ended(operation)
        raise


async def ended(operation: _native.Operation) -> None:
    """Waits for the completion of an operation whose outcome nobody needs any more."""
    while not operation.done():
        try:
            await operation.future()
        except asyncio.CancelledError:
            continue
        except Exception:
            # The cancellation that is under way is what the caller hears of.
            return


async def uninterrupted(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end, and only then raises a CancelledError that came meanwhile."""
    task = asyncio.get_running_loop().create_task(coroutine)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:
            break
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()
