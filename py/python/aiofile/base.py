"""What the files of aiofiles are made of, for programs that build on it or look for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from functools import partial, wraps
from typing import Any, Generic, TypeVar

from ._opening import AiofilesContextManager

__all__ = ["AiofilesContextManager", "AsyncBase", "AsyncIndirectBase", "wrap"]

T = TypeVar("T")
LineT = TypeVar("LineT")
Self = TypeVar("Self", bound="AsyncBase[Any]")


def wrap(func: Callable[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Makes a coroutine function of a blocking one, which then runs in an executor.

    Args:
        func: the blocking function.

    Returns:
        A coroutine function with the arguments of ``func``, and ``loop`` and ``executor`` as keywords.
    """

    @wraps(func)
    async def run(
        *args: Any,
        loop: asyncio.AbstractEventLoop | None = None,
        executor: Executor | None = None,
        **kwargs: Any,
    ) -> T:
        return await (loop or asyncio.get_running_loop()).run_in_executor(
            executor, partial(func, *args, **kwargs)
        )

    return run


class AsyncBase(Generic[LineT]):
    """The asynchronous face of a blocking file, to be given its methods by :mod:`aiofile.threadpool.utils`.

    The classes of this module's files are made of it, too.

    Args:
        file: the blocking file.
        loop: whose executor is used; the running loop by default.
        executor: where calls run; the loop's default executor by default.
    """

    _file: Any
    _executor: Executor | None
    _ref_loop: asyncio.AbstractEventLoop | None

    def __init__(
        self,
        file: Any,
        loop: asyncio.AbstractEventLoop | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._file = file
        self._executor = executor
        self._ref_loop = loop

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return self._ref_loop or asyncio.get_running_loop()

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> LineT:
        line: LineT = await self.readline()  # type: ignore[attr-defined]
        if line:
            return line
        raise StopAsyncIteration

    def __repr__(self) -> str:
        return f"{super().__repr__()} wrapping {self._file!r}"


class AsyncIndirectBase(AsyncBase[LineT]):
    """The asynchronous face of a blocking file that is looked up anew for every call.

    Args:
        name: what to call it.
        loop: as for :class:`AsyncBase`.
        executor: as for :class:`AsyncBase`.
        indirect: gives the file.
    """

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop | None,
        executor: Executor | None,
        indirect: Callable[[], Any],
    ) -> None:
        self._indirect = indirect
        self._name = name
        super().__init__(None, loop, executor)

    @property
    def _file(self) -> Any:
        return self._indirect()

    @_file.setter
    def _file(self, file: Any) -> None:
        """Whatever is set is looked up all the same."""
