"""The player on a file of ours."""

from __future__ import annotations

import asyncio
import codecs
import math
from _multibytecodec import MultibyteIncrementalEncoder
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import aiofile
from support import until

from .case import Action
from .player import Player


class Executor(ThreadPoolExecutor):
    """Knows the call of a blocking file that it was given last."""

    last: Any = None

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.last = getattr(fn, "__self__", None)
        return super().submit(fn, *args, **kwargs)

    async def made_last(self) -> bool:
        """Whether its last call, which was cancelled, was made all the same. If so, it has ended then."""
        if self.last is None or not self.last._begun:
            return False
        await until(lambda: self.last.ended)
        return True


#: Where the files run that are given an executor.
EXECUTOR = Executor(max_workers=1)


class Ours(Player):
    """Plays on a file of ours, as any program would."""

    is_ours = True

    #: Bytes or characters that a cancelled write has written; None when it was not cancelled after all.
    written: int | None = None
    cancelled = 0
    #: What was cancelled last was done all the same.
    was_lost = False

    async def _open(self) -> Any:
        file, more = self.way_in()
        if self.case.way.has_executor:
            more["executor"] = EXECUTOR
        if self.case.way.has_loop:
            more["loop"] = asyncio.get_running_loop()
        if self.case.way.write_behind and self.case.is_writable and self.case.options["buffering"]:
            more["write_behind"] = self.case.way.write_behind
        if self.case.way.direct and not self.case.waits and self.case.options["buffering"]:
            more["direct"] = True
        mode: Any = self.case.mode
        return await aiofile.open(file, mode, **self.case.options, **more)

    @property
    def is_blocking(self) -> bool:
        return self.file is not None and self.file._stack is not None

    async def do_iterate(self, count: int) -> Any:
        await self.before_reading()
        lines = []
        async for line in self.file:
            lines.append(line)
            if len(lines) == count:
                break
        return lines

    async def do_cancel(self, turns: int, action: Action) -> Any:
        """A cancelled operation leaves everything for the next, which is the same again."""
        name, *arguments = action
        task = asyncio.ensure_future(getattr(self, "do_" + name)(*arguments))
        self.was_lost = False
        if self.is_blocking:
            self.file._executor, EXECUTOR.last = EXECUTOR, None
        if await self.was_cancelled(task, turns):
            if self.is_blocking and await EXECUTOR.made_last():
                # A thread cannot be stopped: it was done, and nobody heard of it.
                self.was_lost = True
                return "lost"
            return await getattr(self, "do_" + name)(*arguments)
        return task.result()

    async def do_cancelled_write(self, turns: int, data: Any) -> Any:
        return await self.cancelled_writing(turns, "write", data, data)

    async def do_cancelled_writelines(self, turns: int, lines: list[Any]) -> Any:
        return await self.cancelled_writing(turns, "writelines", lines, self.nothing().join(lines))

    async def cancelled_writing(self, turns: int, name: str, data: Any, whole: Any) -> Any:
        """The position says how much a cancelled write has written: so much that ``io`` can write it."""
        if self.is_blocking:
            return await self.do_cancel(
                turns, (name, data) if name == "writelines" else (name, data, "bytes")
            )
        self.written = None
        await self.begin_writing()
        if name == "writelines" and self.case.options.get("encoding") == "utf-7":
            # It is written otherwise line by line than in one piece: no beginning is one that io could write.
            return await self.call(name, data)
        before = await self.place()
        length = self.encoded_length()
        task = asyncio.ensure_future(self.call(name, data))
        if not await self.was_cancelled(task, turns):
            return task.result()
        count = await self.place() - before
        if length is None:
            self.written = count
        else:
            self.written = chars_of(length, whole, count)
            # The position cannot say of this one that it was taken: it is written with what comes next.
            self.written += whole.startswith(held_back(self.file), self.written)
        return "cancelled"

    async def place(self) -> int:
        """The byte that the next write goes to."""
        if self.case.appends:
            await self.call("flush")
            return self.path.stat().st_size
        position: int = await self.call("tell")
        return position & (1 << 64) - 1

    def encoded_length(self) -> Callable[[str], float] | None:
        """How long a text would be, written now; None for bytes."""
        if self.case.is_binary:
            return None
        options = self.case.options
        encoder = codecs.getincrementalencoder(options["encoding"])(options["errors"])
        if (own := getattr(self.file, "_encoder", None)) is not None:
            encoder.setstate(own.getstate())
        return partial(encoded_len, encoder, encoder.getstate(), options["newline"] or "\n")

    async def do_both(self, first: Action, second: Action) -> Any:
        """Two tasks at once: what was asked for first is done first."""
        return tuple(await asyncio.gather(self.step(first), self.step(second)))

    async def was_cancelled(self, task: asyncio.Future[Any], turns: int) -> bool:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        self.cancelled += task.cancelled()
        return task.cancelled()

    async def kernel_position(self) -> Any:
        kernel = await super().kernel_position()
        if self.case.is_binary and not self.is_blocking:
            assert kernel == await self.call("tell"), "the kernel's position is not the program's"
        return kernel

    async def close(self) -> None:
        if (turns := self.case.close_after) is not None and not self.file.closed:
            await self.was_cancelled(asyncio.ensure_future(self.file.close()), turns)
            if self.is_blocking:
                await until(lambda: self.file.closed)  # In its thread.
            assert self.file.closed
        await super().close()

    async def reads_on_to(self, note: Any) -> None:
        """An error comes when the text before it was read; ``io`` has it for the whole of its chunk."""
        size = 8192
        while True:
            await self.play(("read", size), self)
            if self.is_not_decoded() and size > 1:
                size //= 2
            elif self.is_not_decoded() or not self.note:
                break
        assert self.note == note


def encoded_len(encoder: codecs.IncrementalEncoder, state: Any, line_end: str, text: str) -> float:
    """Bytes that a text is written as by an encoder in this state; more than any text if it cannot be."""
    encoder.setstate(state)
    try:
        return len(encoder.encode(text.replace("\n", line_end)))
    except UnicodeEncodeError:
        return math.inf


def held_back(file: Any) -> str | tuple[()]:
    """The character that a codec keeps until it knows the next: JIS X 0213 and HKSCS have some that combine.

    Source: ``Modules/cjkcodecs/multibytecodec.c``, ``_multibytecodec_MultibyteIncrementalEncoder_getstate``.
    """
    encoder = getattr(file, "_encoder", None)
    if not isinstance(encoder, MultibyteIncrementalEncoder):
        return ()
    state = encoder.getstate()
    pending, *rest = state.to_bytes((state.bit_length() + 7) // 8 or 1, "little")
    return bytes(rest[:pending]).decode() or ()


def chars_of(length: Callable[[str], float], text: str, count: int) -> int:
    """How many characters of a text are written as so many bytes."""
    if length(text) == count:
        return len(text)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        if length(text[:middle]) < count:
            low = middle + 1
        else:
            high = middle
    assert length(text[:low]) == count, f"{count} bytes are no whole characters"
    return low
