"""Directories, entry by entry."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from concurrent.futures import Executor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, AnyStr, Generic, NamedTuple, overload

from .. import _native
from .._calls import Loop, Steps, acquire, interruptible
from .._closing import Closing
from .._waiting import turn

if TYPE_CHECKING:
    from os import _ScandirIterator

#: Entries that one trip to the executor brings: about what one getdents64(2) of 32 KiB gives.
_BATCH = 1024


class _Batch(Generic[AnyStr]):
    """Entries that came together; what kind they are is asked of all of them at once."""

    __slots__ = ("entries", "executor", "known", "loop")

    def __init__(self, entries: list[os.DirEntry[AnyStr]], loop: Loop, executor: Executor | None) -> None:
        self.entries: list[os.DirEntry[AnyStr]] = entries
        self.loop = loop
        self.executor = executor
        #: Whether no entry's kind has to be read from the disk any more.
        self.known = False

    async def learn(self) -> None:
        await interruptible(partial(_ask, self.entries), self.loop, self.executor)
        self.known = True
        self.entries = []


def _ask(entries: list[os.DirEntry[Any]]) -> None:
    for entry in entries:
        try:
            # Costs a system call only where the file system does not tell kinds, and is then remembered.
            entry.is_symlink()
        except OSError:
            continue


class DirEntry(Generic[AnyStr]):
    """An entry of a directory: :class:`os.DirEntry`, its questions to the disk being coroutines.

    Attributes:
        name: within its directory.
        path: the directory's, as it was given, joined with the name.
    """

    __slots__ = ("_batch", "_entry", "_followed", "_stated", "name", "path")

    def __init__(self, entry: os.DirEntry[AnyStr], batch: _Batch[AnyStr]) -> None:
        self._entry: os.DirEntry[AnyStr] = entry
        self._batch: _Batch[AnyStr] = batch
        #: Whether the entry remembers the attributes of what it links to, and its own.
        self._followed = False
        self._stated = False
        self.name: AnyStr = entry.name
        self.path: AnyStr = entry.path

    def inode(self) -> int:
        """The number that the directory gives the entry."""
        return self._entry.inode()

    def __fspath__(self) -> AnyStr:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    async def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory, or a link to one; False if it is gone."""
        if self._is_known(follow_symlinks):
            return self._entry.is_dir(follow_symlinks=follow_symlinks)
        return await self._find_out(self._entry.is_dir, follow_symlinks)

    async def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a regular file, or a link to one; False if it is gone."""
        if self._is_known(follow_symlinks):
            return self._entry.is_file(follow_symlinks=follow_symlinks)
        return await self._find_out(self._entry.is_file, follow_symlinks)

    async def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        if not self._is_known(False):
            await self._learn()
        return self._entry.is_symlink()

    if sys.version_info >= (3, 12):

        async def is_junction(self) -> bool:
            """Whether it is a junction of Windows."""
            if not self._is_known(False):
                await self._learn()
            return self._entry.is_junction()

    async def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Its attributes; asked once and remembered."""
        ask = partial(self._entry.stat, follow_symlinks=follow_symlinks)
        if self._followed if follow_symlinks else self._stated:
            if not _native.may_answer():
                await turn()
            return ask()
        found = await interruptible(ask, self._batch.loop, self._batch.executor)
        if follow_symlinks:
            self._followed = True
        else:
            self._stated = True
        return found

    def _is_known(self, follow_symlinks: bool) -> bool:
        """Whether its kind can be told now: without reading the disk, and without holding the loop."""
        return self._batch.known and not self._leads_on(follow_symlinks) and _native.may_answer()

    def _leads_on(self, follow_symlinks: bool) -> bool:
        """Whether the answer is with what it links to, which was not read yet."""
        return follow_symlinks and not self._followed and self._entry.is_symlink()

    async def _learn(self) -> None:
        if self._batch.known:
            await turn()
        else:
            await self._batch.learn()

    async def _find_out(self, ask: Any, follow_symlinks: bool) -> bool:
        if not self._batch.known or not self._leads_on(follow_symlinks):
            await self._learn()
        if not self._leads_on(follow_symlinks):
            known: bool = ask(follow_symlinks=follow_symlinks)
            return known
        found: bool = await interruptible(partial(ask), self._batch.loop, self._batch.executor)
        # What is not found is asked again, for it may not be there.
        self._followed = found
        return found


class _Found(NamedTuple):
    """What one trip brought: entries, and the error after them."""

    entries: list[os.DirEntry[Any]]
    error: OSError | None


