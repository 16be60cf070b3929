"""The functions of os that touch the file system, as coroutine functions."""

import sys
from asyncio import AbstractEventLoop
from collections.abc import Sequence
from concurrent.futures import Executor
from os import stat_result
from typing import AnyStr, TypeAlias, overload

from _typeshed import (
    BytesPath,
    FileDescriptorLike,
    FileDescriptorOrPath,
    GenericPath,
    ReadableBuffer,
    StrOrBytesPath,
    StrPath,
    SupportsLenAndGetItem,
    WriteableBuffer,
)

from .. import ospath as _ospath
from ..base import wrap as wrap
from ._scandir import DirEntry as DirEntry
from ._scandir import scandir as scandir
from ._walk import walk as walk

if sys.platform != "win32":
    from os import statvfs_result

    from ._walk import fwalk as fwalk

path = _ospath

_Loop: TypeAlias = AbstractEventLoop | None
_Executor: TypeAlias = Executor | None

async def access(
    path: FileDescriptorOrPath,
    mode: int,
    *,
    dir_fd: int | None = None,
    effective_ids: bool = False,
    follow_symlinks: bool = True,
    loop: _Loop = None,
    executor: _Executor = None,
) -> bool: ...
async def chmod(
    path: FileDescriptorOrPath,
    mode: int,
    *,
    dir_fd: int | None = None,
    follow_symlinks: bool = ...,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
async def close(fd: int, *, loop: _Loop = None, executor: _Executor = None) -> None: ...
async def fstat(fd: int, *, loop: _Loop = None, executor: _Executor = None) -> stat_result: ...
async def fsync(fd: FileDescriptorLike, *, loop: _Loop = None, executor: _Executor = None) -> None: ...
async def ftruncate(fd: int, length: int, /, *, loop: _Loop = None, executor: _Executor = None) -> None: ...
async def getcwd(*, loop: _Loop = None, executor: _Executor = None) -> str: ...
async def getcwdb(*, loop: _Loop = None, executor: _Executor = None) -> bytes: ...
async def link(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
    follow_symlinks: bool = True,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
@overload
async def listdir(
    path: StrPath | None = None, *, loop: _Loop = None, executor: _Executor = None
) -> list[str]: ...
@overload
async def listdir(path: BytesPath, *, loop: _Loop = None, executor: _Executor = None) -> list[bytes]: ...
@overload
async def listdir(path: int, *, loop: _Loop = None, executor: _Executor = None) -> list[str]: ...
async def lstat(
    path: StrOrBytesPath, *, dir_fd: int | None = None, loop: _Loop = None, executor: _Executor = None
) -> stat_result: ...
async def makedirs(
    name: StrOrBytesPath,
    mode: int = 0o777,
    exist_ok: bool = False,
    *,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
async def mkdir(
    path: StrOrBytesPath,
    mode: int = 0o777,
    *,
    dir_fd: int | None = None,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
async def open(
    path: StrOrBytesPath,
    flags: int,
    mode: int = 0o777,
    *,
    dir_fd: int | None = None,
    loop: _Loop = None,
    executor: _Executor = None,
) -> int: ...
async def read(fd: int, length: int, /, *, loop: _Loop = None, executor: _Executor = None) -> bytes: ...
async def readlink(
    path: GenericPath[AnyStr], *, dir_fd: int | None = None, loop: _Loop = None, executor: _Executor = None
) -> AnyStr: ...
async def remove(
    path: StrOrBytesPath, *, dir_fd: int | None = None, loop: _Loop = None, executor: _Executor = None
) -> None: ...
async def removedirs(name: StrOrBytesPath, *, loop: _Loop = None, executor: _Executor = None) -> None: ...
async def rename(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
async def renames(
    old: StrOrBytesPath, new: StrOrBytesPath, *, loop: _Loop = None, executor: _Executor = None
) -> None: ...
async def replace(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
async def rmdir(
    path: StrOrBytesPath, *, dir_fd: int | None = None, loop: _Loop = None, executor: _Executor = None
) -> None: ...
async def stat(
    path: FileDescriptorOrPath,
    *,
    dir_fd: int | None = None,
    follow_symlinks: bool = True,
    loop: _Loop = None,
    executor: _Executor = None,
) -> stat_result: ...
async def symlink(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    target_is_directory: bool = False,
    *,
    dir_fd: int | None = None,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
async def truncate(
    path: FileDescriptorOrPath, length: int, *, loop: _Loop = None, executor: _Executor = None
) -> None: ...
async def unlink(
    path: StrOrBytesPath, *, dir_fd: int | None = None, loop: _Loop = None, executor: _Executor = None
) -> None: ...
async def utime(
    path: FileDescriptorOrPath,
    times: tuple[int, int] | tuple[float, float] | None = None,
    *,
    ns: tuple[int, int] = ...,
    dir_fd: int | None = None,
    follow_symlinks: bool = True,
    loop: _Loop = None,
    executor: _Executor = None,
) -> None: ...
async def write(
    fd: int, data: ReadableBuffer, /, *, loop: _Loop = None, executor: _Executor = None
) -> int: ...

if sys.platform != "win32":
    async def chown(
        path: FileDescriptorOrPath,
        uid: int,
        gid: int,
        *,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> None: ...
    async def fchown(
        fd: int, uid: int, gid: int, *, loop: _Loop = None, executor: _Executor = None
    ) -> None: ...
    async def fpathconf(
        fd: int, name: str | int, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> int: ...
    async def fstatvfs(fd: int, /, *, loop: _Loop = None, executor: _Executor = None) -> statvfs_result: ...
    async def lchown(
        path: StrOrBytesPath, uid: int, gid: int, *, loop: _Loop = None, executor: _Executor = None
    ) -> None: ...
    async def lockf(
        fd: int, command: int, length: int, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> None: ...
    async def mkfifo(
        path: StrOrBytesPath,
        mode: int = 0o666,
        *,
        dir_fd: int | None = None,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> None: ...
    async def mknod(
        path: StrOrBytesPath,
        mode: int = 0o600,
        device: int = 0,
        *,
        dir_fd: int | None = None,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> None: ...
    async def pathconf(
        path: FileDescriptorOrPath, name: str | int, *, loop: _Loop = None, executor: _Executor = None
    ) -> int: ...
    async def pread(
        fd: int, length: int, offset: int, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> bytes: ...
    async def preadv(
        fd: int,
        buffers: SupportsLenAndGetItem[WriteableBuffer],
        offset: int,
        flags: int = 0,
        /,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...
    async def pwrite(
        fd: int, buffer: ReadableBuffer, offset: int, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> int: ...
    async def pwritev(
        fd: int,
        buffers: SupportsLenAndGetItem[ReadableBuffer],
        offset: int,
        flags: int = 0,
        /,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...
    async def readv(
        fd: int,
        buffers: SupportsLenAndGetItem[WriteableBuffer],
        /,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...
    async def statvfs(
        path: FileDescriptorOrPath, *, loop: _Loop = None, executor: _Executor = None
    ) -> statvfs_result: ...
    async def sync(*, loop: _Loop = None, executor: _Executor = None) -> None: ...
    async def writev(
        fd: int,
        buffers: SupportsLenAndGetItem[ReadableBuffer],
        /,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...

if sys.platform != "win32" or sys.version_info >= (3, 13):
    async def fchmod(fd: int, mode: int, *, loop: _Loop = None, executor: _Executor = None) -> None: ...

if sys.platform != "linux" and (sys.platform != "win32" or sys.version_info >= (3, 13)):
    async def lchmod(
        path: StrOrBytesPath, mode: int, *, loop: _Loop = None, executor: _Executor = None
    ) -> None: ...

if sys.platform != "win32" and sys.platform != "linux":
    async def chflags(
        path: StrOrBytesPath,
        flags: int,
        follow_symlinks: bool = True,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> None: ...
    async def lchflags(
        path: StrOrBytesPath, flags: int, *, loop: _Loop = None, executor: _Executor = None
    ) -> None: ...
    async def sendfile(
        out_fd: int,
        in_fd: int,
        offset: int,
        count: int,
        headers: Sequence[ReadableBuffer] = (),
        trailers: Sequence[ReadableBuffer] = (),
        flags: int = 0,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...

if sys.platform != "win32" and sys.platform != "darwin":
    async def fdatasync(
        fd: FileDescriptorLike, *, loop: _Loop = None, executor: _Executor = None
    ) -> None: ...
    async def posix_fadvise(
        fd: int,
        offset: int,
        length: int,
        advice: int,
        /,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> None: ...
    async def posix_fallocate(
        fd: int, offset: int, length: int, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> None: ...

if sys.platform == "linux":
    async def copy_file_range(
        src: int,
        dst: int,
        count: int,
        offset_src: int | None = None,
        offset_dst: int | None = None,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...
    async def getxattr(
        path: FileDescriptorOrPath,
        attribute: StrOrBytesPath,
        *,
        follow_symlinks: bool = True,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> bytes: ...
    async def listxattr(
        path: FileDescriptorOrPath | None = None,
        *,
        follow_symlinks: bool = True,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> list[str]: ...
    async def removexattr(
        path: FileDescriptorOrPath,
        attribute: StrOrBytesPath,
        *,
        follow_symlinks: bool = True,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> None: ...
    async def sendfile(
        out_fd: int,
        in_fd: int,
        offset: int | None,
        count: int,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...
    async def setxattr(
        path: FileDescriptorOrPath,
        attribute: StrOrBytesPath,
        value: ReadableBuffer,
        flags: int = 0,
        *,
        follow_symlinks: bool = True,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> None: ...
    async def splice(
        src: int,
        dst: int,
        count: int,
        offset_src: int | None = None,
        offset_dst: int | None = None,
        flags: int = 0,
        *,
        loop: _Loop = None,
        executor: _Executor = None,
    ) -> int: ...

if sys.platform == "win32" and sys.version_info >= (3, 12):
    async def listdrives(*, loop: _Loop = None, executor: _Executor = None) -> list[str]: ...
    async def listmounts(volume: str, *, loop: _Loop = None, executor: _Executor = None) -> list[str]: ...
    async def listvolumes(*, loop: _Loop = None, executor: _Executor = None) -> list[str]: ...

if sys.version_info >= (3, 14):
    async def readinto(
        fd: int, buffer: WriteableBuffer, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> int: ...

if sys.version_info >= (3, 11):
    async def lseek(
        fd: int, position: int, whence: int, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> int: ...

else:
    async def lseek(
        fd: int, position: int, how: int, /, *, loop: _Loop = None, executor: _Executor = None
    ) -> int: ...
