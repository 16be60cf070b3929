"""What a type checker knows of aiofile.os. Never run: `mypy --strict` reads it with the other tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiofile
import aiofile.os.path
import aiofile.ospath

if TYPE_CHECKING:
    import os
    from concurrent.futures import Executor
    from pathlib import Path

    from typing_extensions import assert_type

    from aiofile.os.path import exists, getsize, realpath

    async def the_calls_give_what_those_of_os_give(path: Path, executor: Executor) -> None:
        assert_type(await aiofile.os.stat(path, follow_symlinks=False, executor=executor), os.stat_result)
        assert_type(await aiofile.os.listdir(path), list[str])
        assert_type(await aiofile.os.listdir(b"folder"), list[bytes])
        assert_type(await aiofile.os.listdir(3), list[str])
        assert_type(await aiofile.os.readlink(path), str)
        assert_type(await aiofile.os.readlink(b"link"), bytes)
        assert_type(await aiofile.os.statvfs(path), os.statvfs_result)
        fd = await aiofile.os.open(path, os.O_RDONLY, dir_fd=3)
        assert_type(fd, int)
        assert_type(await aiofile.os.pread(fd, 10, 0), bytes)
        assert_type(await aiofile.os.preadv(fd, [bytearray(3)], 0), int)
        await aiofile.os.fsync(fd)
        await aiofile.os.utime(path, ns=(1, 2))

    async def the_functions_of_paths_are_the_same_by_either_name(path: Path) -> None:
        assert_type(await exists(path), bool)
        assert_type(await getsize(path), int)
        assert_type(await realpath(path, strict=True), str)
        assert_type(await aiofile.os.path.abspath(b"file"), bytes)
        assert_type(await aiofile.ospath.lexists(path), bool)

    async def a_walk_gives_names_of_the_kind_of_its_top(path: Path) -> None:
        async for walked in aiofile.os.walk(path, topdown=False):
            assert_type(walked, tuple[str, list[str], list[str]])
        async for of_bytes in aiofile.os.walk(b"folder"):
            assert_type(of_bytes, tuple[bytes, list[bytes], list[bytes]])
        async for by_descriptor in aiofile.os.fwalk(dir_fd=3):
            assert_type(by_descriptor, tuple[str, list[str], list[str], int])
        await aiofile.os.walk(path).aclose()

    async def a_directory_is_read_in_either_dialect(path: Path) -> None:
        async for entry in aiofile.os.scandir(path):
            assert_type(entry, aiofile.os.DirEntry[str])
            assert_type(entry.name, str)
            assert_type(await entry.is_dir(follow_symlinks=False), bool)
            assert_type(await entry.stat(), os.stat_result)
        async with aiofile.os.scandir(b"folder") as entries:
            async for other in entries:
                assert_type(other.path, bytes)
        with await aiofile.os.scandir(path) as blocking:
            for one in blocking:
                assert_type(one, os.DirEntry[str])

    async def mistakes_are_seen(path: Path) -> None:
        await aiofile.os.stat(path, nothing=1)  # type: ignore[call-arg]
        await aiofile.os.mkdir(path, "0700")  # type: ignore[arg-type]
        aiofile.os.chdir(path)  # type: ignore[attr-defined]
        await aiofile.os.stat(path, executor="pool")  # type: ignore[arg-type]
        for _ in aiofile.os.walk(path):  # type: ignore[attr-defined]
            pass