def _batches(arguments: tuple[Any, ...]) -> Iterator[_Found]:
    with os.scandir(*arguments) as entries:
        while True:
            batch: list[os.DirEntry[Any]] = []
            try:
                # What came before an error stays in the list.
                batch.extend(islice(entries, _BATCH))
            except OSError as error:
                yield _Found(batch, error)
                return
            if not batch:
                return
            yield _Found(batch, None)


class Scandir(
    Coroutine[Any, Any, "_ScandirIterator[AnyStr]"],
    AsyncIterator[DirEntry[AnyStr]],
    Closing["Scandir[AnyStr]"],
):
    """A directory that is about to be read: iterate over it, enter it, or await it."""

    def __init__(self, arguments: tuple[Any, ...], loop: Loop, executor: Executor | None) -> None:
        self._arguments = arguments
        self._loop = loop
        self._executor = executor
        self._opening = _open(arguments, loop, executor)
        self._steps: Steps[_Found] | None = None
        self._ready: deque[DirEntry[AnyStr]] = deque()
        self._error: OSError | None = None

    def __await__(self) -> Generator[Any, Any, _ScandirIterator[AnyStr]]:
        return self._opening.__await__()

    def send(self, value: Any) -> Any:
        """For event loops: this is a coroutine, too."""
        return self._opening.send(value)

    def throw(self, *error: Any) -> Any:
        """For event loops: this is a coroutine, too."""
        return self._opening.throw(*error)

    def close(self) -> None:
        """Closes the coroutine that this is, too; see :meth:`aclose`."""
        self._opening.close()

    def __aiter__(self) -> Scandir[AnyStr]:
        return self

    async def __anext__(self) -> DirEntry[AnyStr]:
        if not self._ready:
            await self._read()
        return self._ready.popleft()

    async def __aenter__(self) -> Scandir[AnyStr]:
        try:
            await self._read()
        except StopAsyncIteration:
            pass
        except BaseException:
            self._begun().drop()
            raise
        return self

    async def aclose(self) -> None:
        """Closes the directory; there are no more entries then.

        Cancellation: it is closed all the same.
        """
        self._ready.clear()
        self._error = None
        await self._begun().close()

    def _begun(self) -> Steps[_Found]:
        if self._steps is None:
            if inspect.getcoroutinestate(self._opening) != inspect.CORO_CREATED:
                raise RuntimeError("it was awaited already: iterate over what that gave")
            self._opening.close()
            self._steps = Steps(_batches(self._arguments), self._loop, self._executor)
        return self._steps

    async def _read(self) -> None:
        steps = self._begun()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        found = await steps.next()
        if found is None:
            raise StopAsyncIteration
        self._error = found.error
        if not found.entries:
            return await self._read()
        batch = _Batch(found.entries, self._loop, self._executor)
        self._ready.extend(DirEntry(entry, batch) for entry in found.entries)
        return None


async def _open(arguments: tuple[Any, ...], loop: Loop, executor: Executor | None) -> Any:
    return await acquire(partial(os.scandir, *arguments), lambda entries: entries.close(), loop, executor)


_open.__name__ = _open.__qualname__ = "scandir"


@overload
def scandir(
    path: str | os.PathLike[str] | int | None = None, *, loop: Loop = None, executor: Executor | None = None
) -> Scandir[str]: ...
@overload
def scandir(
    path: bytes | os.PathLike[bytes], *, loop: Loop = None, executor: Executor | None = None
) -> Scandir[bytes]: ...
def scandir(path: Any = None, *, loop: Loop = None, executor: Executor | None = None) -> Scandir[Any]:
    """Reads a directory, as :func:`os.scandir`; getdents64(2).

    Args:
        path: str, bytes, PathLike or a descriptor; the working directory by default.
        loop: whose executor is used.
        executor: where the directory is read.

    Returns:
        An asynchronous iterator and context manager of :class:`DirEntry`, which reads many entries at once;
        ``break`` closes the directory. Awaited instead, it gives what ``os.scandir`` gives, to iterate over
        with a plain ``for`` and to close.

    Raises:
        OSError: as ``os.scandir``, when it is iterated over, entered or awaited; what was read before an
            error comes first.

    Cancellation: it returns at once. Of an iteration nothing is lost; awaited, the directory is closed.

    Example:
        >>> async for entry in aiofile.os.scandir("."):
        ...     if await entry.is_file():
        ...         print(entry.name)
    """
    # An argument that was left out stays out.
    return Scandir(() if path is None else (path,), loop, executor)


# It is awaited like the coroutine functions beside it, so let it count as one where that can be said.
if sys.version_info >= (3, 12):
    inspect.markcoroutinefunction(scandir)
else:
    scandir.__dict__["_is_coroutine"] = vars(asyncio.coroutines)["_is_coroutine"]
