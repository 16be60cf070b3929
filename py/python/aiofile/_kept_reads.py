"""Reads of a blocking stream, some of which are for somebody who is gone by the time they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

#: Methods that bring something, which is kept when nobody takes it.
READS = frozenset({"read", "read1", "readall", "readinto", "readinto1", "readline", "readlines"})


def seeks(stream: Any) -> bool:
    """Whether a stream has a position, so that nothing read is out of reach."""
    try:
        return bool(stream.seekable())
    except AttributeError:
        return False
    except Exception:
        # It is closed.
        return True


class KeptReads:
    """Calls of a stream, which begin with what was put back. Only one thread at a time calls.

    Args:
        stream: gives the stream.
    """

    def __init__(self, stream: Callable[[], Any]) -> None:
        self._stream = stream
        #: What was read for somebody who is gone: never empty.
        self._kept: Any = None
        self.start_anew()

    def start_anew(self) -> None:
        """In a forked child nobody would give the lock back."""
        self._lock = threading.Lock()

    def put_back(self, method: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Keeps what a call brought that was made for somebody who is gone."""
        if method not in READS:
            return
        if method in {"readinto", "readinto1"} and result:
            result = bytes(memoryview(arguments[0]).cast("B")[:result])
        pieces = result if isinstance(result, list) else [result]
        if all(isinstance(piece, (str, bytes)) for piece in pieces):
            self._put_back(pieces)

    def _put_back(self, pieces: list[Any]) -> None:
        with self._lock:
            for piece in reversed(pieces):
                self._kept = piece + self._kept if self._kept and piece else piece or self._kept

    def call(self, method: str, /, *arguments: Any, **options: Any) -> Any:
        """Calls the stream as it is called here, unless something is kept that comes first."""
        if self._kept is None or method not in READS | {"peek"}:
            return getattr(self._stream(), method)(*arguments, **options)
        wanted = next(iter((*arguments, *options.values())), None)
        return getattr(self, f"_{method}")(-1 if wanted is None else wanted)

    def _take(self, count: int) -> Any:
        """At most ``count`` characters of what is kept, all when it is negative; None when there are none."""
        with self._lock:
            kept = self._kept
            if kept is None or count == 0:
                return None
            taken, self._kept = (kept, None) if count < 0 else (kept[:count], kept[count:] or None)
            return taken

    def _and_more(self, taken: Any, read: Callable[[], Any]) -> Any:
        """What was taken and what follows it."""
        if taken is None:
            return read()
        try:
            return taken + read()
        except BaseException:
            self._put_back([taken])
            raise

    def _read(self, limit: int) -> Any:
        taken = self._take(limit)
        if taken is None or limit < 0:
            return self._and_more(taken, partial_of(self._stream().read, limit))
        missing = limit - len(taken)
        return self._and_more(taken, lambda: self._stream().read(missing)) if missing else taken

    def _readall(self, _limit: int) -> Any:
        return self._and_more(self._take(-1), self._stream().readall)

    def _read1(self, limit: int) -> Any:
        taken = self._take(limit)
        return self._stream().read1(limit) if taken is None else taken

    def _peek(self, _size: int) -> Any:
        return self._kept

    def _readinto(self, buffer: Any) -> int:
        return self._read_into(buffer, self._read)

    def _readinto1(self, buffer: Any) -> int:
        return self._read_into(buffer, self._read1)

    def _read_into(self, buffer: Any, read: Callable[[int], Any]) -> int:
        with memoryview(buffer).cast("B") as view:
            chunk = read(len(view)) or b""
            view[: len(chunk)] = chunk
            return len(chunk)

    def _readline(self, limit: int) -> Any:
        taken = self._take(self._line_len(limit)) if self._kept else None
        if taken is not None and (len(taken) == limit or taken[-1:] in {"\n", b"\n"}):
            return taken
        missing = limit if limit < 0 else limit - len(taken or "")
        return self._and_more(taken, partial_of(self._stream().readline, missing))

    def _line_len(self, limit: int) -> int:
        """How much of what is kept belongs to the next line."""
        end = self._kept.find("\n" if isinstance(self._kept, str) else b"\n") + 1 or len(self._kept)
        return int(end if limit < 0 else min(end, limit))

    def _readlines(self, hint: int) -> list[Any]:
        lines: list[Any] = []
        total = 0
        while line := self._readline(-1):
            lines.append(line)
            total += len(line)
            if 0 < hint < total:
                break
        return lines


def partial_of(read: Callable[..., Any], limit: int) -> Callable[[], Any]:
    """A call that says how much only where there is a limit: not every ``read`` takes one."""
    return read if limit < 0 else lambda: read(limit)
