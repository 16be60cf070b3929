"""Asynchronous faces of ``sys.stdin`` and its like, looked up anew for every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from io import FileIO
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from ._both_ways import answered_both_ways
from ._in_order import calls_in_order
from ._stream_reader import reader_of
from ._types import FileDescriptorOrPath, ReadableBuffer, WriteableBuffer
from .base import AsyncIndirectBase
from .threadpool.utils import proxy_method_directly, proxy_property_directly

ClassT = TypeVar("ClassT", bound=type)
AnyStr = TypeVar("AnyStr", str, bytes)


def _calls(*names: str) -> Callable[[ClassT], ClassT]:
    """Coroutine methods that run behind all other calls of the same stream, those of ``print`` too."""

    def method_named(name: str) -> Any:
        async def method(self: AsyncIndirectBase[Any], *args: Any, **kwargs: Any) -> Any:
            stream = self._file
            call = partial(getattr(stream, name), *args, **kwargs)
            return await calls_in_order.run(stream, call, self._executor)

        return method

    return _adds(names, method_named)


def _reads(*names: str) -> Callable[[ClassT], ClassT]:
    """Coroutine methods that read, cancellably unless an executor was given."""

    def method_named(name: str) -> Any:
        async def method(self: AsyncIndirectBase[Any], *args: Any, **kwargs: Any) -> Any:
            stream = self._file
            if self._executor is None:
                return await reader_of(stream).call(name, *args, **kwargs)
            call = partial(getattr(stream, name), *args, **kwargs)
            return await calls_in_order.run(stream, call, self._executor)

        return method

    return _adds(names, method_named)


def _adds(names: tuple[str, ...], make: Callable[[str], Any]) -> Callable[[ClassT], ClassT]:
    def decorate(cls: ClassT) -> ClassT:
        for name in names:
            method = make(name)
            method.__name__, method.__qualname__ = name, f"{cls.__name__}.{name}"
            method.__doc__ = f"``{name}`` of the stream that is there now."
            setattr(cls, name, method)
        return cls

    return decorate


@_calls("close", "flush", "isatty", "seek", "seekable", "tell", "truncate", "writable", "write", "writelines")
@_reads("read", "readline", "readlines")
@proxy_method_directly("fileno")
@proxy_property_directly("closed", "mode", "name")
class _Indirect(AsyncIndirectBase[AnyStr]):
    """What all of them have."""

    if TYPE_CHECKING:
        # Made above; here for their types.
        @property
        def closed(self) -> bool: ...
        @property
        def mode(self) -> str: ...
        @property
        def name(self) -> FileDescriptorOrPath: ...
        def fileno(self) -> int: ...
        async def close(self) -> None: ...
        async def flush(self) -> None: ...
        async def isatty(self) -> bool: ...
        async def read(self, size: int | None = -1, /) -> AnyStr: ...
        async def readline(self, size: int | None = -1, /) -> AnyStr: ...
        async def readlines(self, hint: int | None = -1, /) -> list[AnyStr]: ...
        async def seek(self, offset: int, whence: int = 0, /) -> int: ...
        async def seekable(self) -> bool: ...
        async def tell(self) -> int: ...
        async def truncate(self, size: int | None = None, /) -> int: ...
        async def writable(self) -> bool: ...
        async def write(self, data: Any, /) -> int: ...
        async def writelines(self, lines: Iterable[Any], /) -> None: ...


@_reads("read1", "readinto")
@proxy_method_directly("detach", "readable")
@proxy_property_directly("raw")
class AsyncIndirectBufferedIOBase(_Indirect[bytes]):
    """A stream of bytes with a buffer, as ``sys.stdout.buffer``."""

    if TYPE_CHECKING:
        # As above.
        @property
        def raw(self) -> FileIO: ...
        def detach(self) -> FileIO: ...
        def readable(self) -> bool: ...
        async def read1(self, size: int = -1, /) -> bytes: ...
        async def write(self, data: ReadableBuffer, /) -> int: ...
        async def writelines(self, lines: Iterable[ReadableBuffer], /) -> None: ...
        async def readinto(self, buffer: WriteableBuffer, /) -> int: ...


@_calls("peek")
class AsyncIndirectBufferedReader(AsyncIndirectBufferedIOBase):
    """A stream of bytes with a buffer that is read, as ``sys.stdin.buffer``."""

    if TYPE_CHECKING:
        # As above.

        async def peek(self, size: int = 0, /) -> bytes: ...


@_reads("readall", "readinto")
@proxy_method_directly("readable")
class AsyncIndirectFileIO(_Indirect[bytes]):
    """A stream of bytes without a buffer."""

    if TYPE_CHECKING:
        # As above.
        def readable(self) -> bool: ...
        async def readall(self) -> bytes: ...
        async def write(self, data: ReadableBuffer, /) -> int: ...
        async def writelines(self, lines: Iterable[ReadableBuffer], /) -> None: ...
        async def readinto(self, buffer: WriteableBuffer, /) -> int: ...


@proxy_method_directly("detach")
@proxy_property_directly("buffer", "encoding", "errors", "line_buffering", "newlines")
class AsyncTextIndirectIOWrapper(_Indirect[str]):
    """A stream of text, as ``sys.stdin``."""

    if TYPE_CHECKING:
        # As above.
        @property
        def buffer(self) -> BinaryIO: ...
        @property
        def encoding(self) -> str: ...
        @property
        def errors(self) -> str | None: ...
        @property
        def line_buffering(self) -> bool: ...
        @property
        def newlines(self) -> str | tuple[str, ...] | None: ...
        def detach(self) -> BinaryIO: ...
        async def write(self, data: str, /) -> int: ...
        async def writelines(self, lines: Iterable[str], /) -> None: ...

    @answered_both_ways
    async def readable(self) -> bool:
        """Whether the stream can be read. The answer may be awaited, or taken as it is."""
        return bool(self._file.readable())
