"""Opening files."""

from __future__ import annotations

import asyncio
import codecs
import errno
import io
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, TypeVar, overload

from . import _native
from ._binary_file import BinaryFile
from ._codec_text import CodecTextFile
from ._file import File
from ._mode import Mode, check_arguments, parse_mode
from ._mode_types import BinaryMode, TextMode
from ._text_file import TextFile
from ._waiting import turn

Opener = Callable[[Any, int], int]

#: The encodings that the native file decodes itself, by the name that Python's codecs give them.
_NATIVE_CODECS = {"utf-8": "utf-8", "ascii": "ascii", "iso8859-1": "latin-1"}

#: The error handlers that run no Python code and make at most one character of a byte.
_NATIVE_HANDLERS = {"strict", "ignore", "replace", "surrogateescape", "surrogatepass"}


class _Text(NamedTuple):
    """How a file's text is read and written, in the words of ``io``."""

    encoding: str
    errors: str
    newline: str | None


FileT = TypeVar("FileT")


class Opening(Awaitable[FileT], AbstractAsyncContextManager[FileT]):
    """A file that is being opened: await it, or enter it with ``async with``.

    Awaiting it twice gives the same file, also when two tasks do it at once. Where opening failed or was
    cancelled, the next one tries again.
    """

    __slots__ = ("_coroutine", "_file", "_open", "_others")

    def __init__(self, open: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._open = open
        # Made now: one that is never awaited warns of that.
        self._coroutine: Coroutine[Any, Any, Any] | None = open()
        self._file: Any = None
        #: Who waits for the one that opens; None when nobody does that.
        self._others: list[asyncio.Future[None]] | None = None

    def __await__(self) -> Generator[Any, Any, FileT]:
        while self._file is None:
            if self._others is None:
                yield from self._run()
            else:
                other: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._others.append(other)
                yield from other
        file: FileT = self._file
        return file

    def _run(self) -> Generator[Any, Any, None]:
        self._others = []
        coroutine, self._coroutine = self._coroutine or self._open(), None
        try:
            self._file = yield from coroutine.__await__()
        finally:
            others, self._others = self._others, None
            for other in others:
                if not other.done():
                    other.set_result(None)

    async def __aenter__(self) -> FileT:
        return await self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._file.close()


@overload
def open(
    file: Any,
    mode: TextMode = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[TextFile]: ...
@overload
def open(
    file: Any,
    mode: BinaryMode,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[BinaryFile]: ...
@overload
def open(
    file: Any,
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[Any]: ...
def open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
) -> Opening[Any]:
    r"""Opens a file, with the arguments of the built-in ``open()``.

    Args:
        file: a path (str, bytes or PathLike) or the number of an open descriptor.
        mode: as for the built-in; ``"r"`` by default.
        buffering: bytes of the write buffer; 0 for none (binary only), 1 for line by line (text only),
            -1 for the file system's block size.
        encoding: of text; the locale's by default, as for the built-in.
        errors: what to do with what cannot be decoded or encoded; ``"strict"`` by default.
        newline: what ends a line of text; any line end, read as ``"\n"``, by default.
        closefd: whether closing the file closes a descriptor that was given as a number.
        opener: called with path and flags in a thread; returns a descriptor.

    Returns:
        An object to ``await`` or to use with ``async with``; either gives the file.

    Raises:
        OSError: opening failed; the same subclass, errno and filename as the built-in gives.
        ValueError, TypeError: arguments that the built-in refuses, when it is awaited.

    Cancellation: a cancelled open leaves no descriptor behind.

    Example:
        >>> async with aiofile.open("notes.txt") as file:
        ...     async for line in file:
        ...         print(line, end="")
    """
    if encoding is None and "b" not in str(mode):
        # Here rather than where it is used, for its warning names the caller's line.
        encoding = io.text_encoding(None, 2)  # type: ignore[attr-defined]
    return Opening(partial(_open, file, mode, buffering, encoding, errors, newline, closefd, opener))


async def _open(
    file: Any,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    closefd: bool,
    opener: Opener | None,
) -> File[Any]:
    if _native.must_yield():
        await turn()
    # A number that is no descriptor's is no path either.
    name = file if isinstance(file, int) and abs(file) < 2**31 else os.fspath(file)
    parsed = parse_mode(mode)
    check_arguments(parsed, buffering, encoding, errors, newline)
    text = None if parsed.binary else _text_settings(encoding, errors, newline)
    if parsed.binary and buffering == 1:
        warnings.warn(
            "line buffering (buffering=1) isn't supported in binary mode, "
            "the default buffer size will be used",
            RuntimeWarning,
            stacklevel=2,
        )
        buffering = -1
    descriptor = await _descriptor(name, parsed, closefd, opener)
    try:
        directory, terminal, block_bytes = _native.describe(
            descriptor, None if isinstance(name, int) else name
        )
        if directory:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        line_buffering = not parsed.binary and (buffering == 1 or (buffering < 0 and terminal))
        if buffering < 0 or buffering == 1:
            buffering = block_bytes if block_bytes > 1 else io.DEFAULT_BUFFER_SIZE
        access = parsed.readable, parsed.writable, parsed.appending, buffering == 0
        if text is None:
            opened: Any = _binary(descriptor, name, parsed.reported, closefd, access, buffering)
        else:
            opened = _text(descriptor, name, mode, closefd, access, buffering, text, line_buffering)
    except BaseException:
        # Nobody has taken it over.
        if not isinstance(file, int):
            os.close(descriptor)
        raise
    if isinstance(opened, CodecTextFile):
        opened._configure()
    result: File[Any] = opened
    return result


def _binary(
    descriptor: int, name: Any, mode: str, closefd: bool, access: tuple[bool, ...], buffering: int
) -> BinaryFile:
    file = BinaryFile(descriptor, name, closefd, access, buffering, None)
    file.mode = mode
    file._raw = buffering == 0
    return file


def _text(
    descriptor: int,
    name: Any,
    mode: str,
    closefd: bool,
    access: tuple[bool, ...],
    buffering: int,
    text: _Text,
    line_buffering: bool,
) -> TextFile:
    # A text file of io holds this much text before its buffer does.
    buffering = max(buffering, io.DEFAULT_BUFFER_SIZE)
    codec = _NATIVE_CODECS.get(codecs.lookup(text.encoding).name)
    if codec is None or text.errors not in _NATIVE_HANDLERS:
        file: TextFile = CodecTextFile(descriptor, name, closefd, access, buffering, None)
    else:
        native = codec, text.errors, text.newline, line_buffering
        file = TextFile(descriptor, name, closefd, access, buffering, native)
    file.mode = mode
    file._raw = False
    file.line_buffering = line_buffering
    file._newline = text.newline
    file.encoding = text.encoding
    file.errors = text.errors
    return file


def _text_settings(encoding: str | None, errors: str | None, newline: str | None) -> _Text:
    """What ``io`` makes of these arguments.

    Raises:
        LookupError: a codec that does not exist or is not for text.
    """
    wrapper = io.TextIOWrapper(io.BytesIO(), encoding, errors, newline)
    return _Text(wrapper.encoding, wrapper.errors or "strict", newline)


async def _descriptor(name: Any, mode: Mode, closefd: bool, opener: Opener | None) -> int:
    if isinstance(name, int):
        if name < 0:
            raise ValueError("negative file descriptor")
        return int(name)
    if not closefd:
        raise ValueError("Cannot use closefd=False with file name")
    path = os.fsencode(name)
    if b"\0" in path:
        raise ValueError("embedded null byte")
    sys.audit("open", name, mode.raw, mode.flags)
    if opener is not None:
        return await _open_with(opener, name, mode.flags)
    descriptor = _native.open_cached(path, mode.flags, name)
    if descriptor is None:
        descriptor = await _open_slowly(path, mode.flags, name)
    return descriptor


async def _open_slowly(path: bytes, flags: int, name: Any) -> int:
    if _native.is_device(path):
        return await _open_apart(path, flags, name)
    try:
        opened: _native.Opened = await _native.open_slowly(path, flags, 0o666, name)
    except BlockingIOError:
        # Another process has a lease on the file, and some seconds to give it up.
        return await _open_apart(path, flags, name)
    try:
        # A FIFO whose other end is still closed is waited for here, in nobody's way: no event tells of it.
        while (descriptor := opened.take(name)) is None:  # noqa: ASYNC110
            await asyncio.sleep(opened.pause())
        return descriptor
    finally:
        opened.close()


async def _open_apart(path: bytes, flags: int, name: Any) -> int:
    """Opens what may take any time. Cancelled, it closes its descriptor when it ends at last."""
    opened = await _native.open_apart(path, flags, 0o666, name).future()
    descriptor: int = opened.take(name)
    return descriptor


async def _open_with(opener: Opener, name: Any, flags: int) -> int:
    """Runs a caller's opener in a thread; cancelled, it still runs, and its descriptor is closed."""
    work = asyncio.get_running_loop().run_in_executor(None, opener, name, flags)
    try:
        descriptor = await asyncio.shield(work)
    except asyncio.CancelledError:
        work.add_done_callback(_close_result)
        raise
    if not isinstance(descriptor, int):
        raise TypeError("expected integer from opener")
    if descriptor < 0:
        raise ValueError(f"opener returned {descriptor}")
    os.set_inheritable(descriptor, False)
    return descriptor


def _close_result(work: asyncio.Future[int]) -> None:
    if not work.cancelled() and work.exception() is None:
        os.close(work.result())
