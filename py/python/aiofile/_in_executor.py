"""Opening a blocking file whose every call runs in an executor."""

from __future__ import annotations

import asyncio
import builtins
import sys
from concurrent.futures import Executor
from functools import partial
from typing import Any

from ._calls import acquire
from ._room import opened_with_room

#: What opens files unless a program replaces it.
_BUILTIN_OPEN = builtins.open


def patched_open() -> Any:
    """The function that a program put where files are opened, None where nobody did.

    Either at ``aiofile.threadpool.sync_open``, as the documentation of aiofiles has it, or in the place of
    the built-in, as pyfakefs does.
    """
    threadpool = sys.modules.get("aiofile.threadpool")
    sync_open = threadpool.sync_open if threadpool is not None else _BUILTIN_OPEN
    if sync_open is not _BUILTIN_OPEN:
        return sync_open
    return None if builtins.open is _BUILTIN_OPEN else builtins.open


async def open_in_executor(
    file: Any,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    closefd: bool,
    opener: Any,
    *,
    loop: asyncio.AbstractEventLoop | None,
    executor: Executor | None,
) -> Any:
    """Opens a blocking file in an executor and makes an asynchronous one of it."""
    from .threadpool import wrap

    opens = partial(
        patched_open() or _BUILTIN_OPEN,
        file,
        mode=mode,
        buffering=buffering,
        encoding=encoding,
        errors=errors,
        newline=newline,
        closefd=closefd,
        opener=opener,
    )
    acquires = partial(acquire, opens, lambda opened: opened.close(), loop, executor)
    opened = await opened_with_room(acquires, is_native=False)
    try:
        return wrap(opened, loop=loop, executor=executor)
    except BaseException:
        opened.close()
        raise
