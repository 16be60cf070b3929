"""Text that a stream of ``io`` only keeps in memory: writing it waits for nothing, and needs no thread."""

from __future__ import annotations

import codecs
import io
import os
import stat
import weakref
from collections.abc import Callable

#: What a text counts for at least, however short it is: a loop turns after some hundred of them.
LEAST_BYTES = 32

#: In these an ASCII character is one byte.
_CODECS = frozenset({"ascii", "iso8859-1", "utf-8"})

#: These make no more than four bytes of any character in UTF-8.
_HANDLERS = frozenset({"strict", "surrogateescape"})


class _KeptText:
    """How much one stream, the last that was emptied here, goes on to keep."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._stream: Callable[[], io.TextIOWrapper | None] = lambda: None
        self._encoding = ""
        self._takes_any = False
        self._room = 0

    def write(self, stream: io.TextIOWrapper, text: str) -> bool:
        """Writes ``text`` if the stream will only keep it. No call of ours may be writing to it now.

        What others write to it meanwhile is not known here: where they fill it, this hands it on, as they do.
        """
        if self._stream() is not stream or stream.line_buffering or stream.encoding != self._encoding:
            return False
        # A line end may become two.
        count = len(text) + text.count("\n") if text.isascii() else self._takes_any and 4 * len(text)
        count = max(count, LEAST_BYTES) if count else self._room + 1
        if count > self._room or stream.write_through:
            return False
        stream.write(text)
        self._room -= count
        return True

    def write_and_empty(self, stream: io.TextIOWrapper, text: str) -> None:
        """Writes ``text`` and, where the stream keeps what it is given, all that it has; may wait."""
        self._forget()
        stream.write(text)
        if not _keeps(stream):
            return
        stream.flush()
        self._encoding = stream.encoding
        self._takes_any = codecs.lookup(stream.encoding).name == "utf-8" and stream.errors in _HANDLERS
        # With the last byte it would hand all of it on.
        self._room = getattr(stream, "_CHUNK_SIZE", 0) - 1
        self._stream = weakref.ref(stream)


def _keeps(stream: io.TextIOWrapper) -> bool:
    """Whether it is a buffered stream to a regular file, which never makes a writer wait for a reader."""
    if stream.line_buffering or stream.write_through or type(stream.buffer) is not io.BufferedWriter:
        return False
    if type(stream.buffer.raw) is not io.FileIO or codecs.lookup(stream.encoding).name not in _CODECS:
        return False
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


#: That of this process.
kept_text = _KeptText()
