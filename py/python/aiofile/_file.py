"""The open file: coroutine methods over the native attempts.

Each method first attempts. Only when the native file answers "not now" does it take the file in
turn, and wait for what is missing between further attempts.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, SupportsIndex, TypeVar

from . import _demoted, _native
from ._as_given import given_class
from ._encode_errors import tell_of_whole
from ._held_call import HeldCall, after_all
from ._kept_reads import READS, KeptReads, seeks
from ._line_batches import LINES_AT_ONCE, LineBatches
from ._waiting import carried_on, turn, uninterrupted
from .base import AsyncBase

T = TypeVar("T")

AnyStr = TypeVar("AnyStr", str, bytes)
Self = TypeVar("Self", bound="File[Any]")

#: Characters of text coded at once on the loop's thread, when they are not plain ASCII.
CHARS_AT_ONCE = 64 * 1024

#: What a size is that nobody gives: asked for by identity, since -1.0 is no size.
_ALL = -1

#: Methods of blocking files that read.
_READING = READS | {"peek"}


def _refuse_what_is_no_size(size: object) -> None:
    if not (size is None or isinstance(size, SupportsIndex)):
        raise TypeError(f"argument should be integer or None, not {type(size).__name__!r}") from None


def exact_text(text: str) -> str:
    """The text itself: the methods of a program's subclass of ``str`` may say anything of it."""
    return text if type(text) is str else str.__str__(text)


