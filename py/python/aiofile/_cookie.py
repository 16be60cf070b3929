"""Where a character of decoded text is in its file. Pure: no file is touched here."""

from __future__ import annotations

import codecs
import io
from typing import NamedTuple, TypeAlias

Decoder: TypeAlias = "codecs.IncrementalDecoder | io.IncrementalNewlineDecoder"

_LOW_32 = (1 << 32) - 1
_LOW_64 = (1 << 64) - 1

#: States of a decoder below this fit in the cookies of ``io``.
_PORTABLE = 1 << 31


class Cookie(NamedTuple):
    """What ``tell()`` of a text file says, in the form that CPython's ``io`` packs into a number.

    Source: ``Modules/_io/textio.c``, ``cookie_type``.
    """

    #: The byte from which to decode.
    position: int
    #: The decoder's state there, with no byte in hand.
    flags: int = 0
    #: Bytes to decode from there at once.
    feed: int = 0
    #: Characters of the result that come before the one meant.
    skip: int = 0
    #: Whether those bytes are decoded as the last of the file.
    final: bool = False

    def pack(self) -> int:
        """The number. ``io`` has 32 bits for the state; what needs more goes above everything else."""
        low, high = self.flags & _LOW_32, self.flags >> 32
        return (
            self.position | low << 64 | self.feed << 96 | self.skip << 128 | self.final << 160 | high << 168
        )

    @classmethod
    def unpack(cls, number: int) -> Cookie:
        """Takes a number apart.

        Raises:
            OverflowError: it is too large to be a cookie.
        """
        if number >> 200:
            raise OverflowError("int too big to convert")
        flags = (number >> 64 & _LOW_32) | number >> 168 << 32
        feed, skip = number >> 96 & _LOW_32, number >> 128 & _LOW_32
        return cls(number & _LOW_64, flags, feed, skip, bool(number >> 160 & 1))


class Slice(NamedTuple):
    """Text that was decoded at once, with what finds the byte of each of its characters."""

    chars: str
    #: The bytes it was decoded from, those first that the decoder had in hand before.
    data: bytes
    #: The decoder's state before ``data``, with no byte in hand.
    flags: int
    #: The absolute byte of ``data``.
    position: int


def advance(decoder: Decoder, data: bytes, limit: int) -> tuple[int, int]:
    """Decodes as much of ``data`` as gives at most ``limit`` characters and no error.

    Steps double until one goes too far, then halve: decoding costs no more than twice what is decoded.

    Returns:
        Bytes and characters; the decoder is left there.
    """
    done = count = 0
    step, grows = 1, True
    while step:
        accepted = False
        if done + step <= len(data):
            before = decoder.getstate()
            try:
                chars = len(decoder.decode(data[done : done + step]))
                accepted = count + chars <= limit
            except Exception:
                # Whoever decodes this byte in earnest hears of it.
                chars = 0
            if accepted:
                done, count = done + step, count + chars
            else:
                decoder.setstate(before)
        grows = grows and accepted
        step = step * 2 if grows else step // 2
    return done, count


def locate(decoder: Decoder, piece: Slice, used: int) -> tuple[Cookie, int]:
    """Finds the place behind the first ``used`` characters of a slice.

    Returns:
        The cookie, and the absolute byte that follows what those characters were decoded from.
    """
    if used == 0:
        # At byte 0 the decoder is as new, which the plain cookie 0 says.
        return Cookie(piece.position, piece.flags if piece.position else 0), piece.position
    state = decoder.getstate()
    try:
        return _replay(decoder, piece, used)
    finally:
        decoder.setstate(state)


def _replay(decoder: Decoder, piece: Slice, used: int) -> tuple[Cookie, int]:
    data, origin = piece.data, piece.position
    decoder.setstate((b"", piece.flags))
    start, skipped = advance(decoder, data, used - 1)
    held, flags = decoder.getstate()
    end = min(start + 1, len(data))
    reached = skipped + len(decoder.decode(data[start:end]))
    held_after, flags_after = decoder.getstate()
    if reached == used and not held_after and flags_after < _PORTABLE:
        return Cookie(origin + end, flags_after), origin + end
    # The character comes together with others, or only with the end of the file: it is found by
    # decoding again from the last place where the decoder has no byte in hand.
    if held:
        start -= len(held)
        decoder.setstate((b"", piece.flags))
        skipped = len(decoder.decode(data[:start]))
        held, flags = decoder.getstate()
    if held or flags >= _PORTABLE:
        start, skipped, flags = 0, 0, piece.flags
    return Cookie(origin + start, flags, end - start, used - skipped, reached < used), origin + end
