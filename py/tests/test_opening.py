"""What opening waits for, who owns a descriptor, and what is refused."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, descriptors, run, succeed, until

#: FIFOs that wait at the same time: more than any pool has threads.
FIFOS = 100


def make_fifos(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"fifo{number}" for number in range(count)]
    for path in paths:
        os.mkfifo(path)
    return paths


def opening(path: Any, mode: Any) -> asyncio.Task[Any]:
    """Opens a file in a task of its own."""

    async def open_file() -> Any:
        return await aiofile.open(path, mode)

    return asyncio.create_task(open_file())


async def several_turns() -> None:
    """Lets the loop and its timers go on for a while: longer than a FIFO pauses between two looks."""
    deadline = time.monotonic() + 0.1
    await until(lambda: time.monotonic() > deadline)


async def is_cancelled(task: asyncio.Task[Any]) -> bool:
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("mode", ["rb", "wb"])
def test_a_hundred_waiting_fifos_are_in_nobodys_way(tmp_path: Path, mode: str) -> None:
    peer = "wb" if mode == "rb" else "rb"
    fifos = make_fifos(tmp_path, FIFOS)

    async def main() -> None:
        async with aiofile.open(tmp_path / "first", "w") as file:
            await file.write("the ring and its threads are there")
        before = descriptors()
        waiting = [opening(path, mode) for path in fifos]
        await several_turns()
        assert not any(task.done() for task in waiting)
        path = tmp_path / "regular"
        async with aiofile.open(path, "w") as file:
            await file.write("x" * 100_000)
        async with aiofile.open(path) as file:
            assert await file.read() == "x" * 100_000
        # Half of them meet their other end, the last first.
        for task, fifo in list(zip(waiting, fifos, strict=True))[: FIFOS // 2 - 1 : -1]:
            ends = await opening(fifo, peer), await task
            reader, writer = ends if mode == "wb" else ends[::-1]
            await writer.write(b"through")
            await writer.close()
            assert await reader.read() == b"through"
            await reader.close()
        rest = waiting[: FIFOS // 2]
        begun = time.monotonic()
        assert all([await is_cancelled(task) for task in rest])
        assert time.monotonic() - begun < 5
        assert descriptors() == before

    run(main())


@pytest.mark.parametrize("mode", ["rb", "wb"])
def test_a_fifo_meets_an_other_end_that_is_opened_by_somebody_who_waits(tmp_path: Path, mode: str) -> None:
    peer = "wb" if mode == "rb" else "rb"
    (path,) = make_fifos(tmp_path, 1)
    content = []

    def other_end() -> None:
        with open(path, peer, buffering=0) as file:
            content.append(file.write(b"through") if peer == "wb" else file.read())

    async def main() -> None:
        for starts_first in (True, False):
            other = threading.Thread(target=other_end, daemon=True)
            if starts_first:
                other.start()
            task = opening(path, mode)
            await several_turns()
            if not starts_first:
                assert not task.done()
                other.start()
            async with await task as file:
                if mode == "rb":
                    assert await file.read() == b"through"
                else:
                    await file.write(b"through")
            await asyncio.to_thread(other.join)

    run(main())
    assert content == [7, 7] if mode == "rb" else [b"through"] * 2


def test_a_writer_that_has_written_nothing_yet_ends_the_wait(tmp_path: Path) -> None:
    (path,) = make_fifos(tmp_path, 1)

    async def main() -> None:
        task = opening(path, "rb")
        await several_turns()
        writer = os.open(path, os.O_WRONLY)
        reader = await task
        os.write(writer, b"later")
        assert await reader.read(5) == b"later"
        os.close(writer)
        assert await reader.read() == b""
        await reader.close()

    run(main())


def test_a_fifo_that_is_opened_waits_when_it_is_read(tmp_path: Path) -> None:
    (path,) = make_fifos(tmp_path, 1)

    async def main() -> None:
        task = opening(path, "rb")
        async with aiofile.open(path, "wb", 0) as writer, await task as reader:
            assert os.get_blocking(reader.fileno())
            assert os.get_blocking(writer.fileno())

    run(main())


def test_both_ends_in_one_open_and_a_pipe_without_a_name_wait_for_nobody(tmp_path: Path) -> None:
    (path,) = make_fifos(tmp_path, 1)
    reading, writing = os.pipe()
    os.close(writing)

    async def main() -> None:
        descriptor = os.open(path, os.O_RDWR)
        async with aiofile.open(path, "wb", 0) as file:
            await file.write(b"x")
        os.close(descriptor)
        async with aiofile.open(f"/proc/self/fd/{reading}", "rb") as file:
            assert await file.read() == b""

    run(main())
    os.close(reading)


def test_a_closed_coroutine_leaves_no_fifo_open(tmp_path: Path) -> None:
    (path,) = make_fifos(tmp_path, 1)

    async def main() -> None:
        before = descriptors()
        coroutine = aiofile.open(path, "rb").__aenter__()
        step = coroutine.send(None)
        assert step is not None
        await until(step.done)
        try:
            coroutine.send(None)
        finally:
            coroutine.close()
        await until(lambda: descriptors() == before)

    # The ring is there before the descriptors are counted.
    async def with_ring() -> None:
        async with aiofile.open(tmp_path / "first", "w"):
            pass
        await main()

    run(with_ring())


def test_a_device_is_opened_as_it_is() -> None:
    async def main() -> None:
        async with aiofile.open("/dev/null", "wb") as file:
            assert os.get_blocking(file.fileno())
            assert await file.write(b"gone") == 4
        async with aiofile.open("/dev/zero", "rb") as file:
            assert await file.read(3) == b"\0\0\0"
        before = descriptors()
        for _ in range(20):
            task = opening("/dev/null", "wb")
            await asyncio.sleep(0)
            assert await is_cancelled(task)
        await until(lambda: descriptors() == before)

    run(main())


def test_a_file_that_another_process_has_a_lease_on_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "leased"
    path.write_text("content")
    done = child(
        """
        import asyncio, fcntl, os, signal, sys
        import aiofile

        path = sys.argv[1]
        told, tell = os.pipe()
        holder = os.fork()
        if holder == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
            lease = os.open(path, os.O_RDONLY)
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            os.write(tell, b"x")
            signal.sigwait([signal.SIGIO])
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            os._exit(0)
        os.read(told, 1)

        async def main():
            async with aiofile.open(path, "a") as file:
                await file.write(" and more")

        asyncio.run(asyncio.wait_for(main(), 30))
        os.waitpid(holder, 0)
        """,
        str(path),
    )
    succeed(done)
    assert path.read_text() == "content and more"


@pytest.mark.parametrize("verb", ["hash", "copy from", "copy to"])
def test_hashing_or_copying_a_fifo_that_nobody_opens_ends_when_cancelled(tmp_path: Path, verb: str) -> None:
    (path,) = make_fifos(tmp_path, 1)
    regular = tmp_path / "regular"
    regular.write_text("content")

    async def main() -> None:
        before = descriptors()
        jobs: dict[str, Callable[[], Any]] = {
            "hash": lambda: aiofile.hash(path),
            "copy from": lambda: aiofile.copy(path, tmp_path / "target"),
            "copy to": lambda: aiofile.copy(regular, path),
        }
        task = asyncio.ensure_future(jobs[verb]())
        await several_turns()
        assert not task.done()
        task.cancel()
        # Whoever waited for a thread inside of open(2) gave up after two seconds, and left it there.
        await asyncio.wait([task], timeout=1.5)
        assert task.cancelled()
        await until(lambda: {name for name in descriptors() - before if "fifo0" in name} == set())

    run(main())


def test_a_descriptor_that_cannot_be_adopted_is_closed_once() -> None:
    path = "/proc/self/comm"

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(OSError, match="Invalid argument") as raised:
                await aiofile.open(path, "a")
            assert raised.value.filename == path

    with pytest.raises(OSError, match="Invalid argument"):
        open(path, "a").close()
    run(main())


def test_a_number_that_cannot_be_adopted_stays_open() -> None:
    descriptor = os.open("/proc/self/comm", os.O_WRONLY)

    async def main() -> None:
        with pytest.raises(OSError, match="Invalid argument"):
            await aiofile.open(descriptor, "ab")

    run(main())
    os.close(descriptor)


def a_socket() -> int:
    one, other = socket.socketpair()
    other.close()
    return one.detach()


#: What makes the first argument of ``open`` for a stream whose reading has nothing to do with its writing.
STREAMS: dict[str, Callable[[Path], Any]] = {
    "fifo": lambda folder: make_fifos(folder, 1)[0],
    "terminal": lambda folder: "/dev/ptmx",
    "fifo by number": lambda folder: os.open(make_fifos(folder, 1)[0], os.O_RDWR),
    "terminal by number": lambda folder: os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY),
    "socket by number": lambda folder: a_socket(),
}


@pytest.mark.parametrize("mode", ["r+b", "w+b", "a+b", "r+", "w+", "a+"])
@pytest.mark.parametrize(
    ("stream", "closefd"),
    [*((name, True) for name in STREAMS), *((name, False) for name in list(STREAMS)[2:])],
)
def test_a_stream_is_not_opened_for_updating_with_a_buffer(
    tmp_path: Path, stream: str, closefd: bool, mode: Any
) -> None:
    """As ``io``, which has closed the number that it was given to close."""

    async def ours(name: Any) -> None:
        await aiofile.open(name, mode, closefd=closefd)

    def refusal(folder: Path, opens: Callable[[Any], Any]) -> str:
        folder.mkdir()
        before = descriptors()
        name = STREAMS[stream](folder)
        with pytest.raises(io.UnsupportedOperation) as raised:
            opens(name)
        if not closefd:
            os.close(name)
        assert descriptors() == before
        return str(raised.value)

    run(write_something(tmp_path / "f"))
    theirs = refusal(tmp_path / "theirs", lambda name: open(name, mode, closefd=closefd).close())
    assert refusal(tmp_path / "ours", lambda name: run(ours(name))) == theirs


async def write_something(path: Path) -> None:
    """Has the ring and its threads there, before descriptors are counted."""
    async with aiofile.open(path, "w") as file:
        await file.write("something")


def test_a_stream_is_opened_for_updating_without_a_buffer(tmp_path: Path) -> None:
    (path,) = make_fifos(tmp_path, 1)

    async def main() -> None:
        async with aiofile.open(path, "r+b", 0) as file:
            await file.write(b"through")
            assert await file.read(100) == b"through"
        # A device that has a position, though it means nothing.
        async with aiofile.open("/dev/zero", "r+b") as file:
            assert await file.read(3) == b"\0\0\0"

    run(main())


def test_a_descriptor_that_appends_has_no_offsets_to_write_at(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")

    def adopted() -> int:
        return os.open(path, os.O_RDWR | os.O_APPEND)

    with open(adopted(), "r+b") as model:
        assert model.tell() == 0
        model.seek(2)
        model.write(b"io")
        model.flush()
        expected = model.tell()

    async def main() -> None:
        async with aiofile.open(adopted(), "r+b") as file:
            assert await file.tell() == 0
            with pytest.raises(io.UnsupportedOperation):
                await file.pwrite(b"X", 0)
            await file.seek(2)
            await file.write(b"us")
            await file.flush()
            assert await file.tell() == expected + 2
            assert await file.pread(20, 0) == b"0123456789ious"

    run(main())
    assert path.read_bytes() == b"0123456789ious"


def test_pread_takes_the_memory_that_the_file_fills(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = bytes(range(256)) * 4096
    path.write_bytes(content)

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            assert await file.pread(2**62, 0) == content
            assert await file.pread(2**62, 1_000_000) == content[1_000_000:]
            assert await file.pread(2**62, 2**62) == b""
            assert await file.pread(len(content), 1) == content[1:]
            for size, offset in ((-1, 0), (1, -1)):
                with pytest.raises(ValueError, match="negative"):
                    await file.pread(size, offset)
            assert await asyncio.gather(*[file.pread(3, 0) for _ in range(3)]) == [content[:3]] * 3
        async with aiofile.open("/proc/cpuinfo", "rb") as file:
            assert (await file.pread(2**62, 0)).startswith(b"processor")

    run(main())


def test_a_bytearray_is_written_from_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = bytearray(b"0123456789abcdef" * (1024 * 1024))

    async def main() -> None:
        async with aiofile.open(path, "wb") as file:
            writing = asyncio.create_task(file.write(data))
            while not writing.done():
                data[-1] ^= 1
                await asyncio.sleep(0)
            assert await writing == len(data)
        reading, writing_end = os.pipe()
        async with aiofile.open(reading, "rb") as reader, aiofile.open(writing_end, "wb", 0) as writer:
            task = asyncio.create_task(writer.write(data))
            assert await reader.read(16) == b"0123456789abcdef"
            await reader.close()
            await asyncio.wait([task])
            task.exception()

    run(main())
    assert path.read_bytes()[:-1] == data[:-1]


def test_hash_copy_and_tail_take_paths_as_bytes(tmp_path: Path) -> None:
    source, target = os.fsencode(tmp_path) + b"/odd\xff", os.fsencode(tmp_path) + b"/copy\xff"
    with open(source, "wb") as file:
        file.write(b"a line\n")

    async def main() -> None:
        report = await aiofile.copy(source, target, hash="sha256")
        assert await aiofile.hash(target) == report.digest
        assert [line async for line in aiofile.tail(target, follow=None)] == ["a line\n"]

    run(main())


def test_a_null_byte_in_a_path_is_refused_in_the_same_words_everywhere() -> None:
    async def main() -> None:
        for path in ("a\0b", b"a\0b"):
            for call in (
                lambda path=path: aiofile.open(path).__aenter__(),
                lambda path=path: aiofile.hash(path),
                lambda path=path: aiofile.copy(path, "c"),
                lambda path=path: aiofile.copy("c", path),
                lambda path=path: aiofile.tail(path).__anext__(),
            ):
                with pytest.raises(ValueError, match="embedded null byte"):
                    await call()

    run(main())


class Slow:
    """A file that takes its time, and not always the same."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        time.sleep(0.0001 * (len(text) % 3))
        if text == "7":
            raise ValueError(text)
        self.written.append(text)

    def flush(self) -> None:
        self.written.append("flushed")


