"""Following a file that others write."""

from __future__ import annotations

import codecs
from typing import Any, Generic, TypeVar, overload

from . import _native
from ._closing import Closing
from ._copy import native_path

AnyStr = TypeVar("AnyStr", str, bytes)


class Tail(Closing["Tail[AnyStr]"], Generic[AnyStr]):
    """An asynchronous iterator over the lines of a followed file. Made by :func:`tail`."""

    def __init__(self, follower: _native.Follower, encoding: str | None, errors: str) -> None:
        self._follower = follower
        self._encoding = encoding
        self._errors = errors
        self._batch: list[bytes] = []

    def __aiter__(self) -> Tail[AnyStr]:
        return self

    async def __anext__(self) -> AnyStr:
        while not self._batch:
            batch = self._follower.take()
            if batch is None:
                raise StopAsyncIteration
            if batch:
                self._batch = batch[::-1]
            else:
                await self._follower.wait()
        line: Any = self._batch.pop()
        if self._encoding is not None:
            line = line.decode(self._encoding, self._errors)
        return line  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Ends the following; lines not yet asked for are dropped."""
        self._batch.clear()
        self._follower.stop()


@overload
def tail(
    path: Any,
    *,
    lines: int = 10,
    follow: str | None = "name",
    encoding: str = "utf-8",
    errors: str = "replace",
    poll: float | None = None,
    max_line_bytes: int | None = None,
) -> Tail[str]: ...
@overload
def tail(
    path: Any,
    *,
    lines: int = 10,
    follow: str | None = "name",
    encoding: None,
    errors: str = "replace",
    poll: float | None = None,
    max_line_bytes: int | None = None,
) -> Tail[bytes]: ...
def tail(
    path: Any,
    *,
    lines: int = 10,
    follow: str | None = "name",
    encoding: str | None = "utf-8",
    errors: str = "replace",
    poll: float | None = None,
    max_line_bytes: int | None = None,
) -> Tail[Any]:
    """Iterates over the last lines of a file, and those that are written from now on.

    A thread of its own begins with that shortly after the call; what is written before it does counts as
    old. Each tail takes two threads and a few descriptors.

    A file that is replaced (as by log rotation), shortened, removed or created later is followed by its
    name; what was still to be read of the old file comes first. One that does not exist is waited for
    without a word, for ever where the path is mistyped: look whether it is there if it must be.

    Args:
        path: path of the file (str, bytes or PathLike).
        lines: lines to begin with, counted from the end, not negative.
        follow: ``"name"`` follows whatever file has the name, ``"descriptor"`` the file that has it
            now, None ends with the file.
        encoding: of the lines; None gives bytes. It must end a line with the byte 10, unlike UTF-16 and
            UTF-32.
        errors: what to do with what cannot be decoded.
        poll: also look this often, in seconds above 0, without a hint from the kernel; network file systems
            are recognised without it.
        max_line_bytes: length at which a line is cut, at least 1; 16 MiB by default.

    Returns:
        An asynchronous iterator of lines with their terminators, to be used directly or with
        ``async with``, which ends the following at the end of the block.

    Raises:
        OSError: from the iteration, when the file cannot be opened or read; when it does not exist, only if
            it is not followed by its name.
        LookupError: an unknown encoding or error handler.
        ValueError: an unknown ``follow``, a ``poll`` that is not above 0, a negative ``lines``, an encoding
            with other line ends, a path with a null byte.

    Cancellation: a cancelled wait loses no line.

    Example:
        >>> async with aiofile.tail("/var/log/syslog", lines=0) as log:
        ...     async for line in log:
        ...         print(line, end="")
    """
    _check(lines, encoding, errors, poll, max_line_bytes)
    follower = _native.Follower(native_path(path), lines, follow, poll, max_line_bytes)
    return Tail(follower, encoding, errors)


def _check(
    lines: int, encoding: str | None, errors: str, poll: float | None, max_line_bytes: int | None
) -> None:
    if lines < 0:
        raise ValueError("lines must not be negative")
    if max_line_bytes is not None and max_line_bytes < 1:
        raise ValueError("max_line_bytes must be at least 1")
    if poll is not None and not poll > 0:
        raise ValueError("poll must be above 0")
    if encoding is not None:
        codecs.lookup_error(errors)
        if "\n".encode(encoding) != b"\n":
            raise ValueError(f"lines cannot be found in {encoding}, which does not end them with the byte 10")
