"""What a text that is encoded piece by piece cannot be encoded for, told as if it were encoded at once."""

from __future__ import annotations

import os
from collections.abc import Callable

from ._waiting import turn


async def tell_of_whole(
    error: UnicodeEncodeError,
    text: str,
    start: int,
    piece: str,
    newline: str | None,
    new_checker: Callable[[], Callable[[str], object]],
) -> None:
    """Makes the error of one piece that of the text, as ``io`` raises it.

    Args:
        error: raised for the piece.
        text: all of it.
        start: character of the text at which the piece begins.
        piece: what was encoded.
        newline: of the file, as it was opened; ``io`` encodes the line ends that it writes.
        new_checker: makes a function that raises what encoding a text would raise.
    """
    if not error.object.endswith(piece):
        # A codec that cuts it up itself, and has its own way to say where.
        return
    # What an encoder held back of the piece before comes first.
    offset = start + len(piece) - len(error.object)
    first, end = offset + error.start, offset + error.end
    if end == start + len(piece):
        end = await _end_of_run(text, first, end, len(piece), new_checker)
    written = os.linesep if newline is None else newline
    if written in {"\r", "\r\n"}:
        first, end = (place + text.count("\n", 0, place) * (len(written) - 1) for place in (first, end))
        text = text.replace("\n", written)
    error.object = text
    error.start, error.end = first, end


async def _end_of_run(
    text: str, first: int, end: int, at_once: int, new_checker: Callable[[], Callable[[str], object]]
) -> int:
    """Where the characters end that cannot be encoded; a codec may tell of one, or of all in a row."""
    while end < len(text):
        more = text[end : end + at_once]
        try:
            new_checker()(text[first] + more)
        except UnicodeEncodeError as error:
            if error.start != 0:
                break
            end += error.end - 1
            if error.end <= len(more):
                break
        else:
            break
        await turn()
    return end
