"""A file system that a test has put in the place of the real one is the one that is used."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem_unittest import Patcher

import aiofile
import aiofile.os
from support import child, run, succeed

FOLDER = "/of a file system that is not there"


@pytest.fixture
def fake() -> Iterator[None]:
    with Patcher():
        yield
    assert not os.path.exists(FOLDER)
    # Asked past all that could still be patched.
    assert subprocess.run(["test", "-e", FOLDER], check=False).returncode == 1


@pytest.mark.usefixtures("fake")
def test_files_are_written_and_read_in_it() -> None:
    async def check() -> None:
        await aiofile.os.mkdir(FOLDER)
        async with aiofile.open(f"{FOLDER}/file", "w") as file:
            await file.write("first\nsecond\n")
        async with aiofile.open(f"{FOLDER}/file") as file:
            assert [line async for line in file] == ["first\n", "second\n"]
        with pytest.raises(FileNotFoundError, match="missing"):
            await aiofile.open(f"{FOLDER}/missing")

    run(check())


@pytest.mark.usefixtures("fake")
def test_its_directories_are_listed_and_walked() -> None:
    async def check() -> None:
        await aiofile.os.makedirs(f"{FOLDER}/a/b")
        fd = await aiofile.os.open(f"{FOLDER}/a/file", os.O_RDWR | os.O_CREAT)
        assert await aiofile.os.write(fd, b"0123456789") == 10
        await aiofile.os.close(fd)
        assert (await aiofile.os.stat(f"{FOLDER}/a/file")).st_size == 10
        assert await aiofile.os.path.getsize(f"{FOLDER}/a/file") == 10
        assert not await aiofile.os.path.exists(f"{FOLDER}/missing")
        found = {entry.name: await entry.is_dir() async for entry in aiofile.os.scandir(f"{FOLDER}/a")}
        assert found == {"b": True, "file": False}
        with await aiofile.os.scandir(f"{FOLDER}/a") as entries:
            assert {entry.name for entry in entries} == {"b", "file"}
        walked = [names async for _, *names in aiofile.os.walk(FOLDER)]
        assert walked == [[["a"], []], [["b"], ["file"]], [[], []]]

    run(check())


def test_files_of_bytes_are_changed_in_it() -> None:
    async def check() -> None:
        await aiofile.os.mkdir(FOLDER)
        async with aiofile.open(f"{FOLDER}/file", "wb") as file:
            assert await file.write(b"0123456789" * 20_000) == 200_000
        async with aiofile.open(f"{FOLDER}/file", "r+b") as file:
            await file.seek(199_990)
            assert await file.read() == b"0123456789"
            await file.truncate(5)
        async with aiofile.open(f"{FOLDER}/file", "ab", buffering=0) as file:
            await file.write(b"!")
        with open(f"{FOLDER}/file", "rb") as same:
            assert same.read() == b"01234!"

    with Patcher():
        run(check())
    assert not os.path.exists(FOLDER)


def test_the_files_of_the_disk_are_as_they_were_when_it_is_left(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("real")

    async def inside() -> None:
        with pytest.raises(FileNotFoundError):
            await aiofile.open(path)
        await aiofile.os.makedirs(tmp_path)
        async with aiofile.open(path, "x") as file:
            await file.write("faked")
        await aiofile.os.replace(path, path.with_name("g"))
        assert await aiofile.os.listdir(tmp_path) == ["g"]

    async def outside() -> None:
        async with aiofile.open(path) as file:
            assert await file.read() == "real"
            assert file._stack is None, "the file is not a native one again"

    with Patcher():
        run(inside())
    run(outside())
    assert os.listdir(tmp_path) == ["f"]


def test_modules_that_are_first_used_in_it_work_on_the_disk_when_it_is_left(tmp_path: Path) -> None:
    program = """
        import asyncio, os, sys
        from pyfakefs.fake_filesystem_unittest import Patcher
        import aiofile

        async def make(folder):
            await aiofile.os.makedirs(folder)
            assert await aiofile.os.path.isdir(folder)
            assert await aiofile.ospath.isdir(folder)
            assert aiofile.tempfile

        for _ in range(2):
            with Patcher():
                asyncio.run(make(sys.argv[1]))
            assert not os.path.exists(sys.argv[1])
        asyncio.run(make(sys.argv[1]))
        assert os.path.isdir(sys.argv[1])
        assert aiofile.os is aiofile.os is sys.modules["aiofile.os"]
    """
    assert succeed(child(program, str(tmp_path / "made"))) == ""
