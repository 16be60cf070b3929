"""Temporary files and directories, with the arguments of :mod:`tempfile`."""

import sys
from asyncio import AbstractEventLoop
from concurrent.futures import Executor
from typing import Any, AnyStr, Literal, TypeAlias, overload

from _typeshed import BytesPath, StrOrBytesPath, StrPath

from .._binary_file import AsyncBufferedIOBase, AsyncBufferedReader, AsyncFileIO
from .._mode_types import BinaryMode, ReadingMode, TextMode, UpdatingMode, WritingMode
from .._opening import AiofilesContextManager
from .._text_file import TextFile
from .temptypes import AsyncSpooledTemporaryFile as AsyncSpooledTemporaryFile
from .temptypes import AsyncTemporaryDirectory as AsyncTemporaryDirectory

__all__ = ["NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory", "TemporaryFile"]

Loop: TypeAlias = AbstractEventLoop

if sys.version_info >= (3, 12):
    @overload
    def NamedTemporaryFile(
        mode: TextMode,
        buffering: int = -1,
        encoding: str | None = None,
        newline: str | None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        delete_on_close: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: str | None = None,
    ) -> AiofilesContextManager[TextFile]: ...
    @overload
    def NamedTemporaryFile(
        mode: BinaryMode,
        buffering: Literal[0],
        encoding: None = None,
        newline: None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        delete_on_close: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: None = None,
    ) -> AiofilesContextManager[AsyncFileIO]: ...
    @overload
    def NamedTemporaryFile(
        mode: ReadingMode | UpdatingMode = "w+b",
        buffering: Literal[-1, 1] = -1,
        encoding: None = None,
        newline: None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        delete_on_close: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: None = None,
    ) -> AiofilesContextManager[AsyncBufferedReader]: ...
    @overload
    def NamedTemporaryFile(
        mode: WritingMode,
        buffering: Literal[-1, 1] = -1,
        encoding: None = None,
        newline: None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        delete_on_close: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: None = None,
    ) -> AiofilesContextManager[AsyncBufferedIOBase]: ...
else:
    @overload
    def NamedTemporaryFile(
        mode: TextMode,
        buffering: int = -1,
        encoding: str | None = None,
        newline: str | None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: str | None = None,
    ) -> AiofilesContextManager[TextFile]: ...
    @overload
    def NamedTemporaryFile(
        mode: BinaryMode,
        buffering: Literal[0],
        encoding: None = None,
        newline: None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: None = None,
    ) -> AiofilesContextManager[AsyncFileIO]: ...
    @overload
    def NamedTemporaryFile(
        mode: ReadingMode | UpdatingMode = "w+b",
        buffering: Literal[-1, 1] = -1,
        encoding: None = None,
        newline: None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: None = None,
    ) -> AiofilesContextManager[AsyncBufferedReader]: ...
    @overload
    def NamedTemporaryFile(
        mode: WritingMode,
        buffering: Literal[-1, 1] = -1,
        encoding: None = None,
        newline: None = None,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: StrOrBytesPath | None = None,
        delete: bool = True,
        loop: Loop | None = None,
        executor: Executor | None = None,
        *,
        errors: None = None,
    ) -> AiofilesContextManager[AsyncBufferedIOBase]: ...

@overload
def TemporaryFile(
    mode: TextMode,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: StrOrBytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: str | None = None,
) -> AiofilesContextManager[TextFile]: ...
@overload
def TemporaryFile(
    mode: BinaryMode,
    buffering: Literal[0],
    encoding: None = None,
    newline: None = None,
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: StrOrBytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: None = None,
) -> AiofilesContextManager[AsyncFileIO]: ...
@overload
def TemporaryFile(
    mode: ReadingMode | UpdatingMode = "w+b",
    buffering: Literal[-1, 1] = -1,
    encoding: None = None,
    newline: None = None,
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: StrOrBytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: None = None,
) -> AiofilesContextManager[AsyncBufferedReader]: ...
@overload
def TemporaryFile(
    mode: WritingMode,
    buffering: Literal[-1, 1] = -1,
    encoding: None = None,
    newline: None = None,
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: StrOrBytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: None = None,
) -> AiofilesContextManager[AsyncBufferedIOBase]: ...
@overload
def SpooledTemporaryFile(
    max_size: int = 0,
    *,
    mode: TextMode,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: StrOrBytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    errors: str | None = None,
) -> AiofilesContextManager[AsyncSpooledTemporaryFile[str]]: ...
@overload
def SpooledTemporaryFile(
    max_size: int,
    mode: TextMode,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: StrOrBytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: str | None = None,
) -> AiofilesContextManager[AsyncSpooledTemporaryFile[str]]: ...
@overload
def SpooledTemporaryFile(
    max_size: int = 0,
    mode: BinaryMode = "w+b",
    buffering: int = -1,
    encoding: None = None,
    newline: None = None,
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: StrOrBytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    errors: None = None,
) -> AiofilesContextManager[AsyncSpooledTemporaryFile[bytes]]: ...
@overload
def TemporaryDirectory(
    suffix: str | None = None,
    prefix: str | None = None,
    dir: StrPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    ignore_cleanup_errors: bool = False,
    delete: bool = True,
) -> AiofilesContextManagerTempDir: ...
@overload
def TemporaryDirectory(
    suffix: bytes | None = None,
    prefix: bytes | None = None,
    dir: BytesPath | None = None,
    loop: Loop | None = None,
    executor: Executor | None = None,
    *,
    ignore_cleanup_errors: bool = False,
    delete: bool = True,
) -> AiofilesContextManagerTempDir: ...

class AiofilesContextManagerTempDir(AiofilesContextManager[Any]):
    async def __aenter__(self) -> str: ...

def wrap(
    base_io_obj: Any, file: Any, *, loop: Loop | None = None, executor: Executor | None = None
) -> Any: ...
