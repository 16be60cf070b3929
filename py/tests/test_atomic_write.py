"""Files that appear as a whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gzip
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import LONGEST_WAIT, child, run, succeed, until


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("durability", ["none", "data", "full"])
def test_the_content_appears_when_the_block_ends(tmp_path: Path, durability: Any) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        for old, new in ((None, "first\n"), ("first\n", "second é\n")):
            writing = aiofile.atomic_write(path, encoding="utf-8", durability=durability)
            async with writing as file:
                assert await file.write(new) == len(new)
                await file.flush()
                assert (path.read_text("utf-8") if path.exists() else None) == old
                assert file.name == str(path)
            assert path.read_text("utf-8") == new
            assert names(tmp_path) == ["file"]
            assert file.closed

    run(main())


def test_every_mode_that_writes_anew_is_taken_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        async with aiofile.atomic_write(path, "wb") as file:
            await file.write(b"bytes")
        assert path.read_bytes() == b"bytes"
        async with aiofile.atomic_write(path, "w+b") as both:
            await both.write(b"0123")
            await both.seek(1)
            assert await both.read(2) == b"12"
            await both.truncate(2)
        assert path.read_bytes() == b"01"
        for mode in ("r", "r+", "a", "ab", "", "wx"):
            with pytest.raises(ValueError, match="mode"):
                await aiofile.atomic_write(path, mode).__aenter__()  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="durability"):
            await aiofile.atomic_write(path, durability="some").__aenter__()  # type: ignore[call-overload]
        with pytest.raises(LookupError):
            await aiofile.atomic_write(path, encoding="no-such-codec").__aenter__()
        with pytest.raises(IsADirectoryError):
            await aiofile.atomic_write(tmp_path).__aenter__()
        with pytest.raises(FileNotFoundError):
            await aiofile.atomic_write(tmp_path / "no" / "file").__aenter__()

    run(main())
    assert path.read_bytes() == b"01"
    assert names(tmp_path) == ["file"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    async def main() -> None:
        async with aiofile.atomic_write(path) as file:
            await file.write("new" * 100_000)
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            run(main())
        assert path.read_text() == "old"
        assert names(tmp_path) == ["file"]


def test_a_cancelled_block_leaves_the_old_file_whenever_it_is_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    outcomes = set()

    async def write() -> None:
        async with aiofile.atomic_write(path, durability="data") as file:
            for _ in range(3):
                await file.write("new" * 100_000)
                await asyncio.sleep(0)

    async def main(turns: int) -> None:
        path.write_text("old")
        task = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
            ended = True
        except asyncio.CancelledError:
            ended = False
        content = path.read_text()
        assert content in {"old", "new" * 300_000}
        assert not ended or content != "old"
        assert names(tmp_path) == ["file"]
        outcomes.add(content == "old")

    for turns in range(60):
        run(main(turns))
    assert True in outcomes


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    program = textwrap.dedent("""
        import asyncio, errno, os, resource, signal, sys
        import aiofile

        async def main():
            try:
                async with aiofile.atomic_write(sys.argv[1], "wb") as file:
                    await file.write(bytes(int(sys.argv[2])))
            except OSError as error:
                assert error.errno == errno.EFBIG, error
            else:
                raise AssertionError("it was written")

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        asyncio.run(main())
    """)
    # While the block runs, and when the file is closed.
    for size in (1_000_000, 1500):
        subprocess.run([sys.executable, "-c", program, path, str(size)], check=True)
        assert path.read_text() == "old"
        assert names(tmp_path) == ["file"]


def test_two_writers_at_once_are_each_whole_and_the_last_to_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        async with aiofile.atomic_write(path) as first:
            await first.write("first")
            async with aiofile.atomic_write(path) as second:
                await second.write("second")
                assert len(names(tmp_path)) == 2
            assert path.read_text() == "second"
        assert path.read_text() == "first"

        async def write(number: int) -> None:
            async with aiofile.atomic_write(path, "wb") as file:
                for _ in range(10):
                    await file.write(bytes([number]) * 50_000)
                    await asyncio.sleep(0)

        await asyncio.gather(*map(write, range(20)))
        content = path.read_bytes()
        assert len(content) == 500_000
        assert len(set(content)) == 1

    run(main())
    assert names(tmp_path) == ["file"]


def test_a_name_that_was_to_be_new_and_is_taken_meanwhile_raises(tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        async with aiofile.atomic_write(path, "x") as file:
            await file.write("new")
        assert path.read_text() == "new"
        with pytest.raises(FileExistsError):
            await aiofile.atomic_write(path, "x").__aenter__()
        path.unlink()

        async def late() -> None:
            async with aiofile.atomic_write(path, "xb") as file:
                await file.write(b"late")
                path.write_text("somebody else's")

        with pytest.raises(FileExistsError):
            await late()
        assert path.read_text() == "somebody else's"

    run(main())
    assert names(tmp_path) == ["file"]


def test_permissions_stay_and_a_new_file_gets_those_of_any(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o640)
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("the file system has no extended attributes")

    async def write(path: Path) -> int:
        async with aiofile.atomic_write(path) as file:
            await file.write("x")
            (beside,) = (tmp_path / name for name in names(tmp_path) if name.startswith(".afx-"))
            # Nobody else's while it is written.
            assert stat.S_IMODE(beside.stat().st_mode) == 0o600
        return stat.S_IMODE(path.stat().st_mode)

    assert run(write(path)) == 0o640
    assert os.getxattr(path, "user.note") == b"kept"
    old = os.umask(0o027)
    try:
        assert run(write(tmp_path / "new")) == 0o640
    finally:
        os.umask(old)


def test_links_stay_links(tmp_path: Path) -> None:
    path, link, other = tmp_path / "file", tmp_path / "link", tmp_path / "other"
    path.write_text("old")
    link.symlink_to("file")

    async def write(content: str, **options: Any) -> None:
        async with aiofile.atomic_write(link, **options) as file:
            await file.write(content)
            assert path.read_text() == "old"

    run(write("new"))
    assert link.is_symlink()
    assert path.read_text() == "new"
    path.write_text("old")
    os.link(path, other)
    with pytest.raises(OSError, match="other hard links") as raised:
        run(write("newer"))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOTSUP, str(link))
    assert other.read_text() == "old"
    run(write("newer", in_place=True))
    assert other.read_text() == path.read_text() == "newer"
    assert os.path.samefile(path, other)
    assert names(tmp_path) == ["file", "link", "other"]


def test_a_name_that_is_not_utf_8_and_one_as_long_as_can_be_are_written(tmp_path: Path) -> None:
    async def main() -> None:
        for name in (b"\xff\xfe odd", b"n" * 255):
            path = os.path.join(os.fsencode(tmp_path), name)
            async with aiofile.atomic_write(path) as file:
                await file.write("content")
            with open(path) as written:
                assert written.read() == "content"

    run(main())
    assert len(names(tmp_path)) == 2


def test_what_is_compressed_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"

    async def main() -> None:
        async with aiofile.atomic_write(path, compression="infer") as file:
            await file.write("content")
        assert gzip.decompress(path.read_bytes()) == b"content"

        async def swallowed() -> None:
            async with aiofile.atomic_write(path, "wb", compression="gz") as file:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(file.write(bytes(200_000_000)), 0.01)

        with pytest.raises(OSError, match="cancelled"):
            await swallowed()
        assert gzip.decompress(path.read_bytes()) == b"content"

    run(main())
    assert names(tmp_path) == ["file.gz"]


def test_the_object_can_be_used_again_but_not_twice_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        writing = aiofile.atomic_write(path)
        for content in ("one", "two"):
            async with writing as file:
                await file.write(content)
                with pytest.raises(RuntimeError):
                    await writing.__aenter__()
            assert path.read_text() == content

    run(main())


def test_a_block_that_is_never_left_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        writing = aiofile.atomic_write(tmp_path / "file")
        file = await writing.__aenter__()
        assert len(names(tmp_path)) == 1
        with pytest.warns(ResourceWarning):
            del writing, file
        await until(lambda: not names(tmp_path))

    run(main())


#: Forks within the block; the child gives up what it has of the file.
FORKING = """
    import asyncio, gc, os, sys, warnings
    import aiofile

    # Forking with threads around is what this is about.
    warnings.simplefilter("ignore", DeprecationWarning)

    async def main():
        async with aiofile.atomic_write(sys.argv[1]) as file:
            await file.write("new")
            if (pid := os.fork()) == 0:
                for object in gc.get_objects():
                    if type(object).__name__ == "AtomicWrite":
                        object._replacement = None
                gc.collect()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0

    asyncio.run(main())
