"""Temporary files and directories, with the arguments of :mod:`tempfile`.

Files that have a descriptor are native ones, as those of :func:`aiofile.open`.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile as _tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial, singledispatch
from io import BufferedRandom, BufferedReader, BufferedWriter, FileIO, TextIOBase
from typing import Any, NamedTuple

from .. import threadpool
from .._calls import acquire
from .._in_executor import patched_open
from .._mode import warn_of_line_buffering
from .._open import _open
from .._opening import AiofilesContextManager
from .._room import opened_with_room
from ..threadpool.binary import AsyncBufferedIOBase, AsyncBufferedReader, AsyncFileIO
from ..threadpool.text import AsyncTextIOWrapper
from .temptypes import AsyncSpooledTemporaryFile, AsyncTemporaryDirectory

__all__ = ["NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory", "TemporaryFile"]

Loop = asyncio.AbstractEventLoop


class _Format(NamedTuple):
    """How the contents of a file are read and written, in the words of ``open``."""

    mode: str
    buffering: int
    encoding: str | None
    errors: str | None
    newline: str | None


def _format(
    mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> _Format:
    if encoding is None and "b" not in mode:
        # Here, for its warning names the line of the caller's caller; so does the next.
        encoding = io.text_encoding(None, 3)  # type: ignore[attr-defined]
    if buffering == 1 and "b" in mode:
        buffering = warn_of_line_buffering(stacklevel=4)
    return _Format(mode, buffering, encoding, errors, newline)


def _opening(opens: Callable[[], Any]) -> AiofilesContextManager[Any]:
    return AiofilesContextManager(opens(), opens)


if sys.version_info >= (3, 12):

    def NamedTemporaryFile(  # noqa: N802
        mode: str = "w+b",
        buffering: int = -1,
        encoding: str | None = None,
        newline: str | None = None,
        suffix: Any = None,
        prefix: Any = None,
        dir: Any = None,
        delete: bool = True,
        delete_on_close: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: str | None = None,
    ) -> AiofilesContextManager[Any]:
        """Makes a temporary file with a name.

        Args:
            mode: as for :func:`aiofile.open`, and the four that follow it there.
            buffering: see there.
            encoding: see there.
            newline: see there.
            suffix: what the name ends with.
            prefix: what the name starts with.
            dir: the directory; the system's for temporary files by default.
            delete: whether the file goes when it is closed.
            delete_on_close: False has it stay until it is left by ``async with``.
            loop: accepted for the sake of aiofiles.
            executor: where every call of this file is to run.
            errors: see :func:`aiofile.open`.

        Returns:
            An object to ``await`` or to use with ``async with``; either gives the file.
        """
        names = {"suffix": suffix, "prefix": prefix, "dir": dir}
        names |= {"delete": delete, "delete_on_close": delete_on_close}
        form = _format(mode, buffering, encoding, errors, newline)
        return _opening(partial(_temporary_file, _tempfile.NamedTemporaryFile, form, names, loop, executor))

else:

    def NamedTemporaryFile(  # noqa: N802
        mode: str = "w+b",
        buffering: int = -1,
        encoding: str | None = None,
        newline: str | None = None,
        suffix: Any = None,
        prefix: Any = None,
        dir: Any = None,
        delete: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: str | None = None,
    ) -> AiofilesContextManager[Any]:
        """Makes a temporary file with a name.

        Args:
            mode: as for :func:`aiofile.open`, and the four that follow it there.
            buffering: see there.
            encoding: see there.
            newline: see there.
            suffix: what the name ends with.
            prefix: what the name starts with.
            dir: the directory; the system's for temporary files by default.
            delete: whether the file goes when it is closed.
            loop: accepted for the sake of aiofiles.
            executor: where every call of this file is to run.
            errors: see :func:`aiofile.open`.

        Returns:
            An object to ``await`` or to use with ``async with``; either gives the file.
        """
        names = {"suffix": suffix, "prefix": prefix, "dir": dir, "delete": delete}
        form = _format(mode, buffering, encoding, errors, newline)
        return _opening(partial(_temporary_file, _tempfile.NamedTemporaryFile, form, names, loop, executor))


def TemporaryFile(  # noqa: N802
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Any = None,
    prefix: Any = None,
    dir: Any = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: str | None = None,
) -> AiofilesContextManager[Any]:
    """Makes a temporary file without a name. The arguments are those of :func:`NamedTemporaryFile`."""
    names = {"suffix": suffix, "prefix": prefix, "dir": dir}
    form = _format(mode, buffering, encoding, errors, newline)
    return _opening(partial(_temporary_file, _tempfile.TemporaryFile, form, names, loop, executor))


def SpooledTemporaryFile(  # noqa: N802
    max_size: int = 0,
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Any = None,
    prefix: Any = None,
    dir: Any = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: str | None = None,
) -> AiofilesContextManager[AsyncSpooledTemporaryFile]:
    """Makes a temporary file that is kept in memory until it holds more than ``max_size`` bytes, 0 for ever.

    The other arguments are those of :func:`TemporaryFile`.
    """
    names = {"max_size": max_size, "suffix": suffix, "prefix": prefix, "dir": dir}
    form = _format(mode, buffering, encoding, errors, newline)
    return _opening(partial(_spooled_temporary_file, form, names, loop, executor))


def TemporaryDirectory(  # noqa: N802
    suffix: Any = None,
    prefix: Any = None,
    dir: Any = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    ignore_cleanup_errors: bool = False,
    delete: bool = True,
) -> AiofilesContextManagerTempDir:
    """Makes a temporary directory.

    Args:
        suffix: what the name ends with.
        prefix: what the name starts with.
        dir: where it is made.
        loop: accepted for the sake of aiofiles.
        executor: where its calls run.
        ignore_cleanup_errors: whether what cannot be removed is left without an error.
        delete: False leaves the directory when it is left by ``async with``; Python 3.12 or later.

    Returns:
        An object to use with ``async with``, which gives the path, or to ``await``, which gives the
        directory with its ``name`` and ``cleanup()``.
    """
    options: dict[str, Any] = {"ignore_cleanup_errors": ignore_cleanup_errors}
    if not delete:
        options["delete"] = delete
    opens = partial(_temporary_directory, suffix, prefix, dir, options, loop, executor)
    return AiofilesContextManagerTempDir(opens(), opens)


class AiofilesContextManagerTempDir(AiofilesContextManager[Any]):
    """A temporary directory that is being made."""

    async def __aenter__(self) -> Any:
        return (await self).name


async def _temporary_file(
    makes: Callable[..., Any],
    form: _Format,
    names: dict[str, Any],
    loop: Loop | None,
    executor: Executor | None,
) -> Any:
    discard = _close if names.get("delete", True) else _remove
    if executor is not None or patched_open() is not None:
        made = await _made(partial(makes, **form._asdict(), **names), discard, loop, executor)
        try:
            return _wrapped(made, loop, executor)
        except BaseException:
            discard(made)
            raise
    behind = await _made(partial(makes, "w+b", 0, **names), discard, None, None)
    try:
        name = getattr(behind, "name", None)
        file: Any = await _open(behind.fileno(), *form, closefd=False, opener=None, shown=name)
    except BaseException:
        discard(behind)
        raise
    file._behind = behind
    return _marked(file, behind)


async def _made(
    makes: Callable[[], Any], discard: Callable[[Any], None], loop: Loop | None, executor: Executor | None
) -> Any:
    return await opened_with_room(partial(acquire, makes, discard, loop, executor), is_native=False)


def _close(file: Any) -> None:
    file.close()


def _remove(file: Any) -> None:
    """Closes a file that would stay, and removes it: nobody was told its name."""
    try:
        file.close()
    finally:
        os.unlink(file.name)


def _wrapped(file: Any, loop: Loop | None, executor: Executor | None) -> Any:
    inner = getattr(file, "file", file)
    if wrap.dispatch(type(inner)) is wrap.dispatch(object):
        # Of a replaced `open`, whose files are known where it was replaced.
        wrapped = threadpool.wrap.dispatch(type(inner))(file, loop=loop, executor=executor)
    else:
        wrapped = wrap(inner, file, loop=loop, executor=executor)
    return _marked(wrapped, file)


def _marked(file: Any, temporary: Any) -> Any:
    """The file with what tells how a temporary one is deleted."""
    for name in ("delete", "_closer"):
        if hasattr(temporary, name):
            setattr(file, name, getattr(temporary, name))
    return file


async def _spooled_temporary_file(
    form: _Format, names: dict[str, Any], loop: Loop | None, executor: Executor | None
) -> AsyncSpooledTemporaryFile:
    makes = partial(_tempfile.SpooledTemporaryFile, **form._asdict(), **names)
    file = await acquire(makes, _close, loop, executor)
    return AsyncSpooledTemporaryFile(file, loop, executor)


async def _temporary_directory(
    suffix: Any, prefix: Any, dir: Any, options: dict[str, Any], loop: Loop | None, executor: Executor | None
) -> AsyncTemporaryDirectory:
    makes = partial(_tempfile.TemporaryDirectory, suffix, prefix, dir, **options)
    made = await acquire(makes, lambda directory: directory.cleanup(), loop, executor)
    return AsyncTemporaryDirectory(made, loop, executor)


@singledispatch
def wrap(base_io_obj: Any, file: Any, *, loop: Loop | None = None, executor: Executor | None = None) -> Any:
    """Makes an asynchronous file of a temporary one, by the type of the file of ``io`` in it.

    Raises:
        TypeError: nothing is known of this type.
    """
    raise TypeError(f"Unsupported IO type: {base_io_obj}")


@wrap.register(TextIOBase)
def _wrap_text(_base: Any, file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncTextIOWrapper(file, loop=loop, executor=executor)


@wrap.register(BufferedWriter)
def _wrap_writer(_base: Any, file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncBufferedIOBase(file, loop=loop, executor=executor)


@wrap.register(BufferedReader)
@wrap.register(BufferedRandom)
def _wrap_reader(_base: Any, file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncBufferedReader(file, loop=loop, executor=executor)


@wrap.register(FileIO)
def _wrap_raw(_base: Any, file: Any, *, loop: Any = None, executor: Executor | None = None) -> Any:
    return AsyncFileIO(file, loop=loop, executor=executor)
