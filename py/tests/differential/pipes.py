"""Sequences on pipes and sockets: nothing can be gone back to, and every read may have to wait."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import inspect
import io
import mmap
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, NamedTuple

import aiofile

from .case import Action, brief, shown

#: Bytes that a pipe is made to hold: all that a case writes.
CAPACITY = 1 << 20

#: Seconds in which bytes that are there must have been read.
SOON = 10.0

#: Reads that bring what there is, which may be less than what was asked for.
SHORT = ("read1", "peek", "readinto1")


class Reading(NamedTuple):
    """A pipe that is read while somebody else writes to it."""

    options: dict[str, Any]
    #: What the other writes, piece by piece, each when a read of `io` wants more; then it closes its end.
    feeds: list[bytes]
    actions: list[Action]
    is_socket: bool = False

    @property
    def family(self) -> Any:
        return self.options["mode"], self.options.get("encoding")

    def __repr__(self) -> str:
        steps = ", ".join(map(shown, self.actions))
        return f"Reading({self.options!r}, {brief(self.feeds)}, [{steps}], {self.is_socket})"


class Writing(NamedTuple):
    """A pipe that is written to. The action ``hang_up`` closes its other end."""

    options: dict[str, Any]
    actions: list[Action]
    is_socket: bool = False

    @property
    def family(self) -> Any:
        return self.options["mode"], self.options.get("encoding")

    def __repr__(self) -> str:
        steps = ", ".join(map(shown, self.actions))
        return f"Writing({self.options!r}, [{steps}], {self.is_socket})"


class Source(io.RawIOBase):
    """What a pipe is to a blocking file, but for waiting: wanted bytes are there at once."""

    def __init__(self, feeds: list[bytes]) -> None:
        super().__init__()
        self.feeds = feeds
        #: Pieces that were wanted so far; one more than there are when the end was.
        self.taken = 0
        self.here = b""

    def readable(self) -> bool:
        return True

    def take(self) -> bool:
        """Has the next piece, or the end of all. Returns whether there was one still."""
        if self.taken < len(self.feeds):
            self.here += self.feeds[self.taken]
        self.taken += self.taken <= len(self.feeds)
        return self.taken <= len(self.feeds)

    def given(self) -> int:
        """Bytes of all pieces that were wanted so far."""
        return sum(map(len, self.feeds[: self.taken]))

    def read(self, size: int | None = -1, /) -> bytes | None:
        return super().read(-1 if size is None else size)

    def readinto(self, buffer: Any, /) -> int:
        while not self.here and self.taken <= len(self.feeds):
            self.take()
        count = min(len(buffer), len(self.here))
        buffer[:count], self.here = self.here[:count], self.here[count:]
        return count


@contextmanager
def ends(is_socket: bool) -> Iterator[list[int]]:
    """The end that is read and the end that is written to; those still in the list are closed."""
    if is_socket:
        pair = [end.detach() for end in socket.socketpair()]
    else:
        pair = list(os.pipe())
        fcntl.fcntl(pair[1], fcntl.F_SETPIPE_SZ, CAPACITY)
    try:
        yield pair
    finally:
        for end in pair:
            os.close(end)


def described(error: Exception) -> Any:
    if isinstance(error, OSError) and error.errno is not None:
        return type(error), error.errno
    if "closed" in str(error):
        return type(error), "closed"
    return type(error), str(error)


async def outcome(file: Any, name: str, *arguments: Any) -> Any:
    """What comes of a call, its error included."""
    try:
        if name == "iterate":
            return await lines_of(file, *arguments)
        if name in ("readinto", "readinto1"):
            memory = bytearray(arguments[0])
            count = getattr(file, name)(memory)
            count = await count if inspect.isawaitable(count) else count
            return bytes(memory[:count])
        result = getattr(file, name)(*arguments)
        return await result if inspect.isawaitable(result) else result
    except (OSError, ValueError) as error:
        return described(error)


async def lines_of(file: Any, count: int) -> list[Any]:
    lines: list[Any] = []
    if isinstance(file, io.IOBase):
        while len(lines) < count and (line := file.readline()):
            lines.append(line)
        return lines
    async for line in file:
        lines.append(line)
        if len(lines) == count:
            break
    return lines


class Reader:
    """Plays on a pipe that is read with a file of ours, and on a blocking file over a :class:`Source`."""

    def __init__(self, case: Reading, pair: list[int]) -> None:
        self.case = case
        self.pair = pair
        self.source = Source(case.feeds)
        options = {name: value for name, value in case.options.items() if name != "mode"}
        buffering = options.pop("buffering")
        self.is_raw = buffering == 0
        self.theirs: Any = self.source
        if not self.is_raw:
            self.theirs = io.BufferedReader(self.source, buffering if buffering > 1 else 8192)
        if "b" not in case.options["mode"]:
            self.theirs = io.TextIOWrapper(self.theirs, **options)
        self.fed = 0
        #: Bytes that were read so far.
        self.read = 0

    def feed(self) -> None:
        """Writes the next piece to the pipe, or closes it."""
        if self.fed < len(self.case.feeds):
            os.write(self.pair[1], self.case.feeds[self.fed])
        elif self.fed == len(self.case.feeds):
            os.close(self.pair.pop())
        self.fed = min(self.fed + 1, len(self.case.feeds) + 1)

    async def play(self, ours: Any, action: Action) -> None:
        turns = None
        if action[0] == "cancel":
            _, turns, action = action
        if self.is_raw and action[0] in SHORT:
            return
        expected: Any = None
        if is_short := self.brings_what_there_is(action):
            # Something must be there, or the end.
            while self.read == self.source.given() and self.source.take():
                pass
        else:
            expected = await outcome(self.theirs, *action)
        got = await self.got(ours, action, turns)
        if is_short:
            expected = self.found(action, got)
        assert got == expected, f"{shown(action)}: ours {brief(got)[:300]}, theirs {brief(expected)[:300]}"
        if "b" in self.case.options["mode"] and action[0] != "peek":
            self.read += len(got if isinstance(got, bytes) else b"".join(got))

    def brings_what_there_is(self, action: Action) -> bool:
        names = ("read", "readinto") if self.is_raw else SHORT
        return action[0] in names and action[1:] not in ((), (-1,), (None,), (0,))

    def found(self, action: Action, got: Any) -> Any:
        """What a short read must have brought, by how much it was."""
        there = b"".join(self.case.feeds)[self.read :]
        assert got or not there, f"{shown(action)} brought nothing"
        if action[0] == "peek":
            return there[: len(got)]
        return self.theirs.read(len(got))

    async def got(self, ours: Any, action: Action, turns: int | None) -> Any:
        """What comes of an action that waits, at first, for pieces that are not there yet."""
        task = asyncio.ensure_future(outcome(ours, *action))
        if turns is not None:
            for _ in range(turns):
                await asyncio.sleep(0)
                if self.fed < self.source.taken and turns % 2:
                    self.feed()
            task.cancel()
            await asyncio.wait([task])
            if task.cancelled():
                task = asyncio.ensure_future(outcome(ours, *action))
        while self.fed < self.source.taken:
            await asyncio.sleep(0)
            self.feed()
        done, _ = await asyncio.wait([task], timeout=SOON)
        assert done, f"{shown(action)} waits for more than io does"
        return task.result()


async def compare_reading(case: Reading) -> None:
    """Fails unless every read brings what it brings from a blocking file."""
    with ends(case.is_socket) as pair:
        reader = Reader(case, pair)
        ours = await aiofile.open(pair[0], closefd=False, **case.options)
        try:
            for action in case.actions:
                await reader.play(ours, action)
            await reader.play(ours, ("read",))
            await reader.play(ours, ("read",))
        finally:
            await ours.close()
            reader.theirs.close()


def fills_a_buffer(case: Writing) -> bool:
    """Whether something is written that is just as large as the buffer."""
    written = [action[1] for action in case.actions if action[0] in ("write", "writelines")]
    pieces = [piece for one in written for piece in (one if isinstance(one, list) else [one])]
    buffering = case.options["buffering"]
    # Of a pipe, the block is what goes into one page; of a socket, too.
    sizes = {io.DEFAULT_BUFFER_SIZE, mmap.PAGESIZE} if buffering < 0 else {buffering}
    lengths = [len(piece) for piece in pieces]
    # Pieces of text are put together first.
    together = [] if "b" in case.options["mode"] else accumulate(lengths)
    return any(length in sizes for length in (*lengths, *together))


async def compare_writing(case: Writing) -> None:
    """Fails unless the same is in both pipes after every flush, with the same errors."""
    with ends(case.is_socket) as our_pair, ends(case.is_socket) as their_pair:
        ours = await aiofile.open(our_pair[1], closefd=False, **case.options)
        theirs = open(their_pair[1], closefd=False, **case.options)  # noqa: SIM115
        try:
            for action in [*case.actions, ("flush",), ("close",), ("flush",), ("close",)]:
                if action[0] == "hang_up":
                    for pair in (our_pair, their_pair):
                        if len(pair) == 2:
                            os.close(pair.pop(0))
                    continue
                got, expected = await outcome(ours, *action), await outcome(theirs, *action)
                broken = [isinstance(one, tuple) and one[0] is BrokenPipeError for one in (got, expected)]
                if any(broken) and fills_a_buffer(case):
                    # io buffers it; ours gives it to the kernel at once.
                    return
                if any(broken) and "b" not in case.options["mode"]:
                    # Text is given on in other portions, and io forgets what could not be written.
                    assert all(broken) or await breaks(theirs if broken[0] else ours)
                    return
                if action[0] in ("flush", "close") and len(our_pair) == 2:
                    got, expected = (got, taken(our_pair[0])), (expected, taken(their_pair[0]))
                text = f"{shown(action)}: ours {brief(got)[:300]}, theirs {brief(expected)[:300]}"
                assert got == expected, text
        finally:
            await outcome(ours, "close")
            await outcome(theirs, "close")


async def breaks(file: Any) -> bool:
    """Whether a file finds out, too, that nobody reads."""
    return bool(await outcome(file, "close") == (BrokenPipeError, errno.EPIPE))


def taken(end: int) -> bytes:
    """What is in a pipe, which is empty then."""
    os.set_blocking(end, False)
    pieces = []
    try:
        while piece := os.read(end, CAPACITY):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b"".join(pieces)
