"""Opening files."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple, SupportsIndex, TypeAlias, overload

from . import _native
from ._binary_file import AsyncBufferedIOBase, AsyncBufferedReader, AsyncFileIO, BinaryFile
from ._calls import acquire, interruptible
from ._codec_text import CodecTextFile
from ._configuration import default_buffering
from ._file import File
from ._in_executor import open_in_executor, patched_open
from ._mode import Mode, checked_mode, warn_of_line_buffering
from ._mode_types import BinaryMode, ReadingMode, TextMode, UpdatingMode, WritingMode
from ._opening import AiofilesContextManager
from ._room import UnderWay, opened_with_room
from ._text_file import TextFile, native_text
from ._types import FileDescriptorOrPath
from ._waiting import running_loop, turn

#: Of a file past the page cache, where each write goes to the device.
DIRECT_BUFFER_BYTES = 1 << 20

Opener = Callable[[str, int], int]

#: The number of a descriptor, or a regular file of ours, about which nothing has to be asked any more.
_Descriptor: TypeAlias = "int | _native.Fresh"


_get_running_loop = asyncio._get_running_loop
_must_yield = _native.must_yield
_new_file: Callable[..., Any] = _native.File.__new__


class _Text(NamedTuple):
    """How a file's text is read and written, in the words of ``io``."""

    encoding: str
    errors: str
    newline: str | None


