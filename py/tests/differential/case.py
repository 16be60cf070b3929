"""A file and what is done to it."""

from __future__ import annotations

from typing import Any, NamedTuple

Action = tuple[Any, ...]


class Way(NamedTuple):
    """How a file is opened."""

    #: As a number; ``offset`` is where the descriptor is, ``appends`` is O_APPEND, whatever the mode says.
    by_descriptor: bool = False
    closes: bool = True
    appends: bool = False
    offset: int = 0
    has_opener: bool = False
    has_executor: bool = False
    has_loop: bool = False
    #: Bytes that may be on their way while the program goes on, where the file is written and has a buffer.
    write_behind: int = 0
    #: Past the page cache, where the file has a buffer.
    direct: bool = False


class Case(NamedTuple):
    """A file and what is done to it. Its repr is a program's text: a failing one can be pasted."""

    mode: str
    options: dict[str, Any]
    #: What the file holds at first; None when there is no file.
    content: bytes | None
    actions: list[Action]
    #: Whether the file system makes every read wait, as a cold disk does.
    waits: bool = False
    #: Turns of the loop after which the closing is cancelled; None: it is not.
    close_after: int | None = None
    way: Way = Way()

    @property
    def is_binary(self) -> bool:
        return "b" in self.mode

    @property
    def is_writable(self) -> bool:
        return self.mode.strip("bt") != "r"

    @property
    def appends(self) -> bool:
        """Whether every write goes to the end of the file."""
        return self.way.appends if self.way.by_descriptor else "a" in self.mode

    @property
    def family(self) -> Any:
        """What cases must have in common so that the actions of one suit another."""
        return self.options.get("encoding")

    def __repr__(self) -> str:
        steps = ", ".join(shown(step) for step in self.actions)
        content = brief(self.content)
        way = "" if self.way == Way() else f", {self.way!r}"
        last = f"{self.waits}, {self.close_after}{way}"
        return f"Case({self.mode!r}, {self.options!r}, {content}, [{steps}], {last})"


def shown(step: Action) -> str:
    parts = [shown(part) if isinstance(part, tuple) else brief(part) for part in step]
    return f"({', '.join(parts)},)"


def brief(value: Any) -> str:
    """The repr of a value, repetition said in short."""
    if isinstance(value, list):
        return f"[{', '.join(map(brief, value))}]"
    if not isinstance(value, (str, bytes)) or len(value) <= 100:
        return repr(value)
    text: Any = value
    period = (text + text).find(text, 1)
    if period < len(text):
        return f"{text[:period]!r} * {len(text) // period}"
    rest = text.lstrip(text[:1])
    if len(text) - len(rest) > 100:
        return f"{text[:1]!r} * {len(text) - len(rest)} + {brief(rest)}"
    return repr(value)
