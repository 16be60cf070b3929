"""`write_behind=`: a write returns while its bytes are still on their way."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, descriptors, run, succeed, until

BEHIND = 1 << 20
BUFFER = 8192


def pieces(seed: int = 1, count: int = 150) -> list[bytes]:
    """Pieces of all sizes around those of the buffer, of what may be on its way, and between them."""
    random_ = random.Random(seed)
    sizes = [1, 56, 5000, BUFFER - 1, BUFFER, 70_000, 300_000, BEHIND - 1]
    return [random_.randbytes(1) * random_.choice(sizes) for _ in range(count)]


@pytest.mark.parametrize("mode", ["wb", "ab", "w+b", "xb", "r+b", "a+b"])
@pytest.mark.parametrize("behind", [1, 5000, BEHIND, 64 << 20])
def test_what_is_written_is_there_in_order_when_it_was_flushed(
    tmp_path: Path, mode: Any, behind: int
) -> None:
    path = tmp_path / "f"
    if mode == "r+b":
        path.touch()

    async def main() -> None:
        so_far = 0
        async with aiofile.open(path, mode, buffering=BUFFER, write_behind=behind) as file:
            for number, piece in enumerate(pieces()):
                assert await file.write(piece) == len(piece)
                so_far += len(piece)
                if number % 50 == 0:
                    await file.flush()
                    assert path.stat().st_size == so_far
                assert "a" in mode or await file.tell() == so_far

    run(main())
    assert path.read_bytes() == b"".join(pieces())


def test_no_more_is_on_its_way_than_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> int:
        accepted = most = 0
        async with aiofile.open(path, "wb", buffering=BUFFER, write_behind=BEHIND) as file:
            for _ in range(300):
                accepted += await file.write(bytes(100_000))
                unwritten = accepted - path.stat().st_size
                assert unwritten <= BEHIND + BUFFER
                most = max(most, unwritten)
        return most

    # The program went on before the kernel had everything.
    assert run(main()) > 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis", "latin-1"])
@pytest.mark.parametrize("newline", [None, "\r\n"])
def test_text_is_written_as_io_writes_it(tmp_path: Path, encoding: str, newline: str | None) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    texts = [
        "a line\n" * 3,
        "x" * 9000 + "\n",
        "plain\n" * 60_000,
        "" if encoding == "latin-1" else "日本\n" * 40_000,
    ]
    texts *= 5

    async def main() -> None:
        async with aiofile.open(ours, "w", encoding=encoding, newline=newline, write_behind=BEHIND) as file:
            for text in texts:
                assert await file.write(text) == len(text)

    run(main())
    with theirs.open("w", encoding=encoding, newline=newline) as file:
        file.writelines(texts)
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("size", [100, 20_000, 700_000, 3_000_000])
def test_a_buffer_that_is_changed_after_the_write_was_written_as_it_was(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "wb", buffering=BUFFER, write_behind=BEHIND) as file:
            for number in range(20):
                data = bytearray([number]) * size
                await file.write(memoryview(data) if number % 2 else data)
                data[:] = b"\xff" * size

    run(main())
    assert path.read_bytes() == b"".join(bytes([number]) * size for number in range(20))


def test_objects_that_are_on_their_way_are_held_no_longer_than_that(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb", write_behind=4 << 20) as file:
            data = os.urandom(500_000)
            before = sys.getrefcount(data)
            for _ in range(50):
                await file.write(data)
                assert sys.getrefcount(data) <= before + 9
            await file.flush()
            assert sys.getrefcount(data) == before

    run(main())


@pytest.mark.parametrize(
    "how", ["read", "seek", "truncate", "pread", "pwrite", "detach", "writelines", "batch"]
)
def test_whatever_comes_next_finds_everything_written(tmp_path: Path, how: str) -> None:
    path = tmp_path / "f"
    content = b"".join(pieces())

    async def main() -> None:
        nonlocal content
        file: Any = await aiofile.open(path, "w+b", buffering=BUFFER, write_behind=BEHIND)
        for piece in pieces():
            await file.write(piece)
        if how == "read":
            assert await file.read() == b""
        elif how == "seek":
            assert await file.seek(-5, 2) == len(content) - 5
            assert await file.read() == content[-5:]
        elif how == "truncate":
            assert await file.truncate() == len(content)
        elif how == "pread":
            assert await file.pread(len(content), 0) == content
        elif how == "pwrite":
            await file.pwrite(content[:5], 0)
        elif how == "detach":
            with file.detach() as raw:
                raw.write(b"raw")
            content += b"raw"
            return
        elif how == "writelines":
            await file.writelines(pieces(2))
            await file.writelines(iter(pieces(3)))
            content += b"".join(pieces(2) + pieces(3))
        await file.close()

    run(main())
    assert path.read_bytes() == content


@pytest.mark.parametrize("told", ["write", "flush", "close", "seek"])
@pytest.mark.parametrize("mode", ["wb", "ab", "w"])
def test_an_error_is_told_once_and_behind_it_nothing_is_written(tmp_path: Path, told: str, mode: str) -> None:
    program = """
        import aiofile, asyncio, errno, resource, signal, sys

        path, told, mode = sys.argv[1:]
        limit = 1_000_001
        unit = "x" * 99_999 if mode == "w" else b"x" * 99_999
        end = "\\n" if mode == "w" else b"\\n"

        async def main():
            file = await aiofile.open(path, mode, write_behind=8 << 20)
            accepted = 0
            try:
                for number in range(20):
                    accepted += await file.write(unit + end)
                if told == "write":
                    while True:
                        accepted += await file.write(unit + end)
                        await asyncio.sleep(0)
                elif told == "seek":
                    await file.seek(0)
                else:
                    await getattr(file, told)()
            except OSError as error:
                assert error.errno == errno.EFBIG, error
                assert error.filename == path, error.filename
            else:
                raise AssertionError("nobody was told")
            with open(path, "rb") as other:
                assert len(other.read()) == limit
            if told == "close":
                # A write may have been told before; what was not written is tried again, and lost.
                try:
                    await file.close()
                except OSError as error:
                    assert error.errno == errno.EFBIG, error
                assert file.closed
                return
            # Told once; what is not written is kept.
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            await file.flush()
            with open(path, "rb") as other:
                assert other.read() == (b"x" * 99_999 + b"\\n") * (accepted // 100_000)
            await file.close()

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path / "f"), told, mode))


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("apart", [False, True], ids=["this thread", "another thread"])
def test_a_file_that_is_collected_meanwhile_writes_the_rest(tmp_path: Path, apart: bool) -> None:
    paths = [tmp_path / f"{number}" for number in range(10)]

    async def main() -> None:
        for path in paths:
            file = await aiofile.open(path, "wb", buffering=BUFFER, write_behind=64 << 20)
            for piece in pieces():
                await file.write(piece)
            held = [file]
            del file
            if apart:
                thread = threading.Thread(target=held.clear)
                thread.start()
                thread.join()
            held.clear()
            gc.collect()
            assert path.read_bytes() == b"".join(pieces())

    run(main())


