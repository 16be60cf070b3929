"""What the ``mode`` of ``open()`` means. Pure: no file is touched here."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache


@dataclass(frozen=True)
class Mode:
    """A mode string, taken apart."""

    reading: bool
    writing: bool
    appending: bool
    creating: bool
    updating: bool
    binary: bool
    #: Past the page cache, which no letter says.
    direct: bool = False

    @cached_property
    def readable(self) -> bool:
        """Whether bytes can be read."""
        return self.reading or self.updating

    @cached_property
    def writable(self) -> bool:
        """Whether bytes can be written."""
        return not self.reading or self.updating

    @cached_property
    def access(self) -> tuple[bool, bool, bool, bool]:
        """(can be read, can be written, is written at its end, has no buffer)."""
        return self.readable, self.writable, self.appending, False

    @cached_property
    def raw_access(self) -> tuple[bool, bool, bool, bool]:
        """As :attr:`access`, without a buffer."""
        return *self.access[:3], True

    @cached_property
    def flags(self) -> int:
        """The flags of open(2)."""
        if self.readable and self.writable:
            flags = os.O_RDWR
        else:
            flags = os.O_RDONLY if self.readable else os.O_WRONLY
        if self.creating:
            flags |= os.O_CREAT | os.O_EXCL
        if self.writing:
            flags |= os.O_CREAT | os.O_TRUNC
        if self.appending:
            flags |= os.O_CREAT | os.O_APPEND
        if self.direct:
            flags |= os.O_DIRECT
        return flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

    @cached_property
    def reported(self) -> str:
        """The mode that a binary file of ``io`` says it has."""
        if self.creating or self.appending:
            return ("x" if self.creating else "a") + ("b+" if self.updating else "b")
        if self.readable and self.writable:
            return "rb+"
        return "rb" if self.readable else "wb"

    @cached_property
    def raw(self) -> str:
        """The mode as ``io.FileIO`` reports it to audit hooks."""
        letter = "r" if self.reading else "w" if self.writing else "a" if self.appending else "x"
        return letter + ("+" if self.updating else "")


def parse_mode(mode: object) -> Mode:
    """Takes a mode string apart.

    Raises:
        TypeError: mode is no string.
        ValueError: letters that are unknown, doubled or contradict each other.
    """
    if not isinstance(mode, str):
        kind = "None" if mode is None else type(mode).__name__
        raise TypeError(f"open() argument 'mode' must be str, not {kind}")
    return _parse(mode)


@lru_cache(maxsize=64)
def _parse(mode: str) -> Mode:
    if "\0" in mode:
        raise ValueError("embedded null character")
    letters = set(mode)
    if letters - set("axrwb+t") or len(mode) > len(letters):
        raise ValueError(f"invalid mode: '{mode}'")
    if "t" in letters and "b" in letters:
        raise ValueError("can't have text and binary mode at once")
    if len(letters & set("xrwa")) > 1:
        raise ValueError("must have exactly one of create/read/write/append mode")
    if not letters & set("xrwa"):
        raise ValueError("Must have exactly one of create/read/write/append mode and at most one plus")
    return Mode(
        reading="r" in letters,
        writing="w" in letters,
        appending="a" in letters,
        creating="x" in letters,
        updating="+" in letters,
        binary="b" in letters,
    )


@lru_cache(maxsize=64, typed=True)
def checked_mode(mode: object, buffering: object, encoding: object, errors: object, newline: object) -> Mode:
    """Takes a mode string apart, and refuses what ``io.open`` refuses, in its words.

    Raises:
        TypeError: an argument of the wrong type; of one that cannot be hashed, not in these words.
        ValueError: arguments that contradict each other.
    """
    parsed = parse_mode(mode)
    _check_arguments(parsed, buffering, encoding, errors, newline)
    return parsed


def _check_arguments(
    mode: Mode, buffering: object, encoding: object, errors: object, newline: object
) -> None:
    for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
        if value is None:
            continue
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"open() argument '{name}' must be str or None, not {kind}")
        if mode.binary:
            article = "a" if name == "newline" else "an"
            raise ValueError(f"binary mode doesn't take {article} {name} argument")
    if not isinstance(buffering, int):
        raise TypeError(f"'{type(buffering).__name__}' object cannot be interpreted as an integer")
    if buffering == 0 and not mode.binary:
        raise ValueError("can't have unbuffered text I/O")


def warn_of_line_buffering(stacklevel: int) -> int:
    """Warns that bytes are not buffered by lines, and gives what is done instead.

    Args:
        stacklevel: whose line is named, as for ``warnings.warn``: 1 is this function's.
    """
    warnings.warn(
        "line buffering (buffering=1) isn't supported in binary mode, the default buffer size will be used",
        RuntimeWarning,
        stacklevel=stacklevel,
    )
    return -1