@overload
def open(
    file: FileDescriptorOrPath,
    mode: TextMode = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    executor: Executor | None = None,
    write_behind: int | None = None,
    direct: bool = False,
    compression: str | None = None,
) -> AiofilesContextManager[TextFile]: ...
@overload
def open(
    file: FileDescriptorOrPath,
    mode: BinaryMode,
    buffering: Literal[0],
    encoding: None = None,
    errors: None = None,
    newline: None = None,
    closefd: bool = True,
    opener: Opener | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    executor: Executor | None = None,
    write_behind: int | None = None,
    direct: bool = False,
    compression: str | None = None,
) -> AiofilesContextManager[AsyncFileIO]: ...
@overload
def open(
    file: FileDescriptorOrPath,
    mode: ReadingMode | UpdatingMode,
    buffering: Literal[-1, 1] = -1,
    encoding: None = None,
    errors: None = None,
    newline: None = None,
    closefd: bool = True,
    opener: Opener | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    executor: Executor | None = None,
    write_behind: int | None = None,
    direct: bool = False,
    compression: str | None = None,
) -> AiofilesContextManager[AsyncBufferedReader]: ...
@overload
def open(
    file: FileDescriptorOrPath,
    mode: WritingMode,
    buffering: Literal[-1, 1] = -1,
    encoding: None = None,
    errors: None = None,
    newline: None = None,
    closefd: bool = True,
    opener: Opener | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    executor: Executor | None = None,
    write_behind: int | None = None,
    direct: bool = False,
    compression: str | None = None,
) -> AiofilesContextManager[AsyncBufferedIOBase]: ...
@overload
def open(
    file: FileDescriptorOrPath,
    mode: BinaryMode,
    buffering: int,
    encoding: None = None,
    errors: None = None,
    newline: None = None,
    closefd: bool = True,
    opener: Opener | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    executor: Executor | None = None,
    write_behind: int | None = None,
    direct: bool = False,
    compression: str | None = None,
) -> AiofilesContextManager[BinaryFile]: ...
def open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Opener | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    executor: Executor | None = None,
    write_behind: int | None = None,
    direct: bool = False,
    compression: str | None = None,
) -> AiofilesContextManager[Any]:
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
        loop: accepted for the sake of aiofiles; files belong to no loop.
        executor: where every call of this file is to run. It is a blocking file of ``io`` then.
        write_behind: bytes, besides the buffer, that may be on their way to the kernel while the program
            goes on; 0 or None, the default, for none. See below.
        direct: whether to read and write past the page cache (``O_DIRECT``), at any offset and of any size;
            the buffer is 1 MiB by default then. See below.
        compression: the format of a file whose content is compressed: ``"zst"`` or ``"gz"``, to write also
            with a level (``"zst:19"``); ``"infer"`` for what the suffix says, and for a file without one
            that is read or appended to, its first bytes: one that is neither is no compressed file then. See
            below.

    Returns:
        An object to ``await`` or to use with ``async with``; either gives the file.

    Raises:
        OSError: opening failed; the same subclass, errno and filename as the built-in gives.
        OSError: with EINVAL also ``direct`` for what cannot do it, by its file system or its kind
            (``/proc``, a pipe, a terminal, a device like ``/dev/null``).
        EOFError: when it is read, a compressed file that was cut off.
        OSError: when it is read, a compressed file that is broken (``gzip.BadGzipFile`` of one of gzip), or
            whose zstd frames take more than 128 MiB of memory to read.
        OverflowError: ``buffering`` or ``write_behind`` that no memory can have.
        TypeError: an argument of a type that the built-in refuses, when it is awaited; ``write_behind`` that
            is no integer, or a bool; ``direct`` that is no bool.
        ValueError: an argument that the built-in refuses, when it is awaited; ``write_behind`` that is
            negative, or for a file that is not written, has no buffer or is given an ``executor``;
            ``direct`` for a descriptor, a file without a buffer or with an ``executor``; ``compression``
            that is unknown, with ``"+"`` in the mode, without a buffer, or with one of these three;
            ``"infer"`` where there is nothing to tell by: of a pipe without a suffix that is read, a
            descriptor that is written, an ``opener`` of a name without a suffix.

    Cancellation: a cancelled open leaves no descriptor behind.

    Write-behind: ``write`` of a regular file returns while its bytes are still on their way; one that finds
        no room waits for it. They are written one after the other, in order. Each failure is raised once, by
        the next ``write``, ``flush``, ``close`` or whatever else needs everything written, and nothing
        behind it is written before that. A ``write`` that raises it has taken nothing of its own data: call
        it again with them. What was not written of the data before is kept, and tried again by the next of
        these calls; where that fails as well, it is another failure. A program that is killed, or ends by
        ``os._exit``, loses up to ``write_behind`` bytes besides those of the buffer. ``bytes`` and plain
        ASCII text are not copied but held until they are written; another buffer is copied up to 1 MiB, and
        a longer one waited for. Pipes, terminals and devices are written as without it, and so is a file
        that is a blocking one.

    Direct: whole blocks go past the page cache through aligned buffers; what a write has before the first
        and behind the last of them goes through it, so that neither the length of the file nor what others
        have in the same block suffers. Whatever goes on, the device is waited for, but not held: the loop
        turns. A file system that cannot do it refuses to open the file, with ``EINVAL``. A file that
        becomes a blocking one uses the page cache from then on.

    Compression: the file reads as its content, or takes it: lines, text, ``seek`` and ``tell`` count what is
        not compressed. Going back further than a little restores everything from the start; a file that is
        written goes forward only, over zeros. ``"a"`` adds another frame or member, which readers take for
        one with those before; it does not look whether the last of those has an end. What a killed process
        left has none, and what is added to that cannot be read: begin a new file after a crash, or see
        docs/guides/compression.md. Threads of the loop's executor compress and restore; what fits in the
        buffer, and lines that were read ahead, take no trip there. ``flush`` makes readable what was
        written so far, as a line does with ``buffering=1``; ``close`` writes the end. Where a write fails or
        is cancelled, no end is written: a reader raises :class:`EOFError` behind what is there, and every
        later write and flush fails, after a failure ``close`` too: with the errno of the first one. There
        are no offsets: ``pread``, ``pread_many``, ``pwrite`` and ``truncate`` raise
        :class:`io.UnsupportedOperation`, while ``fileno`` is that of the compressed file.

    Example:
        >>> async with aiofile.open("notes.txt") as file:
        ...     async for line in file:
        ...         print(line, end="")
    """
    replaced = patched_open() is not None
    if not replaced:
        # Here rather than where they are used, for these warnings name the caller's line.
        binary = "b" in (mode if type(mode) is str else str(mode))
        if encoding is None and not binary:
            encoding = io.text_encoding(None, 2)  # type: ignore[attr-defined]
        if buffering == 1 and binary:
            buffering = warn_of_line_buffering(stacklevel=3)
    arguments = file, mode, buffering, encoding, errors, newline, closefd, opener
    opens: Callable[..., Coroutine[Any, Any, Any]] = _open
    if compression is not None:
        asked = write_behind is not None or direct is not False or executor is not None
        opens = partial(_open_with_compression, compression, asked, replaced, loop)
    elif write_behind is not None or direct is not False:
        opens = partial(_open_specially, write_behind, direct, executor, replaced, loop)
    elif replaced or executor is not None:
        opens = partial(open_in_executor, loop=loop, executor=executor)
    return AiofilesContextManager(opens(*arguments), opens, arguments)


async def _open_specially(
    write_behind: object,
    direct: object,
    executor: Executor | None,
    replaced: bool,
    loop: asyncio.AbstractEventLoop | None,
    *arguments: Any,
) -> Any:
    """Opens a file with what the built-in does not know."""
    file, mode, buffering = arguments[:3]
    behind_bytes = 0 if write_behind is None else _behind_bytes(write_behind)
    if not isinstance(direct, bool):
        raise TypeError(f"direct must be a bool, not {type(direct).__name__}")
    if behind_bytes and isinstance(mode, str) and not set(mode) & set("wax+"):
        raise ValueError("write_behind is for files that are written")
    asked = "write_behind" if behind_bytes else "direct"
    if (behind_bytes or direct) and executor is not None:
        raise ValueError(f"{asked} is not for a file whose calls run in an executor")
    if (behind_bytes or direct) and buffering == 0:
        raise ValueError(f"{asked} is for files with a buffer")
    if direct and isinstance(file, int):
        raise ValueError("direct is for files that are opened here, not for descriptors")
    if replaced or executor is not None:
        # Of a program's own making: it does what it does.
        return await open_in_executor(*arguments, loop=loop, executor=executor)
    opened = await (_open_direct(*arguments) if direct else _open(*arguments))
    opened._set_write_behind(behind_bytes)
    return opened


async def _open_with_compression(
    compression: object,
    asked: bool,
    replaced: bool,
    loop: asyncio.AbstractEventLoop | None,
    *arguments: Any,
) -> Any:
    """Opens a file that is compressed, or one of which that is to be found out."""
    from . import _compressed

    file, mode, buffering, encoding, errors, newline, _, opener = arguments
    if not isinstance(compression, str):
        raise TypeError(f"compression must be a string or None, not {type(compression).__name__}")
    parsed = checked_mode.__wrapped__(mode, buffering, encoding, errors, newline)
    infers = compression == "infer"
    if not infers:
        # Refuses what is unknown.
        _native.codec_of_name(compression)
    if asked:
        raise ValueError("compression is not for files with write_behind, direct or an executor")
    if parsed.updating:
        raise ValueError("a compressed file is read or written, not both")
    if buffering == 0:
        raise ValueError("compression is for files with a buffer")
    if parsed.reading and ":" in compression:
        raise ValueError("a compressed file that is read has no level to choose")
    if not isinstance(file, int):
        os.fspath(file)
    if not parsed.binary:
        # Before anything is created or emptied.
        _text_settings(encoding, errors, newline)
    found = _compressed.told_by_name(file) if infers else compression
    if found is None and infers:
        if opener is not None and (parsed.reading or parsed.appending):
            raise ValueError("compression='infer' needs a suffix where there is an opener: say which it is")
        found = await _compressed.told_by_content(file, parsed)
    if found is not None:
        return await _compressed.open_compressed(found, parsed, *arguments)
    if replaced:
        return await open_in_executor(*arguments, loop=loop, executor=None)
    return await _open(*arguments)


async def _open_direct(
    file: Any,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    closefd: bool,
    opener: Opener | None,
) -> File[Any]:
    """Opens a file past the page cache."""
    if not hasattr(os, "O_DIRECT"):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), file)
    if buffering == -1:
        buffering = DIRECT_BUFFER_BYTES
    try:
        opened = await _open(file, mode, buffering, encoding, errors, newline, closefd, opener, direct=True)
    except OSError as error:
        # A directory is refused as one, as without `direct`.
        is_directory = partial(os.path.isdir, file)
        if error.errno != errno.EINVAL or opener or not await interruptible(is_directory, None, None):
            raise
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), error.filename) from None
    try:
        if opened._stack is not None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), file)
        opened._go_direct()
    except BaseException:
        # Nothing is buffered that would have to be waited for.
        opened._finalize() if opened._stack is None else opened._stack.close()
        raise
    return opened


def _behind_bytes(write_behind: object) -> int:
    # A bool is an integer, but `True` is hardly meant as one byte.
    if isinstance(write_behind, bool) or not isinstance(write_behind, SupportsIndex):
        raise TypeError(f"write_behind must be an integer, not {type(write_behind).__name__}")
    behind_bytes = write_behind.__index__()
    if behind_bytes < 0:
        raise ValueError("write_behind must not be negative")
    if behind_bytes > sys.maxsize:
        raise OverflowError("write_behind is more than there can be memory")
    return behind_bytes


async def _open(
    file: Any,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    closefd: bool,
    opener: Opener | None,
    shown: Any = None,
    direct: bool = False,
) -> File[Any]:
    """Opens a file; ``shown`` is its name where it goes by another than ``file``."""
    # What is cached would be opened and read without one, and what is not would fail later.
    if _get_running_loop() is None:
        running_loop()
    if _must_yield():
        await turn()
    # A number that is no descriptor's is no path either.
    name = file if isinstance(file, int) and abs(file) < 2**31 else os.fspath(file)
    try:
        parsed = checked_mode(mode, buffering, encoding, errors, newline)
    except TypeError:
        # Of a wrong type, or of one that cannot be remembered.
        parsed = checked_mode.__wrapped__(mode, buffering, encoding, errors, newline)
    if direct:
        parsed = replace(parsed, direct=True)
    path = _path(name, closefd)
    sys.audit("open", name, parsed.raw, parsed.flags)
    text = None if parsed.binary else _text_settings(encoding, errors, newline)
    descriptor: _Descriptor | None = None
    if isinstance(path, int):
        descriptor = path
    elif opener is None:
        descriptor = _native.open_with_room(path, parsed.flags, name, UnderWay.count)
    if descriptor is None:
        descriptor = await _descriptor(name, parsed, opener)
    try:
        opened = _made(descriptor, name if shown is None else shown, parsed, mode, buffering, text, closefd)
    except BaseException as error:
        # Nobody has taken it over. One that was given is closed where `io` does that.
        if not isinstance(file, int) or (closefd and isinstance(error, _native.UnsupportedOperation)):
            _give_up(descriptor)
        raise
    if isinstance(opened, CodecTextFile):
        opened._configure()
    if (isinstance(file, int) or opener is not None) and _native.never_waits(opened.fileno()):
        # Its owner wants to be told at once that there is nothing: only a blocking file says that.
        opened._blocking()
    return opened


def _made(
    descriptor: _Descriptor,
    name: Any,
    mode: Mode,
    shown_mode: str,
    buffering: int,
    text: _Text | None,
    closefd: bool,
) -> File[Any]:
    """The file of a descriptor, which it takes over."""
    block_bytes, terminal = _described(descriptor, name)
    line_buffering = buffering == 1 or (buffering < 0 and terminal)
    if buffering < 0 or buffering == 1:
        buffering = default_buffering(block_bytes)
    if mode.updating and buffering != 0 and isinstance(descriptor, int):
        _check_has_position(descriptor)
    if text is None:
        return _binary(descriptor, name, mode, closefd, buffering)
    return _text(descriptor, name, shown_mode, closefd, mode.access, buffering, text, line_buffering)


def _described(descriptor: _Descriptor, name: Any) -> tuple[int, bool]:
    """(bytes of a block, whether it is a terminal) of what was opened, unless it is a directory."""
    if not isinstance(descriptor, int):
        return descriptor.block_bytes, False
    directory, terminal, block_bytes = _native.describe(descriptor, None if isinstance(name, int) else name)
    if directory:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    return block_bytes, terminal


def _give_up(descriptor: _Descriptor) -> None:
    if isinstance(descriptor, int):
        os.close(descriptor)
    else:
        descriptor.close()


def _check_has_position(descriptor: int) -> None:
    """Refuses to have one buffer for reading and writing where those are two streams."""
    try:
        os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError:
        raise _native.UnsupportedOperation("File or stream is not seekable.") from None


def _binary(descriptor: _Descriptor, name: Any, mode: Mode, closefd: bool, buffering: int) -> BinaryFile:
    access = mode.access if buffering else mode.raw_access
    kind: type[BinaryFile] = AsyncBufferedReader if mode.readable else AsyncBufferedIOBase
    if buffering == 0:
        kind = AsyncFileIO
    file: BinaryFile = _new_file(kind, descriptor, name, closefd, access, buffering, None)
    file._mode = mode.reported
    return file


def _text(
    descriptor: _Descriptor,
    name: Any,
    mode: str,
    closefd: bool,
    access: tuple[bool, ...],
    buffering: int,
    text: _Text,
    line_buffering: bool,
) -> TextFile:
    asked = buffering
    # A text file of io holds this much text before its buffer does.
    buffering = max(buffering, io.DEFAULT_BUFFER_SIZE)
    native = native_text(text.encoding, text.errors, text.newline, line_buffering)
    kind = CodecTextFile if native is None else TextFile
    file: TextFile = _new_file(kind, descriptor, name, closefd, access, buffering, native)
    file._mode = mode
    file._buffer_bytes = asked
    file._line_buffering = line_buffering
    file._newline = text.newline
    file._encoding = text.encoding
    file._errors = text.errors
    return file


def _text_settings(encoding: str | None, errors: str | None, newline: str | None) -> _Text:
    """What ``io`` makes of these arguments.

    Raises:
        LookupError: a codec that does not exist or is not for text.
    """
    wrapper = io.TextIOWrapper(io.BytesIO(), encoding, errors, newline)
    return _Text(wrapper.encoding, wrapper.errors or "strict", newline)


def _path(name: Any, closefd: bool) -> str | bytes | int:
    """The path, or the descriptor, as the kernel gets it."""
    if closefd and type(name) is str and name.isascii() and "\0" not in name:
        return name
    path: bytes | int = int(name) if isinstance(name, int) else os.fsencode(name)
    if isinstance(path, int):
        if path < 0:
            raise ValueError("negative file descriptor")
    elif not closefd:
        raise ValueError("Cannot use closefd=False with file name")
    elif b"\0" in path:
        raise ValueError("embedded null byte")
    return path


async def _descriptor(name: Any, mode: Mode, opener: Opener | None) -> _Descriptor:
    if opener is not None:
        return await _open_with(opener, name, mode.flags)
    return await opened_with_room(partial(_open_path, os.fsencode(name), mode.flags, name))


async def _open_path(path: bytes, flags: int, name: Any) -> _Descriptor:
    descriptor = _native.open_cached(path, flags, name)
    return await _open_slowly(path, flags, name) if descriptor is None else descriptor


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
    """Runs a caller's opener in a thread; cancelled, it ends there, and its descriptor is closed."""
    descriptor = await acquire(lambda: opener(name, flags), os.close, None, None)
    if not isinstance(descriptor, int):
        raise TypeError("expected integer from opener")
    if descriptor < 0:
        raise ValueError(f"opener returned {descriptor}")
    os.set_inheritable(descriptor, False)
    return descriptor