def test_prints_to_one_object_stay_in_order() -> None:
    target = Slow()
    numbers = [str(number) for number in range(300)]

    async def main() -> None:
        prints = [aiofile.print(number, end="", file=target) for number in numbers]
        results = await asyncio.gather(*prints, return_exceptions=True)
        assert [number for number, result in zip(numbers, results, strict=True) if result] == ["7"]
        await aiofile.print("last", end="", file=target, flush=True)

    run(main())
    numbers.remove("7")
    assert target.written == [*numbers, "last", "flushed"]


def test_a_cancelled_print_is_written_and_a_forked_child_prints() -> None:
    done = child(
        """
        import asyncio, os, sys, threading
        import aiofile

        begun, go_on = threading.Event(), threading.Event()

        class Target:
            def write(self, text):
                begun.set()
                go_on.wait()
                sys.stdout.write(text)
            def flush(self):
                sys.stdout.flush()

        target = Target()

        async def one(text):
            await aiofile.print(text, file=target, flush=True)

        async def main():
            task = asyncio.create_task(one("parent"))
            while not begun.is_set():
                await asyncio.sleep(0)
            child = os.fork()
            if child == 0:
                return False
            os.waitpid(child, 0)
            task.cancel()
            asyncio.get_running_loop().call_soon(go_on.set)
            await asyncio.wait([task])
            assert task.cancelled()
            return True

        loop = asyncio.new_event_loop()
        if not loop.run_until_complete(main()):
            go_on.set()
            asyncio._set_running_loop(None)
            asyncio.run(asyncio.wait_for(one("child"), 30))
            os._exit(0)
        loop.close()
        """
    )
    assert succeed(done) == "child\nparent\n"


