"""A file system that a test has put in the place of the real one is the one that is used."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyfakefs.fake_filesystem_unittest import Patcher

import aiofile
import aiofile.os
import aiofile.tempfile
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


@pytest.mark.parametrize("kind", ["NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"])
@pytest.mark.parametrize(
    "form",
    [{}, {"buffering": 0}, {"mode": "w+", "encoding": "utf-16", "newline": ""}],
    ids=["buffered", "unbuffered", "text"],
)
def test_temporary_files_are_made_in_it(kind: str, form: dict[str, Any]) -> None:
    content: Any = "some\nlines\n" if "encoding" in form else b"some\nlines\n"

    async def check() -> None:
        await aiofile.os.makedirs(FOLDER)
        async with getattr(aiofile.tempfile, kind)(dir=FOLDER, **form) as file:
            await file.write(content)
            await file.flush()
            assert await file.seek(0) == 0
            assert await file.read() == content
            await file.seek(0)
            assert [line async for line in file] == content.splitlines(True)
            if kind == "NamedTemporaryFile":
                with open(file.name, "rb") as same:
                    assert same.read() == (content.encode("utf-16") if "encoding" in form else content)
            elif kind == "SpooledTemporaryFile":
                assert os.listdir(FOLDER) == []
                await file.rollover()
                await file.seek(0)
                assert await file.readline() == content.splitlines(True)[0]
        assert file.closed
        if kind == "NamedTemporaryFile":
            assert os.listdir(FOLDER) == []

    with Patcher():
        run(check())
    assert not os.path.exists(FOLDER)


@pytest.mark.usefixtures("fake")
def test_a_named_temporary_file_stays_in_it_if_it_is_to() -> None:
    async def check() -> None:
        async with aiofile.tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
            await file.write("kept")
        async with aiofile.open(file.name) as same:
            assert await same.read() == "kept"
        assert str(file.name).endswith(".txt")

    run(check())


def test_temporary_directories_are_made_in_it(tmp_path: Path) -> None:
    async def check() -> None:
        await aiofile.os.makedirs(tmp_path)
        async with aiofile.tempfile.TemporaryDirectory(dir=tmp_path) as name:
            assert await aiofile.os.listdir(tmp_path) == [os.path.basename(name)]
            async with aiofile.open(f"{name}/file", "wb") as file:
                await file.write(b"content")
        assert await aiofile.os.listdir(tmp_path) == []

    with Patcher():
        run(check())
    assert os.listdir(tmp_path) == []

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
