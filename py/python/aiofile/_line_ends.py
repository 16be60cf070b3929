"""Where lines of decoded text end. Pure."""

from __future__ import annotations


def line_end(chars: str, start: int, terminator: str) -> int:
    r"""Where the line at ``start`` ends, its terminator included; 0 when its end is not here.

    An empty ``terminator`` means any of ``\n``, ``\r`` and ``\r\n``, the last never cut in two.
    """
    if terminator:
        found = chars.find(terminator, start)
        return found + len(terminator) if found >= 0 else 0
    lf = chars.find("\n", start)
    cr = chars.find("\r", start, lf if lf >= 0 else len(chars))
    if cr < 0:
        return lf + 1
    return cr + 2 if lf == cr + 1 else cr + 1


def take_lines(lines: list[str], count: int, chars: str, start: int, terminator: str) -> int:
    """Appends the lines of ``chars`` from ``start`` on, until ``lines`` are ``count``.

    Returns:
        Where the first line starts that was not taken.
    """
    if not terminator:
        while len(lines) < count and (end := line_end(chars, start, "")):
            lines.append(chars[start:end])
            start = end
        return start
    find, width = chars.find, len(terminator)
    for _ in range(count - len(lines)):
        found = find(terminator, start)
        if found < 0:
            break
        end = found + width
        lines.append(chars[start:end])
        start = end
    return start