class Readerless(asyncio.SelectorEventLoop):
    def add_reader(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


class Counting(asyncio.SelectorEventLoop):
    readers = 0

    def add_reader(self, *arguments: Any) -> None:  # type: ignore[override]
        self.readers += 1
        super().add_reader(*arguments)


def test_a_loop_that_cannot_watch_is_told_so_and_the_others_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "file", "w") as file:
            await file.write("x")

    good, bad = Counting(), Readerless()
    good.run_until_complete(main())
    watched = good.readers
    with pytest.raises(NotImplementedError, match=r"add_reader.*Readerless"):
        bad.run_until_complete(main())
    good.run_until_complete(main())
    assert good.readers == watched
    good.close()
    bad.close()


def test_tail_refuses_to_look_without_pause(tmp_path: Path) -> None:
    for poll in (0, 0.0, -1, float("nan")):
        with pytest.raises(ValueError, match="poll"):
            aiofile.tail(tmp_path / "log", poll=poll)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_file_that_is_not_open_yet_says_how_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a line\n")

    async def main() -> None:
        opening: Any = aiofile.open(tmp_path / "f")
        with pytest.raises(TypeError, match="use 'async with', or await it"):
            opening.__enter__()
        with pytest.raises(TypeError, match="use 'async with', or await it"), opening:
            raise AssertionError("entered")
        with pytest.raises(TypeError, match="use 'async with', or await it, and 'async for'"):
            list(opening)
        async with opening as file:
            assert await file.read() == "a line\n"

    run(main())