class File(AsyncBase[AnyStr], _native.File):
    """An open file. Made by :func:`aiofile.open`.

    Called by itself, a class of this kind makes an asynchronous file of a blocking one, whose every call
    then runs in an executor.

    Args:
        file: the blocking file, or anything with the methods that are going to be called.
        loop: accepted for the sake of aiofiles; the running loop is used.
        executor: where the calls run; the loop's default executor by default.

    Operations on one file run in the order in which they were asked for; two tasks never mix their
    bytes. Reads and writes have a common position, as in :mod:`io`; where there is none (a socket, a
    terminal), they have an order each: a read may wait for the answer to what another task writes.

    Cancellation: a cancelled operation ends when the kernel has given its buffer back; bytes that a
    cancelled read brought stay for the next one. A cancelled close still closes.
    """

    # Whoever has the file does so with `async with self._hold(...)`, whose hold nothing else refers to: left
    # or dropped, it gives the file back, an operation in flight with its completion.

    _mode: str
    _raw = False
    #: Whether `readline` refuses what is no size in the words of `read`, as `io` does for bytes.
    _names_sizes = True
    _executor: Executor | None = None
    _ref_loop: asyncio.AbstractEventLoop | None = None
    #: The last call of the blocking file, while it may still run in its thread.
    _in_threads: tuple[HeldCall[Any], ...] = ()
    #: What cancelled reads of the blocking file brought, once there was one.
    _kept: KeptReads | None = None
    #: The blocking file whose descriptor this one uses, to be closed after it.
    _behind: Any = None

    #: The class of the files of this kind that were given by a program.
    _given: ClassVar[type[File[Any]]]

    def __init_subclass__(cls, ours: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if ours:
            cls._given = given_class(cls)
            return
        # A program's class, whose files are given ones.
        bases = tuple(base.__dict__.get("_given", base) for base in cls.__bases__)
        if bases != cls.__bases__:
            cls.__bases__ = bases

    def __new__(cls, *_args: Any, **_options: Any) -> File[Any]:
        kind = cls.__dict__.get("_given", cls)
        return _native.File.__new__(kind, None, None, True, (False,) * 4, 0, None)

    def __init__(
        self,
        file: Any,
        loop: asyncio.AbstractEventLoop | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._become(file, _demoted.has_two_sides(file))
        self._ref_loop, self._executor = loop, executor

    @property
    def mode(self) -> str:
        """The mode, as ``io`` reports it."""
        stack = self._stack
        return self._mode if stack is None else stack.mode

    @property
    def _file(self) -> Any:
        """The blocking file, as aiofiles' files have one; one that is closed needs none any more."""
        return self if self._stack is None and self.closed else self._blocking()

    @_file.setter
    def _file(self, file: Any) -> None:
        self._become(file, _demoted.has_two_sides(file))

    def _blocking(self) -> Any:
        """The blocking file of ``io`` that this one becomes, unless it is one already."""
        raise NotImplementedError

    async def _run(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Runs a call that concerns the blocking file in the executor, for the owner of the file."""
        return await self._held(partial(function, *arguments, **options))

    async def _call(self, method: str, /, *arguments: Any, **options: Any) -> Any:
        """Calls a method of the blocking file in the executor, for the owner of the file."""
        kept = self._kept
        function = getattr(self._stack, method) if kept is None else partial(kept.call, method)
        lost = partial(self._keep_lost, method, arguments) if method in READS else None
        return await self._held(partial(function, *arguments, **options), lost, reads=method in _READING)

    async def _held(
        self,
        function: Callable[[], T],
        lost: Callable[[T], object] | None = None,
        certain: bool = False,
        reads: bool = False,
    ) -> T:
        call = HeldCall(self._keep_for_call(reads), function, lost)
        self._in_threads = (*self._in_threads, call)
        try:
            return await call.run(self._executor, certain)
        finally:
            self._in_threads = tuple(each for each in self._in_threads if not each.ended)

    def _keep_lost(self, method: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Keeps what a read brought for somebody who is gone, where nobody can go back to it."""
        stack = self._stack
        if not seeks(stack):
            if self._kept is None:
                self._kept = KeptReads(lambda: stack)
            self._kept.put_back(method, arguments, result)

    async def _progress(self) -> None:
        """Waits for what the last attempt was missing."""
        if (step := self._advance()) is None:
            await turn()
        else:
            await step

    async def _owned(self, attempt: Callable[..., Any], *arguments: Any, reads: bool = True) -> Any:
        """Attempts in turn until it comes to something."""
        async with self._hold(reads=reads, writes=not reads):
            if self._stack is not None:
                # The attempt `_read` of ours is `read` there, which knows its own defaults.
                given = () if arguments == (-1,) else arguments
                return await self._call(attempt.__name__[1:], *given)
            while (result := attempt(*arguments, True)) is None:
                await self._progress()
            return result

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """The owner's read of many steps: when it fails or is cancelled, leaving the file goes back."""
        self._mark()
        yield
        self._commit()

    async def _flush_owned(self) -> None:
        while self._has_unwritten():
            if (step := self._flush_step()) is not None:
                await step

    async def read(self, size: int | None = -1, /) -> AnyStr:
        """Reads at most ``size`` bytes or characters; everything when it is negative or None.

        Returns:
            What was read; empty at the end of the file, which is asked for anew each time.

        Raises:
            OSError: reading failed.
            UnicodeDecodeError: the bytes are not text of the file's encoding.
            ValueError: the file is closed or not open for reading.
        """
        wanted = -1 if size is None else size
        try:
            result = self._read(wanted)
        except TypeError:
            _refuse_what_is_no_size(size)
            raise
        if result is None:
            result = await self._read_in_turn(wanted)
        return result  # type: ignore[no-any-return]

    async def _read_in_turn(self, size: int) -> Any:
        return await self._owned(self._read, size)

    async def readline(self, size: int | None = -1, /) -> AnyStr:
        """Reads up to and with the next line end; at most ``size`` when that is not negative.

        Returns:
            The line; empty at the end of the file.

        Raises:
            OSError, UnicodeDecodeError, ValueError: as for :meth:`read`.
        """
        try:
            line = self._readline() if size is _ALL else self._readline(size)
        except TypeError:
            if self._names_sizes:
                _refuse_what_is_no_size(size)
            raise
        if line is None:
            line = await self._owned(self._readline, size)
        return line  # type: ignore[no-any-return]

    if TYPE_CHECKING:

        def __anext__(self) -> Awaitable[AnyStr]: ...  # type: ignore[override]
    else:
        __anext__ = _native.File.__anext__

    async def _next_line(self) -> AnyStr:
        """What the native ``__anext__`` returns for a line that is not in memory."""
        line = await self._owned(self._readline, -1)
        if line:
            return line  # type: ignore[no-any-return]
        raise StopAsyncIteration

    async def readlines(self, hint: int | None = -1, /) -> list[AnyStr]:
        """Reads lines to the end of the file, or until they are more than ``hint`` bytes or characters."""
        _refuse_what_is_no_size(hint)
        enough = -1 if hint is None else hint.__index__()
        lines: list[AnyStr] = []
        async with self._hold(reads=True):
            if self._stack is not None:
                return await self._call("readlines", *(() if enough == -1 else (enough,)))  # type: ignore[no-any-return]
            with self._all_or_nothing():
                if enough > 0:
                    await self._lines_up_to(enough, lines)
                else:
                    while batch := await self._batch(LINES_AT_ONCE):
                        lines += batch
        return lines

    async def _lines_up_to(self, enough: int, lines: list[AnyStr]) -> None:
        """Adds lines until they are more than ``enough``, for the owner of the file."""
        total = 0
        while total <= enough and (line := await self._batch(1)):
            lines += line
            total += len(line[0])

    async def _batch(self, count: int) -> list[AnyStr]:
        """At most ``count`` lines, for the owner of the file; none only at the end."""
        if (stack := self._stack) is not None:
            readline = stack.readline if self._kept is None else partial(self._kept.call, "readline")
            lost = partial(self._keep_lost, "readlines", ())
            return await self._held(partial(_demoted.lines_of, readline, count), lost, reads=True)
        while (batch := self._lines(count, True)) is None:
            await self._progress()
        return batch

    def lines(self, batch: int = LINES_AT_ONCE) -> LineBatches[AnyStr]:
        """Iterates over lists of lines, which costs less for each line than ``async for line``.

        Args:
            batch: lines in a list, at least 1. The last list may be shorter, and so may any list of a
                pipe: what is here is not kept waiting.

        Returns:
            An asynchronous iterator of lists.

        Raises:
            TypeError: batch is no integer.
            ValueError: batch is below 1.

        Cancellation: a step hands out a whole list or leaves all of its lines in the file, for whatever
        reads next: one that is given less time than a list takes begins anew each time.
        """
        if not isinstance(batch, SupportsIndex):
            raise TypeError(f"batch must be an integer, not {type(batch).__name__}")
        if (batch := batch.__index__()) < 1:
            raise ValueError("batch must be at least 1")
        return LineBatches(self, batch)

    async def write(self, data: Any, /) -> int:
        """Writes ``data``: text for a text file, any bytes-like object for a binary one.

        A write smaller than the buffer is buffered; a larger one returns when the kernel has it. If a
        program changes a bytearray meanwhile, it is unspecified which bytes are written.

        Returns:
            Characters or bytes written.

        Raises:
            OSError: writing failed; the position says how much was written.
            TypeError: data of the wrong type.
            UnicodeEncodeError: text that the encoding does not have, as ``io`` raises it: with the whole text
                and the place in that, however long it is. Nothing of it is written.
            ValueError: the file is closed or not open for writing.
        """
        count = self._write(data)
        if count is None:
            count = await self._write_in_turn(data)
        return count

    def _is_long(self, data: Any) -> bool:
        """Whether it would take long to encode ``data`` at once; ASCII is written as it is."""
        if not isinstance(data, str) or len(data) <= CHARS_AT_ONCE:
            return False
        return not data.isascii() or getattr(self, "_newline", None) in {"\r", "\r\n"}

    def _cut(self, text: str) -> Iterator[str]:
        """The pieces of a long text that are encoded one by one; no copies of the text before they are."""
        return (text[start : start + CHARS_AT_ONCE] for start in range(0, len(text), CHARS_AT_ONCE))

    def _checker(self) -> Callable[[str], object]:
        """A function that raises what writing one piece of a text after the other would raise."""
        raise NotImplementedError

    async def _check_long(self, text: str) -> None:
        """Raises what writing a long text would raise, as if it were encoded at once."""
        check, start = self._checker(), 0
        for piece in self._cut(text):
            try:
                check(piece)
            except UnicodeEncodeError as error:
                newline = getattr(self, "_newline", None)
                await tell_of_whole(error, text, start, piece, newline, self._checker)
                raise
            start += len(piece)
            await turn()

    async def _write_in_turn(self, data: Any) -> int:
        async with self._hold(writes=True):
            if (stack := self._stack) is not None:
                return await self._run(stack.write, data)
            return await self._write_owned(data)

    async def _write_owned(self, data: Any) -> int:
        if isinstance(data, str):
            data = exact_text(data)
        if self._is_long(data):
            # What cannot be encoded is found before anything is written.
            await self._check_long(data)
            for piece in self._cut(data):
                await self._write_piece(piece)
                await turn()
            return len(data)
        return await self._write_piece(data)

    async def _write_piece(self, data: Any) -> int:
        while (count := self._write(data, True)) is None:
            if _native.must_yield():
                await turn()
            elif self._has_unwritten():
                if (step := self._room_step()) is not None:
                    await step
            else:
                count = await self._write_large(data)
                break
        if isinstance(data, str) and self._flushes_lines(data):
            await self._flush_owned()
        return count

    async def _write_large(self, data: Any) -> int:
        """Writes what does not fit in the buffer, which is empty."""
        count = self._begin_large(data)
        before = self._large_rest()
        while (step := self._large_step()) is not None:
            await step
            if self._raw:
                return before - self._large_rest()
        return count

    async def writelines(self, lines: Iterable[Any], /) -> None:
        """Writes each of ``lines``, adding no line ends. Nobody else's writes come between them.

        Raises:
            OSError, TypeError, ValueError: as for :meth:`write`; the lines before are written.
        """
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        # What is refused for another's sake is the first line; after that nobody had a turn yet.
        if type(lines) is list or type(lines) is tuple:
            written = self._write_listed(lines, 0) if lines else 0
            if written < len(lines):
                await self._write_listed_in_turn(lines, written)
        else:
            await self._write_each_in_turn(iter(lines))

    async def _write_listed_in_turn(self, lines: Sequence[Any], written: int) -> None:
        async with self._hold(writes=True):
            if (stack := self._stack) is not None:
                return await self._run(stack.writelines, lines[written:])
            while written < len(lines):
                start, written = written, self._write_listed(lines, written, True)
                if self._is_stretched():
                    await self._flush_owned()
                elif written == start:
                    await self._write_line(lines[start])
                    written += 1
        return None

    async def _write_each_in_turn(self, lines: Iterator[Any]) -> None:
        async with self._hold(writes=True):
            if (stack := self._stack) is not None:
                return await self._run(stack.writelines, lines)
            if getattr(self, "_line_buffering", False):
                for line in lines:
                    await self._write_owned(line)
                return None
            while (unwritten := self._write_each(lines)) is not None:
                if unwritten:
                    await self._write_line(unwritten[0])
                else:
                    await turn()
        return None

    async def _write_line(self, line: Any) -> None:
        """Writes one of many lines, for the owner of the file."""
        flushes = getattr(self, "_line_buffering", False)
        if flushes or self._is_long(line) or self._write(line, True) is None:
            await self._write_owned(line)

    async def flush(self) -> None:
        """Gives everything written so far to the kernel. It is not on the device by that.

        Raises:
            OSError: writing failed; what was not written is kept for the next flush.
        """
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        async with self._hold(writes=True):
            if (stack := self._stack) is not None:
                return await self._run(stack.flush)
            await self._flush_owned()
            self._sync_position()
        return None

    async def tell(self) -> int:
        """The position: a byte offset, or a cookie for :meth:`seek` in a text file."""
        async with self._hold(writes=True):
            if (stack := self._stack) is not None:
                return await self._run(stack.tell)
            await self._settle_position()
            return self._tell()

    async def _settle_position(self) -> None:
        """Waits until it is known where appended bytes went, for the owner of the file."""
        while (step := self._place_step()) is not None:
            await step

    async def truncate(self, size: int | None = None, /) -> int:
        """Sets the file's length to ``size`` bytes, to the position when it is None.

        Returns:
            The new length in bytes. The position stays where it is.
        """
        async with self._hold(writes=True):
            if (stack := self._stack) is not None:
                return await self._run(stack.truncate, *(() if size is None else (size,)))
            await self._flush_owned()
            result: int = await self._truncate(size)
            return result

    async def close(self) -> None:
        """Writes what is buffered and closes the file. Closing twice is harmless.

        Reads of a pipe that still wait for its other end fail, as they would after the close.

        Raises:
            OSError: writing or closing failed. The file is closed all the same.

        Cancellation: the file is closed first, then CancelledError is raised. What a pipe does not take
        without waiting is lost then, with a ResourceWarning.
        """
        if self._stack is not None:
            await carried_on(self._close_stack())
        elif self._behind is not None or not self._close_now():
            has_peer = self._end_reads()
            await uninterrupted(self._close_in_turn(), impatient=has_peer)

    async def _close_in_turn(self) -> None:
        try:
            async with self._hold():
                try:
                    await self._close_owned()
                finally:
                    if self._behind is not None:
                        await self._held(self._behind.close, certain=True)
        except BaseException:
            # Cancelled: the loop ends, or nobody has the patience for a peer.
            self._let_go()
            raise

    async def _close_owned(self) -> None:
        if (stack := self._stack) is not None:
            return await self._held(stack.close, certain=True)
        try:
            await self._flush_owned()
        except Exception:
            await self._close_descriptor()
            raise
        return await self._close_descriptor()

    async def _close_descriptor(self) -> None:
        if (operation := self._close()) is not None:
            await operation

    async def isatty(self) -> bool:
        """Whether the file is a terminal."""
        return self._isatty() if self._stack is None else await self._asked("isatty")

    async def seekable(self) -> bool:
        """Whether the file has a position that can be set."""
        return self._seekable() if self._stack is None else await self._asked("seekable")

    async def writable(self) -> bool:
        """Whether the file was opened for writing."""
        return self._writable() if self._stack is None else await self._asked("writable")

    async def _asked(self, method: str, /, *arguments: Any, **options: Any) -> Any:
        """What a method of the blocking file says, called like this."""
        reads = method in _READING
        async with self._hold(reads=reads, writes=not reads):
            return await self._call(method, *arguments, **options)

    async def __aenter__(self: Self) -> Self:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stack is None or self._behind is not None:
            await self.close()
        if (blocking := self._behind or self._stack) is not None:
            exits = partial(blocking.__exit__, kind, error, traceback)
            await carried_on(self._close_blocking(exits))

    async def _close_stack(self) -> None:
        try:
            await self._close_blocking(self._stack.close)
        finally:
            if self._behind is not None:
                await self._close_blocking(self._behind.close)

    async def _close_blocking(self, closes: Callable[[], object]) -> None:
        """Has a blocking file closed in its turn, or when the call that is in a thread ends."""
        in_turn = False
        try:
            async with self._hold():
                in_turn = True
                await self._held(closes, certain=True)
        except asyncio.CancelledError:
            # The loop ends.
            if not in_turn:
                after_all(self._in_threads, closes)
            raise

    def _let_go(self) -> bool:
        """Closes the file at once, as if it were collected. Returns whether it was open."""
        try:
            return self._finalize()
        except OSError as error:
            message = f"closing {self._text()} lost data: {error}"
        warnings.warn(message, ResourceWarning, source=self, stacklevel=3)
        return False

    def __del__(self) -> None:
        if self._let_go():
            warnings.warn(f"unclosed file {self._text()}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return self._text(" closed" if self._stack is None and self.closed else "")

    def _text(self, state: str = "") -> str:
        if (stack := self._stack) is not None:
            return f"<aiofile.{type(self).__name__} wrapping {stack!r}>"
        return f"<aiofile.{type(self).__name__}{state} name={self.name!r} mode={self._mode!r}>"


# `asyncio.create_task(file.__anext__())` takes nothing else.
Coroutine.register(_native.Ready)

File._given = given_class(File)