"""


def test_a_forked_child_leaves_the_file_to_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    succeed(child(FORKING, str(path)))
    assert names(tmp_path) == ["file"]
    assert path.read_text() == "new"


#: Writes the file over and over, each time with another letter.
WRITER = textwrap.dedent("""
    import asyncio, itertools, sys
    import aiofile

    async def main():
        for number in itertools.count():
            async with aiofile.atomic_write(sys.argv[1], "wb") as file:
                for _ in range(4):
                    await file.write(bytes([97 + number % 26]) * 20_000)
            print(number, flush=True)

    asyncio.run(main())
""")


def test_a_killed_writer_leaves_the_old_file_or_the_new_one_and_the_next_writer_cleans_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    moments = random.Random(7)
    left = 0
    for _ in range(25):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"0\n"
        deadline = time.monotonic() + moments.random() * 0.02
        while time.monotonic() < deadline:
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait(LONGEST_WAIT)
        writer.stdout.close()
        content = path.read_bytes()
        assert len(content) == 80_000
        assert len(set(content)) == 1
        left += len(names(tmp_path)) - 1
        assert len(names(tmp_path)) <= 2
    assert left > 0, "no writer was killed at work"

    def is_free(name: str) -> bool:
        with (tmp_path / name).open("rb") as stale:
            try:
                fcntl.flock(stale, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    async def main() -> None:
        # The kernel ends what a ring had in flight after the process, and keeps its files so long.
        await until(lambda: all(map(is_free, names(tmp_path))))
        async with aiofile.atomic_write(path) as file:
            await file.write("clean")

    run(main())
    assert names(tmp_path) == ["file"]
    assert path.read_text() == "clean"