async def refusal(call: Awaitable[object]) -> tuple[type[Exception], list[str]]:
    """The class of the error that comes of a call, and how it ends."""
    with pytest.raises((ValueError, OverflowError, TypeError)) as raised:
        await call
    return type(raised.value), str(raised.value).split()[-4:]


def test_pwrite_refuses_an_offset_that_pread_refuses(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "rb+") as file:
            refused: list[Any] = [-1, 1 << 63, 1 << 64, 1 << 70, 1.5, "1", None]
            expected = [await refusal(file.pread(1, offset)) for offset in refused]
            for _ in range(2):
                assert [await refusal(file.pwrite(b"x", offset)) for offset in refused] == expected
                # And again when it is a blocking one.
                assert file.raw.writable()
            with pytest.raises(ValueError, match=r"^offset of pwrite must not be negative$"):
                await file.pwrite(b"x", -(1 << 70))

    run(main())
    assert (tmp_path / "f").read_bytes() == b"content"


def test_an_algorithm_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")

    async def main() -> None:
        for calls in (
            aiofile.hash(tmp_path / "f", "md6"),
            aiofile.copy(tmp_path / "f", tmp_path / "g", hash="md6"),
        ):
            with pytest.raises(ValueError, match=r"md6.*md5, sha1, sha224, sha256"):
                await calls

    run(main())
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize("batch", ["512", 1.5, None])
def test_a_batch_of_lines_that_is_no_number_is_refused_in_plain_words(tmp_path: Path, batch: Any) -> None:
    (tmp_path / "f").write_text("a line\n")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f") as file:
            with pytest.raises(TypeError, match=f"batch must be an integer, not {type(batch).__name__}"):
                file.lines(batch=batch)
            with pytest.raises(ValueError, match="at least 1"):
                file.lines(batch=0)

    run(main())


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_the_built_in_print_writes_nothing_to_a_file_and_ours_does(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "w") as file:
            print("built-in", file=file)
            await aiofile.print("ours", file=file)

    run(main())
    assert (tmp_path / "f").read_text() == "ours\n"
