"""Whole files, opened, read or written, and closed in one trip: what ``pathlib`` does with a path."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from codecs import lookup
from typing import Any

from . import _native
from ._file import CHARS_AT_ONCE, exact_text
from ._in_executor import patched_open
from ._mode import parse_mode
from ._open import open
from ._text_file import NATIVE_CODECS
from ._types import FileDescriptorOrPath, ReadableBuffer
from ._waiting import running_loop, turn

_READING = parse_mode("rb")
_WRITING = parse_mode("wb")


async def read_bytes(path: FileDescriptorOrPath) -> bytes:
    """Reads a whole file of bytes, as ``pathlib.Path.read_bytes``.

    Args:
        path: of the file (str, bytes or PathLike), or the number of a descriptor, which is closed.

    Returns:
        All of it, whatever it is: regular, ``/proc``, a FIFO, whose other end is waited for.

    Raises:
        OSError: opening or reading failed; its filename is the path.
        ValueError: a null byte in the path.

    Cancellation: the descriptor is closed, then CancelledError is raised. What was read is lost, which only
    matters where it cannot be read again.

    Example:
        >>> data = await aiofile.read_bytes("photo.jpg")
    """
    data = await _read_small(path)
    if data is None:
        async with open(path, "rb") as file:
            data = await file.read()
    return data


async def read_text(
    path: FileDescriptorOrPath,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> str:
    r"""Reads a whole file of text, as ``pathlib.Path.read_text``.

    Args:
        path: as for :func:`read_bytes`.
        encoding: of the text; the locale's by default.
        errors: what to do with what cannot be decoded; ``"strict"`` by default.
        newline: what ends a line; any line end, read as ``"\n"``, by default.

    Returns:
        All of it. A large text is decoded off the event loop.

    Raises:
        OSError: opening or reading failed; its filename is the path.
        UnicodeDecodeError: the bytes are not text of this encoding.
        LookupError, TypeError, ValueError: arguments that ``open`` refuses.

    Cancellation: as for :func:`read_bytes`.

    Example:
        >>> text = await aiofile.read_text("notes.txt", encoding="utf-8")
    """
    if encoding is None:
        # For its warning, which names the caller's line.
        encoding = io.text_encoding(None, 2)  # type: ignore[attr-defined]
    data = await _read_small(path)
    if data is not None:
        return io.TextIOWrapper(io.BytesIO(data), encoding, errors, newline).read()
    async with open(path, "r", -1, encoding, errors, newline) as file:
        return await file.read()


async def write_bytes(path: FileDescriptorOrPath, data: ReadableBuffer) -> int:
    """Makes ``data`` the content of a file, as ``pathlib.Path.write_bytes``.

    The file is made if it is missing. To have the old content or the new one, whatever happens, write
    another file and rename it.

    Args:
        path: as for :func:`read_bytes`.
        data: any bytes-like object. If a program changes it meanwhile, it is unspecified what is written.

    Returns:
        Bytes written: all of them.

    Raises:
        OSError: opening, writing or closing failed; its filename is the path.
        TypeError: data that is not bytes-like; the file is as it was.

    Cancellation: a write that was not begun is not made. One that was ends as soon as it can, and only then
    CancelledError is raised: the file holds the old content, the new one, or a beginning of that.

    Example:
        >>> await aiofile.write_bytes("photo.jpg", data)
    """
    if type(data) is not bytes:
        # It says what is wrong with data that is not bytes-like.
        memoryview(data).release()
    count = await _write_small(path, data)
    if count is None:
        async with open(path, "wb") as file:
            count = await file.write(data)
    return count


async def write_text(
    path: FileDescriptorOrPath,
    text: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> int:
    r"""Makes ``text`` the content of a file, as ``pathlib.Path.write_text``.

    Args:
        path: as for :func:`read_bytes`.
        text: what is written.
        encoding: of the text; the locale's by default.
        errors: what to do with what cannot be encoded; ``"strict"`` by default.
        newline: what ``"\n"`` is written as; as the system has it by default.

    Returns:
        Characters of ``text``.

    Raises:
        OSError: opening, writing or closing failed; its filename is the path.
        TypeError: text that is no ``str``; the file is as it was.
        UnicodeEncodeError: text that the encoding does not have. A short text (65,536 characters) is encoded
            before the file is touched; a longer one leaves it empty, as with ``pathlib``.
        LookupError, ValueError: arguments that ``open`` refuses.

    Cancellation: as for :func:`write_bytes`.

    Example:
        >>> await aiofile.write_text("notes.txt", "a line\n", encoding="utf-8")
    """
    if not isinstance(text, str):
        raise TypeError(f"data must be str, not {type(text).__name__}")
    text = exact_text(text)
    if encoding is None:
        encoding = io.text_encoding(None, 2)  # type: ignore[attr-defined]
    data = _encoded_at_once(text, encoding, errors, newline)
    if data is None or await _write_small(path, data) is None:
        async with open(path, "w", -1, encoding, errors, newline) as file:
            await file.write(text)
    return len(text)


def _encoded_at_once(text: str, encoding: str, errors: str | None, newline: str | None) -> str | bytes | None:
    """What is written for a text, itself where its characters are the bytes; None where that takes long."""
    bytes_behind = io.BytesIO()
    # It checks the arguments, and knows what to make of them.
    wrapper = io.TextIOWrapper(bytes_behind, encoding, errors, newline)
    keeps_lines = newline == "" or (newline or os.linesep) == "\n"
    if keeps_lines and text.isascii() and lookup(wrapper.encoding).name in NATIVE_CODECS:
        return text
    if len(text) > CHARS_AT_ONCE:
        return None
    wrapper.write(text)
    wrapper.flush()
    return bytes_behind.getvalue()


async def _read_small(path: FileDescriptorOrPath) -> bytes | None:
    """A small regular file; None for what is opened as any other."""
    name = await _announced(path, _READING)
    if name is None:
        return None
    result = _native.read_small(os.fsencode(name), name)
    return await result if isinstance(result, _native.Operation) else result


async def _write_small(path: FileDescriptorOrPath, data: Any) -> int | None:
    """Writes a regular file; None, and nothing is done, for what is opened as any other."""
    name = await _announced(path, _WRITING)
    return None if name is None else await _native.write_small(os.fsencode(name), data, name)


async def _announced(path: FileDescriptorOrPath, mode: Any) -> str | bytes | None:
    """The name of a file, of which audit hooks were told; None for what is opened in another way."""
    if asyncio._get_running_loop() is None:
        running_loop()
    if isinstance(path, int) or patched_open() is not None:
        return None
    if _native.must_yield():
        await turn()
    name = os.fspath(path)
    sys.audit("open", name, mode.raw, mode.flags)
    return name
