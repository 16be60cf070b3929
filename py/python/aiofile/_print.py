"""``print`` that does not hold the loop."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any

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
            built-in stays in order with it.
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
    if inspect.iscoroutinefunction(target.write):
        await target.write(text)
        if flush:
            await target.flush()
    else:
        await uninterrupted(_print_in_thread(target, text, flush))


def _text(values: tuple[object, ...], sep: str, end: str) -> str:
    for name, value in (("sep", sep), ("end", end)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be None or a string, not {type(value).__name__}")
    return sep.join(map(str, values)) + end


async def _print_in_thread(target: Any, text: str, flush: bool) -> None:
    def write() -> None:
        target.write(text)
        if flush:
            target.flush()

    await asyncio.get_running_loop().run_in_executor(None, write)