def test_a_cancelled_write_has_written_all_or_what_the_position_says(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "wb", buffering=BUFFER, write_behind=BEHIND) as file:
            content = b""
            for number in range(200):
                data = bytes([number % 256]) * (3 * BEHIND if number % 3 == 0 else 400_000)
                before = len(content)
                task = asyncio.ensure_future(file.write(data))
                for _ in range(number % 4):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                after = await file.tell()
                assert task.cancelled() or after - before == len(data)
                content += data[: after - before]
            await file.flush()
            assert path.read_bytes() == content

    run(main())


def test_two_tasks_on_one_file_do_not_mix_their_pieces(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def write(file: Any, letter: bytes) -> None:
        for _ in range(40):
            await file.write(letter * 250_000)

    async def main() -> None:
        async with aiofile.open(path, "wb", write_behind=BEHIND) as file:
            await asyncio.gather(*(write(file, letter) for letter in (b"a", b"b", b"c")))

    run(main())
    content = path.read_bytes()
    found = [content[start : start + 250_000] for start in range(0, len(content), 250_000)]
    assert sorted(found) == sorted([b"a" * 250_000, b"b" * 250_000, b"c" * 250_000] * 40)


def test_a_file_is_written_behind_on_one_loop_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    file: Any = run(_opened(path))
    for number in range(5):
        run(_write(file, bytes([number]) * 500_000))
    run(file.close())
    assert path.read_bytes() == b"".join(bytes([number]) * 500_000 for number in range(5))


async def _opened(path: Path) -> Any:
    return await aiofile.open(path, "wb", write_behind=64 << 20)


async def _write(file: Any, data: bytes) -> None:
    await file.write(data)


def test_a_forked_child_leaves_alone_what_is_on_its_way(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, os, sys

        async def main():
            file = await aiofile.open(sys.argv[1], "wb", write_behind=4 << 20)
            for number in range(100):
                for part in range(5):
                    await file.write(b"%06d" % number * 50_000)
                if (child := os.fork()) == 0:
                    os._exit(0 if file._has_unwritten() in (True, False) else 1)
                assert os.waitpid(child, 0)[1] == 0
            await file.close()

        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path / "f")))
    assert (tmp_path / "f").read_bytes() == b"".join(b"%06d" % number * 250_000 for number in range(100))


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_program_that_ends_without_closing_a_file_writes_it_as_with_a_buffer(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, sys, warnings

        async def main():
            global file
            file = await aiofile.open(sys.argv[1], "wb", write_behind=64 << 20)
            for number in range(50):
                await file.write(bytes([number]) * 1_000_000)

        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path / "f")))
    assert (tmp_path / "f").read_bytes() == b"".join(bytes([number]) * 1_000_000 for number in range(50))


