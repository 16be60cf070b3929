"""A file system that a test has put in the place of the real one is the one that is used."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from pyfakefs.fake_filesystem_unittest import Patcher

import aiofile
import aiofile.os
from support import run

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
