"""A file that has become a blocking file of :mod:`io`, whose every call runs in the executor.

One way and for good: for whoever asks for the real ``buffer`` or ``raw``, detaches it, or wants its calls
to run in an executor.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any

from . import _native


class _Continued(io.FileIO):
    """A pipe or terminal whose next bytes were read already."""

    def __init__(self, fd: int, mode: str, closefd: bool, ahead: bytes) -> None:
        super().__init__(fd, mode, closefd=closefd)
        self._ahead = ahead

    def readinto(self, buffer: Any, /) -> int:
        if not self._ahead:
            return super().readinto(buffer)
        with memoryview(buffer).cast("B") as view:
            count = min(len(view), len(self._ahead))
            view[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        if not self._ahead:
            return super().read(size)
        result, self._ahead = self._ahead[:size], self._ahead[size:]
        return result

    def readall(self) -> bytes:
        result, self._ahead = self._ahead, b""
        return result + super().readall()


def demote(
    file: _native.File, mode: str, text: dict[str, Any] | None, buffer_bytes: int | None = None
) -> Any:
    """Makes a blocking file out of ``file``, which is none yet.

    Args:
        file: it must not be in use.
        mode: the one it was opened with.
        text: the arguments of ``io.TextIOWrapper``, None for bytes.
        buffer_bytes: of its buffer; that of the file by default.

    Returns:
        The file of ``io`` that is behind it now.

    Raises:
        OSError: what was buffered cannot be written; the file stays as it was.
        RuntimeError: an operation on it is under way.
        ValueError: it is closed.
    """
    fd, owned, own_bytes, ahead = file._demote()
    if buffer_bytes is None:
        buffer_bytes = own_bytes
    stack = _stack(fd, file.name, mode, owned, buffer_bytes, ahead, text)
    file._become(stack, has_two_sides(stack))
    return stack


def _stack(
    fd: int, name: Any, mode: str, closefd: bool, buffer_bytes: int, ahead: bytes, text: dict[str, Any] | None
) -> Any:
    letters = mode.replace("t", "").replace("b", "")
    raw = _Continued(fd, letters, closefd, ahead) if ahead else _raw(fd, letters, closefd)
    raw.name = name
    if buffer_bytes == 0:
        return raw
    buffer: Any
    if raw.readable() and raw.writable():
        buffer = io.BufferedRandom(raw, buffer_bytes)
    elif raw.readable():
        buffer = io.BufferedReader(raw, buffer_bytes)
    else:
        buffer = io.BufferedWriter(raw, buffer_bytes)
    if text is None:
        return buffer
    wrapped = io.TextIOWrapper(buffer, **text)
    wrapped.mode = mode  # type: ignore[misc]
    return wrapped


def _raw(fd: int, letters: str, closefd: bool) -> io.FileIO:
    try:
        position = os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return io.FileIO(fd, letters, closefd=closefd)
    raw = io.FileIO(fd, letters, closefd=closefd)
    # A file for appending has just been put to its end.
    os.lseek(fd, position, os.SEEK_SET)
    return raw


#: What one thread may use while another reads it. Text may not, nor what nobody here knows.
_FOR_TWO_THREADS = io.RawIOBase, io.BufferedReader, io.BufferedWriter, io.BufferedRWPair


def has_two_sides(stack: Any) -> bool:
    """Whether a blocking file may be written while it is read: it has no position that they share."""
    if not isinstance(stack, _FOR_TWO_THREADS):
        return False
    try:
        # Many devices take every seek and do nothing.
        return not stack.seekable() or stat.S_ISCHR(os.fstat(stack.fileno()).st_mode)
    except Exception:
        # Closed, or a class of the program's: whatever is wrong shows when it is used.
        return False


def lines_of(readline: Callable[[], Any], count: int) -> list[Any]:
    """The next lines of a blocking file, at most ``count``; taken so that ``tell`` still works."""
    lines: list[Any] = []
    while len(lines) < count and (line := readline()):
        lines.append(line)
    return lines


def pread_of(stack: Any, size: int, offset: int) -> bytes:
    """Reads at an offset past the buffers of a blocking file."""
    stack.flush()
    result = b""
    while len(result) < size:
        more = os.pread(stack.fileno(), size - len(result), offset + len(result))
        if not more:
            break
        result += more
    return result


def pread_many_of(stack: Any, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
    """Reads at many offsets past the buffers of a blocking file."""
    return [pread_of(stack, size, offset) for size, offset in ranges]


def pwrite_of(stack: Any, data: Any, offset: int) -> int:
    """Writes at an offset past the buffers of a blocking file, which forgets what it read ahead."""
    stack.flush()
    view = memoryview(data).cast("B")
    written = 0
    while written < len(view):
        written += os.pwrite(stack.fileno(), view[written:], offset + written)
    stack.seek(stack.tell())
    return written