def test_no_room_stays_reserved_behind_the_end(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "wb", write_behind=64 << 20) as file:
            for _ in range(5):
                await file.write(bytes(3_000_000))

    run(main())
    os.sync()
    assert path.stat().st_size == 15_000_000
    assert path.stat().st_blocks * 512 <= 15_000_000 + 65536


def test_a_pipe_is_written_as_without_it() -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        async with aiofile.open(writer, "wb", write_behind=BEHIND) as file:
            thread = ThreadPoolExecutor(1)
            reading = asyncio.get_running_loop().run_in_executor(thread, _drained, reader)
            await file.write(b"x" * 1_000_000)
            await file.close()
            assert await reading == b"x" * 1_000_000
            thread.shutdown()

    run(main())


def _drained(reader: int) -> bytes:
    with io.open(reader, "rb") as file:  # noqa: UP020
        return file.read()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"mode": "wb", "write_behind": -1}, ValueError),
        ({"mode": "wb", "write_behind": "8"}, TypeError),
        ({"mode": "wb", "write_behind": 1.5}, TypeError),
        ({"mode": "wb", "write_behind": True}, TypeError),
        ({"mode": "wb", "write_behind": False}, TypeError),
        ({"mode": "wb", "write_behind": 2**63}, OverflowError),
        ({"mode": "wb", "write_behind": 2**64}, OverflowError),
        ({"mode": "rb", "write_behind": 8}, ValueError),
        ({"mode": "wb", "buffering": 0, "write_behind": 8}, ValueError),
        ({"mode": "wb", "executor": ThreadPoolExecutor(1), "write_behind": 8}, ValueError),
    ],
    ids=[
        "negative",
        "text",
        "fraction",
        "true",
        "false",
        "large",
        "larger",
        "not written",
        "unbuffered",
        "executor",
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_opened(
    tmp_path: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    async def main() -> None:
        before = descriptors()
        with pytest.raises(error, match="write_behind"):
            await aiofile.open(tmp_path / "f", **options)
        assert descriptors() == before

    run(main())
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("none", [0, None])
def test_without_bytes_a_large_write_returns_when_the_kernel_has_it(tmp_path: Path, none: int | None) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb", write_behind=none) as file:
            for number in range(1, 20):
                await file.write(bytes(1_000_000))
                assert (tmp_path / "f").stat().st_size == number * 1_000_000

    run(main())


def test_what_is_buffered_only_reaches_the_kernel_without_a_flush(tmp_path: Path) -> None:
    """A full buffer goes on its way by itself."""
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "wb", buffering=BUFFER, write_behind=BEHIND) as file:
            for _ in range(200):
                await file.write(b"x" * 100)
            await until(lambda: path.stat().st_size >= 20_000 - BUFFER)

    run(main())


@pytest.mark.parametrize("kind", ["bytes", "text"])
def test_an_object_that_is_written_is_let_go_of_by_an_idle_file(tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        data: Any = b"x" * (4 * BEHIND) if kind == "bytes" else "x" * (4 * BEHIND)
        before = sys.getrefcount(data)
        mode: Any = "wb" if kind == "bytes" else "w"
        async with aiofile.open(tmp_path / "f", mode, write_behind=8 * BEHIND) as file:
            await file.write(data)
            await until(lambda: sys.getrefcount(data) == before)
            assert (tmp_path / "f").stat().st_size == len(data)
            # Longer than may be on its way: it goes in pieces.
            await file.write(data * 5)

    run(main())
    assert (tmp_path / "f").stat().st_size == 24 * BEHIND


def test_what_fails_leaves_no_more_than_a_step_reserved(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, errno, os, resource, signal, sys

        MIB = 1 << 20

        async def main():
            file = await aiofile.open(sys.argv[1], "wb", write_behind=256 * MIB)
            await file.write(bytes(100 * MIB))
            try:
                await file.close()
            except OSError as error:
                assert error.errno == errno.EFBIG
            stat = os.stat(sys.argv[1])
            assert stat.st_size == 3 * MIB
            print(stat.st_blocks * 512 - stat.st_size)

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, resource.RLIM_INFINITY))
        asyncio.run(main())
    """
    # And what the file system itself has to note.
    assert int(succeed(child(program, str(tmp_path / "f")))) <= (1 << 20) + 65_536


def test_a_cancelled_write_of_much_data_ends_between_two_steps(tmp_path: Path) -> None:
    async def attempt() -> bool:
        async with aiofile.open(tmp_path / "f", "wb") as file:
            task = asyncio.ensure_future(file.write(bytes(60 << 20)))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return await file.tell() < 60 << 20

    async def main() -> None:
        # The thread may be done before a busy loop has its turn.
        for _ in range(50):
            if await attempt():
                return
        pytest.fail("no write was ever ended")

    run(main())
