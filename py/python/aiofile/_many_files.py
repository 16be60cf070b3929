"""Many files read at once: small ones by the dozen, on a few threads."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import compress, islice
from typing import Any, Generic, Literal, NamedTuple, TypeVar, overload

from . import _native
from ._in_executor import patched_open
from ._mode import parse_mode
from ._types import FileDescriptorOrPath
from ._waiting import running_loop, turn, uninterrupted
from ._whole import read_bytes

PathT = TypeVar("PathT", bound=FileDescriptorOrPath)
ResultT = TypeVar("ResultT")

_MODE = parse_mode("rb")

#: What may be meant as a path, and can be iterated over: its letters, or numbers of descriptors.
_ONE_PATH = str, bytes, bytearray, memoryview, os.PathLike

#: Files that a thread reads before it hands them over: 4 KiB each, they fill what it has room for.
_FILES_AT_ONCE = 64

#: Threads of the pool that read for one call, which leaves some for others.
_BATCHES_AT_ONCE = 4


@overload
async def read_many(
    paths: Iterable[FileDescriptorOrPath], *, return_exceptions: Literal[False] = False
) -> list[bytes]: ...
@overload
async def read_many(
    paths: Iterable[FileDescriptorOrPath], *, return_exceptions: bool
) -> list[bytes | Exception]: ...
async def read_many(
    paths: Iterable[FileDescriptorOrPath], *, return_exceptions: bool = False
) -> list[bytes] | list[bytes | Exception]:
    """Reads many whole files, in less time and with fewer system calls than one after the other.

    Made for small files, by the thousand: they are read by the dozen on a few threads. Others are read as by
    :func:`read_bytes`, one at a time. For more than fits in memory there is :func:`read_each`.

    Args:
        paths: of the files, as for :func:`read_bytes`: a number is a descriptor, which is closed.
        return_exceptions: have an error in the place of the content that it is about, as
            ``asyncio.gather`` does; otherwise that of the first of the paths that have one is raised, and
            no file is begun any more.

    Returns:
        The contents, in the order of ``paths``.

    Raises:
        OSError: opening or reading a file failed; its filename is the path.
        TypeError: ``paths`` is one path instead of many, or one of them is no path.
        Exception: what ``paths`` raises, when the files that it gave before are read.

    Cancellation: no file is begun any more, and CancelledError is raised when none is open any more.

    Example:
        >>> contents = await aiofile.read_many(Path("conf.d").glob("*.conf"))
    """
    found: list[Any] = []
    failed: dict[int, Exception] = {}
    batches = _Batches(paths)
    try:
        while (batch := await batches.next()) is not None:
            results = zip(batch.numbers, batch.results, strict=True)
            if batch.clean or return_exceptions:
                found.extend([None] * (batch.numbers[-1] + 1 - len(found)))
                for number, result in results:
                    found[number] = result
                continue
            failed.update((number, result) for number, result in results if isinstance(result, Exception))
            batches.end_before(min(failed))
    finally:
        await batches.close()
    if failed:
        raise failed[min(failed)]
    return found


@overload
def read_each(
    paths: Iterable[PathT], *, return_exceptions: Literal[False] = False
) -> FileContents[PathT, bytes]: ...
@overload
def read_each(
    paths: Iterable[PathT], *, return_exceptions: bool
) -> FileContents[PathT, bytes | Exception]: ...
def read_each(paths: Iterable[PathT], *, return_exceptions: bool = False) -> FileContents[PathT, Any]:
    """Iterates over the contents of many files, with a few of them in memory at a time.

    Args:
        paths: of the files, as for :func:`read_many`. They are asked for as the reading goes on, up to some
            hundreds ahead of it; a relative one begins at the working directory of the moment in which its
            file is opened.
        return_exceptions: yield an error in the place of the content that it is about; otherwise it is
            raised, and the next step goes on with the next file: an error ends that file only. (An ``async
            for`` is left by it, and another one over the same object goes on.)

    Returns:
        An asynchronous iterator of ``(path, content)``, in the order in which the files were read: **not**
        that of ``paths``. Which file it is tells the path, the object that ``paths`` gave. ``async with``
        closes it at once when it is left early.

    Raises:
        OSError: opening or reading a file failed; its filename is the path.
        TypeError: ``paths`` is one path instead of many; from the iteration, one of them is no path.
        Exception: what ``paths`` raises, from the iteration, behind all files that it gave before.

    Cancellation: nothing is lost: the next step goes on, on this event loop or, when that has ended, on
    another one.

    Example:
        >>> async for path, content in aiofile.read_each(Path("mail").iterdir()):
        ...     print(path.name, len(content))
    """
    return FileContents(paths, return_exceptions)


class FileContents(AsyncIterator[tuple[PathT, ResultT]], Generic[PathT, ResultT]):
    """Contents of files. Made by :func:`aiofile.read_each`."""

    def __init__(self, paths: Iterable[PathT], return_exceptions: bool) -> None:
        self._batches = _Batches(paths)
        self._return_exceptions = return_exceptions
        self._ready: deque[tuple[Any, bytes | Exception]] = deque()
        self._awaited = False

    def __aiter__(self) -> FileContents[PathT, ResultT]:
        return self

    async def __anext__(self) -> tuple[PathT, ResultT]:
        while not self._ready:
            if self._awaited:
                raise RuntimeError("another task waits for the next file already")
            self._awaited = True
            try:
                batch = await self._batches.next()
            finally:
                self._awaited = False
            if batch is None:
                raise StopAsyncIteration
            self._ready.extend(zip(batch.paths, batch.results, strict=True))
        path, result = self._ready.popleft()
        if isinstance(result, Exception) and not self._return_exceptions:
            raise result
        return path, result  # type: ignore[return-value]

    async def aclose(self) -> None:
        """Ends it: no file is begun any more, and it returns when none is open any more."""
        self._ready.clear()
        await self._batches.close()

    async def __aenter__(self) -> FileContents[PathT, ResultT]:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()


class _Files(NamedTuple):
    """Files that are to be read."""

    #: Which of the files of the call they are.
    numbers: Sequence[int]
    paths: list[Any]
    names: list[Any]
    encoded: list[bytes]

    def without(self, count: int) -> _Files:
        """Those behind the first ``count``."""
        return _Files(self.numbers[count:], self.paths[count:], self.names[count:], self.encoded[count:])


class _Read(NamedTuple):
    """Files that were read."""

    numbers: Sequence[int]
    paths: Sequence[Any]
    #: None for a file that is to be read by itself.
    results: list[Any]
    #: Whether no result is an error.
    clean: bool


def _iterator(paths: Iterable[FileDescriptorOrPath]) -> Iterator[FileDescriptorOrPath]:
    if not isinstance(paths, _ONE_PATH):
        with suppress(TypeError):
            return iter(paths)
    raise TypeError(f"paths must be an iterable of paths, not {type(paths).__name__}")


class _Batches:
    """The files of one call, on their way in batches."""

    def __init__(self, paths: Iterable[FileDescriptorOrPath]) -> None:
        self._paths = _iterator(paths)
        self._count = 0
        #: The loop that started what is running, and its thread, to which that reports.
        self._home: tuple[asyncio.AbstractEventLoop | None, int] = (None, 0)
        #: Those that a batch had no room for.
        self._left_over: deque[_Files] = deque()
        #: Those that are read by themselves.
        self._single: deque[tuple[int, Any]] = deque()
        self._refused: deque[_Read] = deque()
        #: What the iterator of the paths raised; raised when all that it gave before is handed out.
        self._failure: BaseException | None = None
        self._running: deque[tuple[_Files, _native.Operation]] = deque()

    async def next(self) -> _Read | None:
        """Some files that were read, at least one; None after the last.

        Cancellation: nothing is lost.
        """
        self._move(running_loop())
        if _native.must_yield():
            await turn()
        while True:
            self._start()
            if self._refused:
                return self._refused.popleft()
            if self._single:
                return await self._read_single()
            if not self._running:
                if self._failure is None:
                    return None
                failure, self._failure = self._failure, None
                raise failure
            files, operation = self._running[0]
            # Cancelled here, it stays the first.
            results, clean = await operation
            self._running.popleft()
            if len(results) < len(files.paths):
                self._left_over.append(files.without(len(results)))
            # The threads go on while the program looks at these.
            self._start()
            read = _Read(files.numbers[: len(results)], files.paths[: len(results)], results, clean)
            if not clean:
                read = self._sorted_out(read)
            if read.results:
                return read

    def _move(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has what another loop waited for read again: nobody may ever tell this one of its end."""
        home = loop, threading.get_ident()
        if home != self._home:
            for files, operation in self._running:
                operation.cancel()
                self._left_over.append(files)
            self._running.clear()
            self._home = home

    def end_before(self, number: int) -> None:
        """Begins no file any more that comes behind one, where it can be told."""
        self._paths = iter(())
        self._failure = None
        self._left_over = deque(files for files in self._left_over if files.numbers[0] < number)
        self._refused = deque(read for read in self._refused if read.numbers[0] < number)
        self._single = deque(single for single in self._single if single[0] < number)

    def _sorted_out(self, read: _Read) -> _Read:
        """What was read, without those that are to be read by themselves."""
        files = list(zip(read.numbers, read.paths, read.results, strict=True))
        self._single.extend((number, path) for number, path, result in files if result is None)
        rest = [file for file in files if file[2] is not None]
        results = [result for _, _, result in rest]
        clean = all(isinstance(result, bytes) for result in results)
        return _Read([file[0] for file in rest], [file[1] for file in rest], results, clean)

    async def _read_single(self) -> _Read:
        number, path = self._single[0]
        result: bytes | Exception
        try:
            result = await read_bytes(path)
        except Exception as error:
            result = error
        self._single.popleft()
        return _Read([number], [path], [result], isinstance(result, bytes))

    def _start(self) -> None:
        while self._has_room() and (files := self._next_files()) is not None:
            if files.paths:
                self._running.append((files, _native.read_batch(files.encoded, files.names)))

    def _has_room(self) -> bool:
        count = len(self._running)
        return count == 0 or (count < _BATCHES_AT_ONCE and _native.has_arena())

    def _next_files(self) -> _Files | None:
        """The files of the next batch, none where all of them are read by themselves; None after the last."""
        if self._left_over:
            return self._left_over.popleft()
        # Those that are not read in batches come first.
        behind = bool(self._single or self._refused) or self._failure is not None
        if behind or not (paths := self._next_paths()):
            return None
        numbers = range(self._count, self._count + len(paths))
        self._count += len(paths)
        if patched_open() is not None:
            self._single.extend(zip(numbers, paths, strict=True))
            return _Files([], [], [], [])
        try:
            names = [os.fspath(path) for path in paths]
            encoded = [os.fsencode(name) for name in names]
            if b"\0" in b"".join(encoded):
                raise ValueError
        except Exception:
            return self._one_by_one(numbers, paths)
        return self._announced(_Files(numbers, paths, names, encoded))

    def _next_paths(self) -> list[Any]:
        paths: list[Any] = []
        try:
            for path in islice(self._paths, _FILES_AT_ONCE):
                # Those before an error count.
                paths.append(path)
        except BaseException as error:
            self._failure = error
        return paths

    def _announced(self, files: _Files) -> _Files:
        """Tells audit hooks of files. Returns those that they do not refuse."""
        refused: dict[int, Exception] = {}
        for index, name in enumerate(files.names):
            try:
                sys.audit("open", name, _MODE.raw, _MODE.flags)
            except Exception as error:
                refused[index] = error
        if not refused:
            return files
        for index, refusal in refused.items():
            self._refused.append(_Read([files.numbers[index]], [files.paths[index]], [refusal], False))
        kept = [index not in refused for index in range(len(files.paths))]
        return _Files(*(list(compress(part, kept)) for part in files))

    def _one_by_one(self, numbers: Sequence[int], paths: list[Any]) -> _Files:
        """As :meth:`_next_files`, of paths some of which are none."""
        files = _Files([], [], [], [])
        for number, path in zip(numbers, paths, strict=True):
            try:
                if isinstance(path, int):
                    self._single.append((number, path))
                    continue
                name = os.fspath(path)
                file = number, path, name, os.fsencode(name)
                if b"\0" in file[-1]:
                    raise ValueError("embedded null byte")
            except Exception as error:
                self._refused.append(_Read([number], [path], [error], False))
            else:
                for part, value in zip(files, file, strict=True):
                    part.append(value)  # type: ignore[attr-defined]
        return self._announced(files)

    async def close(self) -> None:
        """Ends what is under way, and waits for that."""
        self._paths = iter(())
        self._failure = None
        self._left_over.clear()
        self._refused.clear()
        self._single.clear()
        running, self._running = self._running, deque()
        operations = [operation for _, operation in running]
        for operation in operations:
            operation.cancel()
        # Another thread is told of the end by nobody here; it is a matter of microseconds.
        if operations and self._home[1] == threading.get_ident():
            await uninterrupted(_ended(operations))


async def _ended(operations: list[_native.Operation]) -> None:
    # Another loop may have started them.
    _native.attach()
    for operation in operations:
        with suppress(Exception):
            await operation
