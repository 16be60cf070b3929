"""Directory trees."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from typing import Any, AnyStr, TypeVar, overload

from .._calls import Loop, Steps
from .._closing import Closing

T = TypeVar("T")
OnError = Callable[[OSError], object]


class Walk(AsyncIterator[T], Closing["Walk[T]"]):
    """The directories of a tree, one after the other: an asynchronous iterator, and a context manager."""

    def __init__(
        self,
        walk: Callable[[OnError | None], Iterator[T]],
        onerror: OnError | None,
        loop: Loop,
        executor: Executor | None,
    ) -> None:
        self._onerror = onerror
        #: Errors of directories, on their way from the thread that met them.
        self._errors: deque[OSError] = deque()
        blocking = walk(None if onerror is None else self._errors.append)
        self._steps = Steps(iter(blocking), loop, executor)

    def __aiter__(self) -> Walk[T]:
        return self

    async def __anext__(self) -> T:
        try:
            found = await self._steps.next()
        except Exception:
            self._report()
            raise
        try:
            self._report()
        except BaseException:
            await self.aclose()
            raise
        if found is None:
            raise StopAsyncIteration
        return found

    def _report(self) -> None:
        while self._errors and self._onerror is not None:
            self._onerror(self._errors.popleft())

    async def aclose(self) -> None:
        """Ends the walk and closes the descriptors that it has open.

        Cancellation: they are closed all the same.
        """
        await self._steps.close()


def walk(
    top: AnyStr | os.PathLike[AnyStr],
    topdown: bool = True,
    onerror: OnError | None = None,
    followlinks: bool = False,
    *,
    loop: Loop = None,
    executor: Executor | None = None,
) -> Walk[tuple[AnyStr, list[AnyStr], list[AnyStr]]]:
    """Walks through a tree, as :func:`os.walk`: one trip to the executor for each directory.

    Args:
        top: the directory to begin with.
        topdown: a directory before those in it. What is taken out of ``dirnames`` is then not visited.
        onerror: called with the error of a directory that cannot be read, on the thread of the event loop.
        followlinks: visits directories that links lead to.
        loop: whose executor is used.
        executor: where the directories are read.

    Returns:
        An asynchronous iterator of ``(dirpath, dirnames, filenames)``.

    Cancellation: it returns at once, and the next item is the one that was waited for.

    Example:
        >>> async for folder, dirnames, filenames in aiofile.os.walk("src"):
        ...     dirnames[:] = [name for name in dirnames if name != ".git"]
    """
    return Walk(lambda collect: os.walk(top, topdown, collect, followlinks), onerror, loop, executor)


@overload
def fwalk(
    top: str | os.PathLike[str] = ".",
    topdown: bool = True,
    onerror: OnError | None = None,
    *,
    follow_symlinks: bool = False,
    dir_fd: int | None = None,
    loop: Loop = None,
    executor: Executor | None = None,
) -> Walk[tuple[str, list[str], list[str], int]]: ...
@overload
def fwalk(
    top: bytes | os.PathLike[bytes],
    topdown: bool = True,
    onerror: OnError | None = None,
    *,
    follow_symlinks: bool = False,
    dir_fd: int | None = None,
    loop: Loop = None,
    executor: Executor | None = None,
) -> Walk[tuple[bytes, list[bytes], list[bytes], int]]: ...
def fwalk(
    top: Any = ".",
    topdown: bool = True,
    onerror: OnError | None = None,
    *,
    follow_symlinks: bool = False,
    dir_fd: int | None = None,
    loop: Loop = None,
    executor: Executor | None = None,
) -> Walk[tuple[Any, list[Any], list[Any], int]]:
    """Walks through a tree by descriptors, as :func:`os.fwalk`.

    Args:
        top: the directory to begin with.
        topdown: a directory before those in it. What is taken out of ``dirnames`` is then not visited.
        onerror: called with the error of a directory that cannot be read, on the thread of the event loop.
        follow_symlinks: visits directories that links lead to.
        dir_fd: the descriptor of the directory that ``top`` is relative to.
        loop: whose executor is used.
        executor: where the directories are read.

    Returns:
        An asynchronous iterator of ``(dirpath, dirnames, filenames, dirfd)``. The descriptor is open until
        the next step; ``aclose()``, and dropping the iterator, close what is open.

    Cancellation: it returns at once, and the next item is the one that was waited for.

    Example:
        >>> async for folder, _, filenames, dir_fd in aiofile.os.fwalk("src"):
        ...     for name in filenames:
        ...         print(folder, (await aiofile.os.stat(name, dir_fd=dir_fd)).st_size)
    """

    def begin(collect: OnError | None) -> Iterator[tuple[Any, list[Any], list[Any], int]]:
        return os.fwalk(top, topdown, collect, follow_symlinks=follow_symlinks, dir_fd=dir_fd)

    return Walk(begin, onerror, loop, executor)
