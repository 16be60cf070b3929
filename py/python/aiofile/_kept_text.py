"""Text that a stream of ``io`` only keeps in memory: writing it waits for nothing, and needs no thread."""

from __future__ import annotations

import codecs
import io
import os
import stat
import weakref

#: What a text counts for at least, however short it is: a loop turns after some hundred of them.
LEAST_BYTES = 32

#: In these an ASCII character is one byte.
_CODECS = frozenset({"ascii", "iso8859-1", "utf-8"})

#: These make no more than four bytes of any character in UTF-8.
_HANDLERS = frozenset({"strict", "surrogateescape"})


class _Kept:
    """What one stream goes on to keep, since it was emptied."""

    __slots__ = ("encoding", "room", "stream", "takes_any")

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.stream = weakref.ref(stream)
        self.encoding = stream.encoding
        #: Whether text that is not ASCII has a length that is known.
        self.takes_any = codecs.lookup(self.encoding).name == "utf-8" and stream.errors in _HANDLERS
        #: Bytes. With the last one it would hand all of them on.
        self.room: int = getattr(stream, "_CHUNK_SIZE", 0) - 1

    def most_bytes(self, text: str) -> int | None:
        """How many bytes the text takes at the most; None if nobody knows."""
        if text.isascii():
            # A line end may become two.
            return max(len(text) + text.count("\n"), LEAST_BYTES)
        return max(4 * len(text), LEAST_BYTES) if self.takes_any else None


class _KeptText:
    """The last stream that was emptied here."""

    def __init__(self) -> None:
        self._last: _Kept | None = None

    def write(self, stream: io.TextIOWrapper, text: str) -> bool:
        """Writes ``text`` if the stream will only keep it. No call of ours may be writing to it now.

        What others write to it meanwhile is not known here: where they fill it, this hands it on, as they do.
        """
        kept = self._last
        if kept is None or kept.stream() is not stream or stream.encoding != kept.encoding:
            return False
        count = kept.most_bytes(text)
        if count is None or count > kept.room or stream.line_buffering or stream.write_through:
            return False
        stream.write(text)
        kept.room -= count
        return True

    def write_and_empty(self, stream: io.TextIOWrapper, text: str) -> None:
        """Writes ``text`` and, where the stream keeps what it is given, all that it has; may wait."""
        self._last = None
        stream.write(text)
        if _keeps(stream):
            stream.flush()
            self._last = _Kept(stream)


def _keeps(stream: io.TextIOWrapper) -> bool:
    """Whether it is a buffered stream to a regular file, which never makes a writer wait for a reader."""
    if stream.line_buffering or stream.write_through or type(stream.buffer) is not io.BufferedWriter:
        return False
    if type(stream.buffer.raw) is not io.FileIO or codecs.lookup(stream.encoding).name not in _CODECS:
        return False
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


#: That of this process.
kept_text = _KeptText()
