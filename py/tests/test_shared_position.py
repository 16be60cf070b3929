"""Operations without an offset move the position that others share, just as those of ``io`` do."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, run, succeed

BLOCK = 4096

#: What both players do with an unbuffered file that may not become larger than this.
LIMIT = 100_000

SHORT = f"""
    import aiofile, asyncio, errno, io, os, resource, signal, sys

    folder, how = sys.argv[1:]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, resource.RLIM_INFINITY))
    FLAGS = {{
        "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
        "r+b": os.O_RDWR | os.O_CREAT,
        "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        "adopted": os.O_RDWR | os.O_CREAT,
        "appending": os.O_RDWR | os.O_CREAT | os.O_APPEND,
    }}
    MODES = {{"adopted": "r+b", "appending": "r+b"}}

    async def play(library, name):
        path = os.path.join(folder, name)
        with open(path, "wb") as before:
            before.write(b"before")
        fd = os.open(path, FLAGS[how])
        other = os.dup(fd)
        if how == "adopted":
            os.lseek(fd, 3, os.SEEK_SET)
        mode = MODES.get(how, how)

        async def do(call, *arguments):
            try:
                result = call(*arguments)
                if library is aiofile:
                    result = await result
            except OSError as error:
                result = errno.errorcode[error.errno]
            said.append((call.__name__, result, os.lseek(other, 0, os.SEEK_CUR), os.path.getsize(path)))

        said = []
        if library is aiofile:
            file = await aiofile.open(fd, mode, 0)
        else:
            file = io.open(fd, mode, 0)
        await do(file.tell)
        await do(file.write, b"A" * 50_000)
        await do(file.write, b"B" * 300_000)
        await do(file.tell)
        await do(file.write, b"C" * 10)
        await do(file.write, b"D" * 300_000)
        await do(file.tell)
        if "r+" in mode:
            await do(file.seek, {LIMIT} - 5)
            await do(file.read, 3)
            await do(file.write, b"E" * 10)
            await do(file.write, b"F")
            await do(file.seek, 10)
            await do(file.read, 70_000)
            await do(file.read, 70_000)
            await do(file.read)
        # Whoever has the other descriptor goes on from there.
        os.lseek(other, -7, os.SEEK_CUR)
        await do(file.write, b"G" * 20)
        await do(file.close)
        os.close(other)
        with open(path, "rb") as after:
            return said, after.read()

    ours, theirs = asyncio.run(play(aiofile, "ours")), asyncio.run(play(io, "theirs"))
    for our, their in zip(ours[0], theirs[0], strict=True):
        assert our == their, (our, their)
    assert ours[1] == theirs[1]
    print(len(ours[0]), sum(result == "EFBIG" for _, result, _, _ in ours[0]) > 0)
"""


@pytest.mark.parametrize("how", ["wb", "r+b", "ab", "adopted", "appending"])
def test_an_unbuffered_write_that_is_short_leaves_the_position_behind_it(tmp_path: Path, how: str) -> None:
    count, refused = succeed(child(SHORT, str(tmp_path), how)).split()
    assert int(count) >= 9
    assert refused == "True"


@pytest.mark.parametrize("buffering", [-1, 512])
def test_what_is_appended_goes_to_the_end_after_a_short_write(tmp_path: Path, buffering: int) -> None:
    program = f"""
        import aiofile, asyncio, errno, os, resource, signal, sys

        path, buffering = sys.argv[1], int(sys.argv[2])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, limits[1]))

        async def main():
            with open(path, "wb") as before:
                before.write(b"before")
            file = await aiofile.open(path, "ab", buffering)
            other = os.dup(file.fileno())
            try:
                await file.write(b"A" * 300_000)
            except OSError as error:
                assert error.errno == errno.EFBIG
            else:
                raise AssertionError("written")
            assert os.lseek(other, 0, os.SEEK_CUR) == os.path.getsize(path) == {LIMIT}
            assert await file.tell() == {LIMIT}
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            await file.write(b"end")
            await file.close()
            assert os.lseek(other, 0, os.SEEK_CUR) == {LIMIT} + 3
            os.close(other)
            with open(path, "rb") as after:
                print(after.read() == b"before" + b"A" * ({LIMIT} - 6) + b"end")

        asyncio.run(main())
    """
    assert succeed(child(program, str(tmp_path / "f"), str(buffering))) == "True\n"


@pytest.mark.parametrize("size", [BLOCK, 300_000])
@pytest.mark.parametrize("mode", ["r+b", "ab"])
def test_two_who_write_to_one_open_file_do_not_write_over_each_other(
    tmp_path: Path, mode: Any, size: int
) -> None:
    path, rounds = tmp_path / "f", 200
    path.touch()
    program = """
        import os, sys
        fd, size, rounds = map(int, sys.argv[1:])
        os.read(0, 1)
        for _ in range(rounds):
            assert os.write(fd, b"o" * size) == size
    """

    async def main() -> None:
        flags = os.O_RDWR | (os.O_APPEND if mode == "ab" else 0)
        fd = os.open(path, flags)
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(program),
            *map(str, (fd, size, rounds)),
            pass_fds=(fd,),
            stdin=asyncio.subprocess.PIPE,
        )
        async with aiofile.open(fd, mode, 0) as file:
            assert other.stdin is not None
            other.stdin.write(b"x")
            for _ in range(rounds):
                assert await file.write(b"w" * size) == size
            assert await other.wait() == 0
            assert os.lseek(fd, 0, os.SEEK_CUR) == 2 * rounds * size

    run(main())
    content = path.read_bytes()
    assert len(content) == 2 * rounds * size
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    assert all(block in (b"w" * size, b"o" * size) for block in blocks)
    assert sum(block[:1] == b"w" for block in blocks) == rounds
