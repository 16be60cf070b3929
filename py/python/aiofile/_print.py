"""``print`` that does not hold the loop."""

from __future__ import annotations

import inspect
import io
import sys
from functools import partial
from typing import Any

from ._file import File
from ._in_order import calls_in_order
from ._kept_text import kept_text


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
            built-in stays in order with it, and so do prints that run at the same time. A buffered text
            file of ``io`` keeps what fits into its memory (8 KiB) and is emptied by a thread then; into
            everything else that blocks, a thread writes each time.
        flush: whether to flush the file afterwards.

    Raises:
        OSError: writing failed.
        TypeError: sep or end is no string.

    Cancellation: at once, to an object that is not of this module; the line is written all the same.
    """
    target: Any = sys.stdout if file is None else file
    if target is None:
        return
    text = _text(values, sep, end)
    if isinstance(target, File):
        write = target.write
        if getattr(write, "__func__", None) is not File.write:
            await write(text)
        # As `write` does it, without another coroutine: that would take as long as the writing.
        elif target._write(text) is None:
            await target._write_in_turn(text)
        if flush:
            await target.flush()
    elif type(target) is io.TextIOWrapper:
        if flush or not calls_in_order.is_free(target) or not kept_text.write(target, text):
            await calls_in_order.run(target, partial(_write_stream, target, text, flush))
    elif type(target) is io.StringIO:
        # In memory: nothing to wait for.
        target.write(text)
    elif inspect.iscoroutinefunction(target.write):
        await target.write(text)
        if flush:
            await target.flush()
    else:
        await calls_in_order.run(target, partial(_write, target, text, flush))


def _write_stream(target: io.TextIOWrapper, text: str, flush: bool) -> None:
    kept_text.write_and_empty(target, text)
    if flush:
        target.flush()


def _write(target: Any, text: str, flush: bool) -> None:
    target.write(text)
    if flush:
        target.flush()


def _text(values: tuple[object, ...], sep: str | None, end: str | None) -> str:
    if len(values) == 1 and sep == " " and end == "\n":
        return f"{values[0]!s}\n"
    for name, value in (("sep", sep), ("end", end)):
        if not (value is None or isinstance(value, str)):
            raise TypeError(f"{name} must be None or a string, not {type(value).__name__}")
    return (" " if sep is None else sep).join(map(str, values)) + ("\n" if end is None else end)
