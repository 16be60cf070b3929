"""Temporary files and directories."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from aiofile import tempfile
from aiofile.threadpool.binary import AsyncBufferedReader, AsyncFileIO
from aiofile.threadpool.text import AsyncTextIOWrapper
from support import CountingExecutor, descriptors, run


@pytest.mark.parametrize("kind", ["TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"])
@pytest.mark.parametrize("mode", ["w+", "r+", "w+b", "rb+"])
@pytest.mark.parametrize("executor", [None, CountingExecutor])
def test_what_is_written_is_read_back(kind: str, mode: str, executor: Any) -> None:
    line: Any = b"line\n" if "b" in mode else "line\n"

    async def check() -> None:
        async with getattr(tempfile, kind)(mode=mode, executor=executor and executor()) as file:
            await file.writelines([line] * 3)
            await file.seek(0)
            assert [each async for each in file] == [line] * 3
            await file.seek(2)
            await file.truncate()
            await file.seek(0)
            assert await file.read() == line[:2]
        assert file.closed

    before = descriptors()
    run(check())
    gc.collect()
    assert {each for each in descriptors() - before if "deleted" in each} == set()


def test_files_with_a_descriptor_are_native(tmp_path: Path) -> None:
    async def check() -> None:
        async with tempfile.TemporaryFile(dir=tmp_path) as unnamed:
            assert isinstance(unnamed, AsyncBufferedReader)
            assert unnamed._stack is None
            assert isinstance(unnamed.name, int)
        async with tempfile.NamedTemporaryFile(
            "w", dir=tmp_path, errors="replace", encoding="ascii"
        ) as named:
            assert isinstance(named, AsyncTextIOWrapper)
            assert named._stack is None
            assert named.errors == "replace"
            assert os.path.dirname(str(named.name)) == str(tmp_path)
            await named.write("é")
            await named.flush()
            assert Path(str(named.name)).read_bytes() == b"?"
        async with tempfile.TemporaryFile("w+b", 0, dir=tmp_path) as raw:
            assert isinstance(raw, AsyncFileIO)

    run(check())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("delete", [True, False])
def test_a_named_file_goes_when_it_is_closed_if_it_is_to(tmp_path: Path, delete: bool) -> None:
    async def check() -> str:
        file = await tempfile.NamedTemporaryFile(prefix="a", suffix="z", dir=tmp_path, delete=delete)
        name = str(os.path.basename(str(file.name)))
        assert (name[0], name[-1]) == ("a", "z")
        await file.write(b"content")
        assert (tmp_path / name).exists()
        await file.close()
        await file.close()
        return name

    name = run(check())
    assert (tmp_path / name).exists() != delete
    if not delete:
        assert (tmp_path / name).read_bytes() == b"content"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="delete_on_close came with Python 3.12")
def test_a_named_file_can_be_opened_again_until_it_is_left() -> None:
    async def check() -> None:
        options: Any = {"delete_on_close": False}
        async with tempfile.NamedTemporaryFile(**options) as file:
            await file.write(b"content")
            await file.close()
            assert Path(file.name).read_bytes() == b"content"
        assert not Path(file.name).exists()

    run(check())


@pytest.mark.parametrize(
    ("kind", "more"),
    [("TemporaryFile", {}), ("NamedTemporaryFile", {}), ("NamedTemporaryFile", {"delete": False})],
)
def test_bad_arguments_leave_nothing(tmp_path: Path, kind: str, more: dict[str, Any]) -> None:
    async def check() -> None:
        for options in ({"mode": "q"}, {"encoding": "utf-8"}, {"mode": "w", "buffering": 0}):
            with pytest.raises(ValueError, match=r"mode|buffer"):
                await getattr(tempfile, kind)(dir=tmp_path, **options, **more)
        with pytest.raises(FileNotFoundError):
            await getattr(tempfile, kind)(dir=tmp_path / "missing")

    before = descriptors()
    run(check())
    assert not list(tmp_path.iterdir())
    assert {each for each in descriptors() - before if str(tmp_path) in each} == set()


@pytest.mark.parametrize("executor", [None, CountingExecutor])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("TemporaryFile", {}),
        ("NamedTemporaryFile", {}),
        ("NamedTemporaryFile", {"delete": False}),
        ("TemporaryDirectory", {}),
    ],
)
def test_making_one_that_is_cancelled_leaves_nothing(
    tmp_path: Path, kind: str, options: dict[str, bool], executor: Any
) -> None:
    async def check() -> None:
        threads = executor and executor()
        cancelled = 0
        for turns in range(1, 30):
            task = asyncio.ensure_future(
                _made(getattr(tempfile, kind)(dir=tmp_path, executor=threads, **options))
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(result, BaseException):
                await result.close()
                if options:
                    os.unlink(result.name)
            cancelled += isinstance(result, asyncio.CancelledError)
        assert cancelled
        if threads is not None:
            threads.shutdown()

    async def _made(opening: Any) -> Any:
        return await opening

    before = descriptors()
    # The end of the run waits for the threads of the executor.
    run(check())
    gc.collect()
    assert not list(tmp_path.iterdir())
    assert {each for each in descriptors() - before if str(tmp_path) in each} == set()


def test_a_spooled_file_is_in_memory_until_it_is_too_large() -> None:
    async def check() -> None:
        async with tempfile.SpooledTemporaryFile(max_size=10) as file:
            await file.write(b"12345")
            assert isinstance(file._file._file, io.BytesIO)
            await file.write(b"6789012")
            assert not isinstance(file._file._file, io.BytesIO)
            await file.seek(0)
            assert await file.read() == b"123456789012"
            if sys.version_info >= (3, 11):  # Before, the file of `tempfile` has no readinto.
                await file.seek(0)
                buffer = bytearray(20)
                assert await file.readinto(buffer) == 12
                assert buffer[:12] == b"123456789012"
        async with tempfile.SpooledTemporaryFile() as unlimited:
            await unlimited.write(b"x" * 1_000_000)
            assert isinstance(unlimited._file._file, io.BytesIO)
            assert isinstance(await unlimited.fileno(), int)
            assert not isinstance(unlimited._file._file, io.BytesIO)

    run(check())


def test_a_directory_goes_with_its_contents(tmp_path: Path) -> None:
    async def check() -> None:
        async with tempfile.TemporaryDirectory(prefix="a", suffix="z", dir=tmp_path) as path:
            (Path(path) / "file").write_text("content")
        assert not Path(path).exists()
        directory = await tempfile.TemporaryDirectory(dir=tmp_path, ignore_cleanup_errors=True)
        assert Path(directory.name).is_dir()
        await directory.cleanup()
        assert not Path(directory.name).exists()

    run(check())


def test_the_wrap_of_this_module_knows_fewer_types() -> None:
    with pytest.raises(TypeError, match="Unsupported IO type"):
        tempfile.wrap(io.BytesIO(), io.BytesIO())
