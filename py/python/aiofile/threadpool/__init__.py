"""Where aiofiles keeps its files, with its hooks for tests.

A program that puts another function in the place of :data:`sync_open` has every file opened by it, in an
executor. What it returns must be known to :func:`wrap`, which other types can be registered with.
"""

from __future__ import annotations

import asyncio
import builtins
import sys
from concurrent.futures import Executor
from functools import singledispatch
from io import BufferedIOBase, BufferedRandom, BufferedReader, FileIO, TextIOBase
from typing import Any

from .._open import open
from .binary import AsyncBufferedIOBase as AsyncBufferedIOBase
from .binary import AsyncBufferedReader as AsyncBufferedReader
from .binary import AsyncFileIO as AsyncFileIO
from .binary import AsyncIndirectBufferedIOBase as AsyncIndirectBufferedIOBase
from .text import AsyncTextIndirectIOWrapper as AsyncTextIndirectIOWrapper
from .text import AsyncTextIOWrapper as AsyncTextIOWrapper

#: Opens files. Where it is replaced, the files are blocking ones in an executor.
sync_open = builtins.open

__all__ = ["open", "stderr", "stderr_bytes", "stdin", "stdin_bytes", "stdout", "stdout_bytes"]


async def _open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    executor: Executor | None = None,
) -> Any:
    """Opens a file, as :func:`aiofile.open` does when it is awaited."""
    arguments = file, mode, buffering, encoding, errors, newline, closefd, opener
    return await open(*arguments, loop=loop, executor=executor)  # type: ignore[call-overload]


@singledispatch
def wrap(
    file: Any, *, loop: asyncio.AbstractEventLoop | None = None, executor: Executor | None = None
) -> Any:
    """Makes an asynchronous file of a blocking one, by its type.

    Args:
        file: a file of ``io``, or of a type registered with ``wrap.register``.
        loop: accepted for the sake of aiofiles.
        executor: where its calls run; the loop's default executor by default.

    Raises:
        TypeError: nothing is known of this type.
    """
    raise TypeError(f"Unsupported io type: {file}.")


@wrap.register(TextIOBase)
def _wrap_text(file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncTextIOWrapper(file, loop=loop, executor=executor)


@wrap.register(BufferedIOBase)
def _wrap_buffered(file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncBufferedIOBase(file, loop=loop, executor=executor)


@wrap.register(BufferedReader)
@wrap.register(BufferedRandom)
def _wrap_reader(file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncBufferedReader(file, loop=loop, executor=executor)


@wrap.register(FileIO)
def _wrap_raw(file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncFileIO(file, loop=loop, executor=executor)


stdin = AsyncTextIndirectIOWrapper("sys.stdin", None, None, indirect=lambda: sys.stdin)
stdout = AsyncTextIndirectIOWrapper("sys.stdout", None, None, indirect=lambda: sys.stdout)
stderr = AsyncTextIndirectIOWrapper("sys.stderr", None, None, indirect=lambda: sys.stderr)
stdin_bytes = AsyncIndirectBufferedIOBase("sys.stdin.buffer", None, None, indirect=lambda: sys.stdin.buffer)
stdout_bytes = AsyncIndirectBufferedIOBase(
    "sys.stdout.buffer", None, None, indirect=lambda: sys.stdout.buffer
)
stderr_bytes = AsyncIndirectBufferedIOBase(
    "sys.stderr.buffer", None, None, indirect=lambda: sys.stderr.buffer
)
