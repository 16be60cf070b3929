"""Files that appear when they are complete."""

from __future__ import annotations

import io
import os
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from . import _native
from ._copy import native_path
from ._mode import checked_mode, warn_of_line_buffering
from ._open import open
from ._waiting import uninterrupted

if TYPE_CHECKING:
    from ._binary_file import AsyncBufferedIOBase, AsyncBufferedReader
    from ._text_file import TextFile
    from ._types import StrOrBytesPath

FileT = TypeVar("FileT")

Durability = Literal["none", "data", "full"]


class AtomicWrite(AbstractAsyncContextManager[FileT], Generic[FileT]):
    """A file that is written under another name until its block ends. Made by :func:`atomic_write`."""

    def __init__(
        self,
        path: Any,
        arguments: tuple[Any, ...],
        durability: str,
        in_place: bool,
        compression: str | None,
    ) -> None:
        self._path = path
        self._arguments = arguments
        self._durability = durability
        self._in_place = in_place
        self._compression = compression
        self._entered = False
        self._replacement: _native.Replacement | None = None
        self._file: Any = None

    async def __aenter__(self) -> FileT:
        if self._entered:
            raise RuntimeError("the file is being written already")
        self._entered = True
        try:
            return await self._begin()
        except BaseException:
            self._entered = False
            raise

    async def _begin(self) -> FileT:
        mode, *others = self._arguments
        parsed = checked_mode.__wrapped__(mode, *others)
        if parsed.reading or parsed.appending:
            raise ValueError("a file that is written anew has a mode with 'w' or 'x'")
        _native.check_durability(self._durability)
        path = native_path(self._path)
        replacement: _native.Replacement
        replacement = await _native.begin_replacement(path, parsed.creating, self._in_place)
        self._replacement = replacement

        def opener(_path: str, _flags: int) -> int:
            return replacement.descriptor()

        try:
            opening: Any = open(  # type: ignore[call-overload]
                os.fspath(self._path), mode, *others, True, opener, compression=self._compression
            )
            self._file = await opening
        except BaseException:
            await uninterrupted(self._give_up())
            raise
        file: FileT = self._file
        return file

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered, replacement = False, self._replacement
        if replacement is None:
            return
        if kind is not None:
            await uninterrupted(self._give_up())
            return
        try:
            if (sink := getattr(self._file, "_sink", None)) is not None and not sink.closed:
                # It would end as a file that was cut off.
                sink.check()
            await self._file.close()
        except BaseException:
            await uninterrupted(self._give_up())
            raise
        self._replacement = self._file = None
        await replacement.commit(self._durability)

    async def _give_up(self) -> None:
        """Removes what was written."""
        replacement, file = self._replacement, self._file
        self._replacement = self._file = None
        try:
            if file is not None:
                # What could not be written is not wanted any more.
                with suppress(Exception):
                    await file.close()
        finally:
            if replacement is not None:
                await replacement.discard()


@overload
def atomic_write(
    path: StrOrBytesPath,
    mode: Literal["w", "wt", "tw", "x", "xt", "tx", "w+", "+w", "w+t", "wt+", "x+", "+x", "x+t", "xt+"] = "w",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    durability: Durability = "none",
    in_place: bool = False,
    compression: str | None = None,
) -> AtomicWrite[TextFile]: ...
@overload
def atomic_write(
    path: StrOrBytesPath,
    mode: Literal["wb", "bw", "xb", "bx"],
    buffering: int = -1,
    *,
    durability: Durability = "none",
    in_place: bool = False,
    compression: str | None = None,
) -> AtomicWrite[AsyncBufferedIOBase]: ...
@overload
def atomic_write(
    path: StrOrBytesPath,
    mode: Literal["w+b", "wb+", "+wb", "bw+", "b+w", "x+b", "xb+", "+xb", "bx+", "b+x"],
    buffering: int = -1,
    *,
    durability: Durability = "none",
    in_place: bool = False,
    compression: None = None,
) -> AtomicWrite[AsyncBufferedReader]: ...
def atomic_write(
    path: Any,
    mode: str = "w",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    durability: str = "none",
    in_place: bool = False,
    compression: str | None = None,
) -> AtomicWrite[Any]:
    """Writes a file that appears as a whole when its block ends, or not at all.

    It is written beside the target, under a name that begins with ``.afx-``, and takes the target's name
    when the block ends without an exception. Whoever opens the target meanwhile gets the old one, and so does
    everybody after an exception, a cancellation or the death of the process. What a process that died
    left beside the target is removed by the next that writes it; one that is still at work is not disturbed,
    and of two the last to end counts.

    An existing target keeps its owner, permissions, access control list and extended attributes. Links are
    followed: what they point to is replaced.

    Args:
        path: path of the target (str, bytes or PathLike).
        mode: ``"w"`` or ``"x"``, with ``"b"`` and ``"+"`` as for ``open``; ``"x"`` raises where the name is
            taken, when the block begins or when it ends.
        buffering: as for :func:`aiofile.open`.
        encoding: as for :func:`aiofile.open`.
        errors: as for :func:`aiofile.open`.
        newline: as for :func:`aiofile.open`.
        durability: what a power loss may cost. ``"none"``: the file may be cut off after it. ``"data"``: it
            is old or new after it (``fdatasync`` before the rename). ``"full"``: once the block has ended, it
            is new (the directory is synced as well).
        in_place: whether a target that another file in its place would break is written to itself, when the
            block ends: one with other hard links, a mount point, a FIFO or device, one in a directory that
            takes no new names, or with attributes that a new file cannot get. What is written waits in the
            folder for temporary files then. A failure at that moment leaves a part of it.
        compression: as for :func:`aiofile.open`; ``"infer"`` goes by the suffix.

    Returns:
        An object for ``async with``, which gives the file. It can be used again when its block has ended.

    Raises:
        FileExistsError: mode ``"x"`` and the name is taken.
        IsADirectoryError: path is a directory.
        OSError: something else failed, with the target's name; with ENOTSUP where the target cannot be
            replaced in one step and ``in_place`` is not asked for.
        ValueError: arguments that contradict each other, when the block begins.

    Cancellation: the new file is removed, then CancelledError is raised. Where it has just taken the target's
    name the target is the new one all the same.

    Example:
        >>> async with aiofile.atomic_write("settings.json") as file:
        ...     await file.write(text)
    """
    # Here rather than where they are used, for these warnings name the caller's line.
    binary = "b" in str(mode)
    if encoding is None and not binary:
        encoding = io.text_encoding(None, 2)  # type: ignore[attr-defined]
    if buffering == 1 and binary:
        buffering = warn_of_line_buffering(stacklevel=3)
    return AtomicWrite(path, (mode, buffering, encoding, errors, newline), durability, in_place, compression)
