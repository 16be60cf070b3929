"""The promises that could not be added later, each with a test of its name."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import select
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

import aiofile
from aiofile import _native
from support import ENGINE, LONGEST_WAIT, CountingExecutor, child, descriptors, rings, run, succeed, until

LARGE = 3 * 1024 * 1024


# Order.


def test_order_two_writers_never_mix_their_bytes(tmp_path: Path) -> None:
    pieces = [
        bytes([65 + number]) * size for number, size in enumerate([10, 5000, 70_000, 300_000, LARGE, 3])
    ]

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb") as file:
            await asyncio.gather(*(file.write(piece) for piece in pieces))

    run(main())
    assert (tmp_path / "f").read_bytes() == b"".join(pieces)


def test_order_operations_end_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(LARGE) + b"tail")
    ended: list[str] = []

    async def note(name: str, operation: Any) -> Any:
        result = await operation
        ended.append(name)
        return result

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "r+b") as file:
            large, rest, at, _ = await asyncio.gather(
                note("large", file.read(LARGE)),
                note("rest", file.read()),
                note("tell", file.tell()),
                note("seek", file.seek(0)),
            )
            assert (len(large), rest, at) == (LARGE, b"tail", LARGE + 4)

    run(main())
    assert ended == ["large", "rest", "tell", "seek"]


@pytest.mark.parametrize("size", [3, 5000, 300_000])
def test_order_a_read_waits_for_the_files_own_writes(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(b"." * 600_000)

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "r+b") as file:
            assert await file.read(4) == b"...."
            assert await file.write(b"x" * size) == size
            assert await file.read(3) == b"..."
            await file.seek(4)
            assert await file.read(size) == b"x" * size
            await file.seek(0)
            await file.write(b"yy")
            assert await file.pread(4, 0) == b"yy.."

    run(main())


def test_order_a_write_drops_what_was_read_ahead(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one\ntwo\nsix\n")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "r+b") as file:
            assert await file.readline() == b"one\n"
            await file.write(b"TWO\n")
            # Somebody else changes what we had read ahead.
            with (tmp_path / "f").open("r+b", buffering=0) as other:
                other.seek(8)
                other.write(b"SIX")
            assert await file.readline() == b"SIX\n"

    run(main())
    assert (tmp_path / "f").read_bytes() == b"one\nTWO\nSIX\n"


# Offsets.


def test_offsets_after_an_error_a_clean_prefix_is_on_disk(tmp_path: Path) -> None:
    """The limit on file sizes refuses in the middle of the write, as a full disk does."""
    program = """
        import aiofile, asyncio, os, resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))

        async def main():
            file = await aiofile.open(sys.argv[1], "wb")
            first = asyncio.ensure_future(file.write(b"a" * 1_000_000))
            second = asyncio.ensure_future(file.write(b"b" * 1_000_000))
            for written in await asyncio.gather(first, second, return_exceptions=True):
                print(written if isinstance(written, int) else f"{type(written).__name__} {written.errno}")
            print(await file.tell())
            await file.close()

        asyncio.run(main())
    """
    printed = succeed(child(program, str(tmp_path / "f"))).split("\n")
    assert printed[:3] == ["1000000", "OSError 27", "1500000"]
    assert (tmp_path / "f").read_bytes() == b"a" * 1_000_000 + b"b" * 500_000


def test_offsets_a_failed_flush_keeps_what_was_not_written(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, os, resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        async def main():
            file = await aiofile.open(sys.argv[1], "wb")
            await file.write(b"0123456789")
            resource.setrlimit(resource.RLIMIT_FSIZE, (4, resource.RLIM_INFINITY))
            for _ in range(2):
                try:
                    await file.flush()
                except OSError as error:
                    print(error.errno, os.path.getsize(sys.argv[1]))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await file.close()

        asyncio.run(main())
    """
    # A write that is cut short is no error yet: the one of its rest is.
    assert succeed(child(program, str(tmp_path / "f"))) == "27 4\n27 4\n"
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_offsets_append_goes_to_the_end_wherever_that_is(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"start\n")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "a+b") as file:
            assert await file.tell() == 6
            await file.write(b"ours\n")
            await file.flush()
            with (tmp_path / "f").open("ab") as other:
                other.write(b"theirs\n")
            await file.seek(0)
            await file.write(b"again\n")
            await file.flush()
            assert await file.tell() == 24

    run(main())
    assert (tmp_path / "f").read_bytes() == b"start\nours\ntheirs\nagain\n"


def test_offsets_an_adopted_descriptor_starts_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "f", os.O_RDWR)
    os.lseek(fd, 4, os.SEEK_SET)

    async def main() -> None:
        async with aiofile.open(fd, "r+b", closefd=False) as file:
            assert await file.tell() == 4
            assert await file.read(2) == b"45"

    run(main())
    assert os.lseek(fd, 0, os.SEEK_CUR) == 6, "closing left the position somewhere else"
    os.close(fd)


@pytest.mark.parametrize("mode", ["r+", "r+b"])
@pytest.mark.parametrize("end", ["flush", "seek", "truncate", "close", "detach"])
def test_offsets_the_kernels_position_is_the_programs(tmp_path: Path, mode: Any, end: str) -> None:
    (tmp_path / "f").write_bytes(b"one\ntwo\nthree\n")
    fd = os.open(tmp_path / "f", os.O_RDWR)

    async def main() -> int:
        file = await aiofile.open(fd, mode, closefd=False)
        await file.readline()
        await file.seek(4)
        await file.write("TWO\n" if mode == "r+" else b"TWO\n")
        if end == "seek":
            await file.seek(await file.tell())
        elif end == "detach":
            file.detach().close()
        else:
            await getattr(file, end)()
        position = os.lseek(fd, 0, os.SEEK_CUR)
        if end != "detach":
            await file.close()
        return position

    assert run(main()) == 8
    os.close(fd)


def test_offsets_unbuffered_files_move_the_kernels_own_position(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "r+b", buffering=0) as file:
            assert await file.read(3) == b"012"
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 3
            os.lseek(file.fileno(), 6, os.SEEK_SET)
            assert await file.read(2) == b"67"
            await file.write(b"x")
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 9

    run(main())
    assert (tmp_path / "f").read_bytes() == b"01234567x9"


def test_offsets_pwrite_on_an_append_file_raises(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "ab") as file:
            with pytest.raises(io.UnsupportedOperation):
                await file.pwrite(b"x", 0)

    run(main())
    assert (tmp_path / "f").read_bytes() == b""


def test_offsets_pread_and_pwrite_leave_the_position_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "w+b") as file:
            await file.write(b"0123456789")
            assert await file.pwrite(b"abc", 2) == 3
            assert await file.pread(5, 1) == b"1abc5"
            assert await file.tell() == 10
            await file.write(b"!")

    run(main())
    assert (tmp_path / "f").read_bytes() == b"01abc56789!"


# When a write is done.


@pytest.mark.parametrize("buffering", [16, 4096, 100_000])
def test_when_a_write_is_done_small_ones_are_buffered_and_large_ones_are_not(
    tmp_path: Path, buffering: int
) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "wb", buffering=buffering) as file:
            await file.write(b"x" * (buffering - 1))
            assert path.stat().st_size == 0
            await file.write(b"y" * buffering)
            assert path.stat().st_size == 2 * buffering - 1

    run(main())


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_when_a_write_is_done_a_killed_process_loses_no_more_than_with_io(tmp_path: Path, mode: str) -> None:
    program = """
        import aiofile, asyncio, os, sys

        async def main():
            file = await aiofile.open(sys.argv[1], sys.argv[2])
            for number in range(3000):
                line = f"{number:015}\\n"
                await file.write(line if sys.argv[2] == "w" else line.encode())
            os._exit(0)

        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path / "f"), mode))
    kept = (tmp_path / "f").read_bytes()
    buffered = max(os.stat(tmp_path).st_blksize, io.DEFAULT_BUFFER_SIZE) + io.DEFAULT_BUFFER_SIZE
    assert 48_000 - len(kept) <= buffered
    assert kept == b"".join(b"%015d\n" % number for number in range(3000))[: len(kept)]


def test_when_a_write_is_done_line_buffering_writes_every_line(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "w", buffering=1) as file:
            await file.write("half")
            assert path.read_bytes() == b""
            await file.write(" a line\nand")
            assert path.read_bytes() == b"half a line\nand"

    run(main())


# Who owns memory in flight.


@pytest.mark.parametrize("size", [100, LARGE])
def test_who_owns_memory_in_flight_a_bytearray_may_change_after_the_write(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb") as file:
            data = bytearray(b"a" * size)
            await file.write(data)
            data[:] = b"b" * size
            data.clear()  # Would raise BufferError if the file still held it.

    run(main())
    assert (tmp_path / "f").read_bytes() == b"a" * size


def test_who_owns_memory_in_flight_readinto_is_not_cancelled_before_its_completion(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        async with aiofile.open(reader, "rb", buffering=0) as file:
            memory = bytearray(10)
            task = asyncio.ensure_future(file.readinto(memory))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            memory.clear()  # Nobody holds it any more.
            os.write(writer, b"later")
            assert await file.read(10) == b"later"

    run(main())
    os.close(writer)


def test_who_owns_memory_in_flight_a_cancelled_large_write_lets_go_of_its_buffer(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb") as file:
            data = bytearray(64 * 1024 * 1024)
            task = asyncio.ensure_future(file.write(data))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            data.clear()
            at = await file.tell()
            await file.flush()
            assert (tmp_path / "f").stat().st_size == at, "the position says how much was written"

    run(main())


# Cancellation.


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_cancellation_of_a_read_keeps_the_bytes_that_arrive(mode: Any) -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        async with aiofile.open(reader, mode) as file:
            for number in range(20):
                task = asyncio.ensure_future(file.readline())
                for _ in range(number % 4):
                    await asyncio.sleep(0)
                os.write(writer, b"half ")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            os.write(writer, b"end\n")
            line = await file.readline()
            assert line in ("half " * 20 + "end\n", b"half " * 20 + b"end\n")

    run(main())
    os.close(writer)


def test_cancellation_is_remembered_however_often_it_is_asked_for() -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        async with aiofile.open(reader, "rb") as file:
            task = asyncio.ensure_future(file.read(5))
            await asyncio.sleep(0)
            for _ in range(5):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            os.write(writer, b"hello")
            assert await file.read(5) == b"hello"

    run(main())
    os.close(writer)


def test_cancellation_of_a_close_still_closes(tmp_path: Path) -> None:
    before = descriptors()

    async def main() -> None:
        for turns in range(6):
            file = await aiofile.open(tmp_path / "f", "wb")
            await file.write(b"x" * 1000)
            task = asyncio.ensure_future(file.close())
            for _ in range(turns):
                await asyncio.sleep(0)
            if not task.done():
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            # A task that was cancelled before it began has done nothing: then closing is still to do.
            assert file.closed or turns == 0
            await file.close()
            assert (tmp_path / "f").stat().st_size == 1000

    run(main())
    assert not {name for name in descriptors() - before if "/f" in name}


def test_cancellation_while_waiting_for_a_turn_leaves_the_others_their_turns(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(LARGE) + b"0123456789")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "rb") as file:
            first = asyncio.ensure_future(file.read(LARGE))
            second = asyncio.ensure_future(file.read(2))
            third = asyncio.ensure_future(file.read(2))
            await asyncio.sleep(0)
            second.cancel()
            assert len(await first) == LARGE
            assert await third == b"01"
            assert second.cancelled()

    run(main())


# End of file is asked again.


@pytest.mark.parametrize("mode", ["r", "rb"])
@pytest.mark.parametrize("size", [6, 50_000])
def test_end_of_file_is_asked_again(tmp_path: Path, mode: Any, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first\n")

    async def main() -> None:
        async with aiofile.open(path, mode) as file:
            assert len(await file.readline()) == 6
            for _ in range(3):
                assert not await file.readline()
                assert not await file.read()
                assert [line async for line in file] == []
                with path.open("ab") as other:
                    other.write(b"x" * (size - 1) + b"\n")
                assert len(await file.readline()) == size

    run(main())


def test_end_of_file_is_asked_again_after_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"no end")

    async def main() -> None:
        async with aiofile.open(path) as file:
            assert await file.readline() == "no end"
            with path.open("ab") as other:
                other.write(b" of line\n")
            assert await file.readline() == " of line\n"

    run(main())


# Thread safety.


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_thread_safety_the_garbage_collector_of_any_thread_flushes_and_warns(
    tmp_path: Path, mode: Any
) -> None:
    async def main() -> list[Any]:
        file = await aiofile.open(tmp_path / "f", mode)
        await file.write("unsaved" if mode == "w" else b"unsaved")
        return [file]

    holder = run(main())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        collector = threading.Thread(target=holder.clear)
        collector.start()
        collector.join()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert (tmp_path / "f").read_bytes() == b"unsaved"


def test_thread_safety_several_loops_use_one_file(tmp_path: Path) -> None:
    lines = [b"%04d %s\n" % (number, b"x" * (number % 3000)) for number in range(3000)]
    (tmp_path / "f").write_bytes(b"".join(lines))
    file = run(opened(tmp_path / "f"))
    seen: list[list[bytes]] = [[] for _ in range(4)]

    def read(into: list[bytes]) -> None:
        async def main() -> None:
            async for line in file:
                into.append(line)

        asyncio.run(main())

    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    run(file.close())
    assert sorted(line for part in seen for line in part) == lines
    for part in seen:
        assert part == sorted(part)


def test_thread_safety_several_loops_write_one_file(tmp_path: Path) -> None:
    file = run(opened(tmp_path / "f", "wb"))

    def write(letter: bytes) -> None:
        async def main() -> None:
            for size in (10, 5000, 100, 20_000) * 20:
                await file.write(letter * size + b"\n")

        asyncio.run(main())

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    run(file.close())
    written = (tmp_path / "f").read_bytes().splitlines()
    assert len(written) == 3 * 80
    assert all(len(set(line)) == 1 for line in written), "bytes of two tasks were mixed"


async def opened(path: Any, mode: Any = "rb", **options: Any) -> Any:
    return await aiofile.open(path, mode, **options)


# One driver per thread.


def test_one_driver_per_thread_a_thousand_runs_make_one_ring(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 200_000)

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "rb") as file:
            assert len(await file.read()) == 200_000

    run(main())
    before = descriptors(), rings()
    for _ in range(1000):
        asyncio.run(main())
    assert (descriptors(), rings()) == before
    assert before[1] == (1 if ENGINE == "uring" else 0)


def test_one_driver_per_thread_a_ring_dies_with_its_thread(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 200_000)
    inside: list[int] = []
    run(opened_and_closed(tmp_path / "f"))
    before = rings()

    def work() -> None:
        asyncio.run(opened_and_closed(tmp_path / "f"))
        inside.append(rings())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before + (ENGINE == "uring")]
    # A thread is joined before the last of it is gone.
    run(until(lambda: rings() == before))


async def opened_and_closed(path: Path) -> None:
    async with aiofile.open(path, "rb") as file:
        await file.read()


def test_one_driver_per_thread_buffers_do_not_die_with_their_loop() -> None:
    """A read of a pipe is in flight when its loop is closed; the next loop of the thread goes on."""
    reader, writer = os.pipe()
    file = run(opened(reader, "rb"))

    loop = asyncio.new_event_loop()
    task = loop.create_task(file.read(5))
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    del task, loop
    gc.collect()
    os.write(writer, b"hello world")
    os.close(writer)

    async def rest() -> Any:
        return await file.read()

    got = run(rest())
    assert got in (b"hello world", b" world")
    run(file.close())


def test_one_driver_per_thread_a_forked_child_starts_fresh(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, os, sys, warnings
        # Forking with threads around is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        path = sys.argv[1]

        async def work():
            async with aiofile.open(path, "w+b") as file:
                await file.write(b"x" * 300_000)
                await file.seek(0)
                return len(await file.read())

        async def main():
            assert await work() == 300_000
            file = await aiofile.open(path, "rb")
            await file.read(3)
            child = os.fork()
            if child == 0:
                # The loop of the parent is the parent's: a child starts its own, in a thread of its own.
                import threading
                status = []
                def inside():
                    async def again():
                        return len(await file.read(5)), await work()
                    status.append(asyncio.run(again()))
                thread = threading.Thread(target=inside)
                thread.start()
                thread.join()
                os._exit(0 if status == [(5, 300_000)] else 1)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            assert await work() == 300_000
            await file.close()

        asyncio.run(main())
        child = os.fork()
        if child == 0:
            os._exit(0 if asyncio.run(work()) == 300_000 else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert asyncio.run(work()) == 300_000
    """
    done = child(program, str(tmp_path / "f"))
    succeed(done)


# Demotion.


def test_demotion_gives_the_real_buffer_at_the_same_position(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "w+", encoding="utf-8", newline="") as file:
            await file.write("één\r\ntwee\r\n")
            await file.seek(0)
            assert await file.readline() == "één\r\n"
            assert await file.write("") == 0
            number = file.fileno()
            buffer = file.buffer
            assert isinstance(buffer, io.BufferedRandom)
            # Where io has decoded to.
            assert (buffer.fileno(), buffer.tell(), buffer.name) == (number, 13, str(path))
            assert file.buffer is buffer
            # The file goes on as before, in the executor.
            assert await file.readline() == ""
            assert await file.write("drie\r\n") == 6
            await file.flush()
            assert not file.closed
            at = await file.tell()
            await file.seek(0)
            assert [line async for line in file] == ["één\r\n", "twee\r\n", "drie\r\n"]
            await file.seek(0)
            assert await file.readlines() == ["één\r\n", "twee\r\n", "drie\r\n"]
            assert await file.truncate(7) == 7
            assert await file.seek(7) == 7
            assert at == 19
        assert file.closed
        assert buffer.closed

    run(main())
    assert path.read_bytes() == "één\r\n".encode()


def test_demotion_of_bytes_serves_every_method(tmp_path: Path) -> None:
    async def main() -> None:
        buffered: Any = aiofile.open(tmp_path / "f", "w+b", buffering=100)
        async with buffered as file:
            await file.write(b"0123456789\nabc")
            raw = file.raw
            assert isinstance(raw, io.FileIO)
            assert raw is file.raw
            assert (tmp_path / "f").read_bytes() == b"0123456789\nabc"
            assert await file.seek(0) == 0
            assert await file.read(2) == b"01"
            assert (await file.peek())[:2] == b"23"
            assert await file.read1(2) == b"23"
            memory = bytearray(2)
            assert await file.readinto(memory) == 2
            assert memory == b"45"
            assert await file.pread(3, 7) == b"789"
            assert await file.pwrite(b"XY", 6) == 2
            assert await file.readline() == b"XY89\n"
            assert [batch async for batch in file.lines()] == [[b"abc"]]
            assert await file.tell() == 14
            assert file.readable()
            assert await file.writable()
            assert await file.seekable()
            assert not await file.isatty()

    run(main())


def test_demotion_by_detach_leaves_the_file_of_no_use(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one\ntwo\n")

    async def main() -> None:
        file = await aiofile.open(tmp_path / "f")
        assert await file.readline() == "one\n"
        with file.detach() as buffer:
            assert buffer.readline() == b"two\n"
        for use in (file.read, file.readline, file.close, file.tell):
            with pytest.raises(ValueError, match="detached"):
                await use()

    run(main())


def test_demotion_keeps_what_was_read_ahead_of_a_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\nthree\n")
    os.close(writer)

    async def main() -> None:
        async with aiofile.open(reader) as file:
            assert await file.readline() == "one\n"
            assert file.buffer.readline() == b"two\n"
            assert await file.read() == "three\n"

    run(main())


def test_demotion_is_refused_while_an_operation_is_under_way() -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        async with aiofile.open(reader, "rb") as file:
            task = asyncio.ensure_future(file.read(2))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="under way"):
                _ = file.raw
            os.write(writer, b"ab")
            assert await task == b"ab"
            assert isinstance(file.raw, io.FileIO)

    run(main())
    os.close(writer)


def test_demotion_runs_every_call_in_the_executor(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one\ntwo\n")

    async def main() -> int:
        executor = CountingExecutor()
        asyncio.get_running_loop().set_default_executor(executor)
        async with aiofile.open(tmp_path / "f", "rb") as file:
            await file.readline()
            assert executor.submitted == 0
            _ = file.raw
            await file.readline()
            await file.read()
            await file.seek(0)
        return executor.submitted

    assert run(main()) == 4


# Opening.


def test_opening_a_fifo_waits_for_its_other_end_without_holding_the_loop(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def main() -> None:
        opening = asyncio.ensure_future(opened(tmp_path / "fifo"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not opening.done(), "a FIFO without a writer reads a false end of file"
        # Whoever opens the other end waits for us too.
        writer = await asyncio.to_thread(os.open, tmp_path / "fifo", os.O_WRONLY)
        file = await opening
        os.write(writer, b"hello")
        os.close(writer)
        assert await file.read() == b"hello"
        await file.close()

    run(main())


def test_opening_that_is_cancelled_leaves_no_descriptor(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = descriptors()

    async def main() -> None:
        for turns in range(5):
            opening = asyncio.ensure_future(opened(tmp_path / "fifo"))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        # What still waits in a thread ends here, and closes what it got.
        other = os.open(tmp_path / "fifo", os.O_RDWR)
        await until(lambda: sum("fifo" in name for name in descriptors() - before) == 1)
        os.close(other)

    run(main())
    assert not {name for name in descriptors() if "fifo" in name}


def test_opening_with_truncation_and_closing_of_written_files_do_not_hold_the_loop(tmp_path: Path) -> None:
    """Both are done elsewhere: the loop turns at least once in between."""
    path = tmp_path / "f"
    path.write_bytes(bytes(LARGE))

    async def main() -> None:
        turns: list[str] = []
        asyncio.get_running_loop().call_soon(turns.append, "opening")
        file = await aiofile.open(path, "wb")
        assert turns == ["opening"]
        await file.write(b"x")
        asyncio.get_running_loop().call_soon(turns.append, "closing")
        await file.close()
        assert turns == ["opening", "closing"]

    run(main())


# Delivery.


def test_delivery_goes_on_after_a_future_that_was_cancelled(tmp_path: Path) -> None:
    """Many completions arrive in one turn; those of cancelled tasks must not swallow the others."""
    (tmp_path / "f").write_bytes(bytes(range(256)) * 4096)

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "rb", buffering=0) as file:
            # The kernel may not answer at once: more than is read inline.
            tasks = [asyncio.ensure_future(file.pread(200_000, number * 7)) for number in range(60)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            # The loop is busy with something else until the first of them have ended.
            bells = [int(name.split()[0]) for name in descriptors() if "[eventfd]" in name]
            assert select.select(bells, [], [], LONGEST_WAIT)[0]
            results = await asyncio.gather(*tasks, return_exceptions=True)
        expected = bytes(range(256)) * 4096
        for number, result in enumerate(results):
            if number % 2:
                assert result == expected[number * 7 : number * 7 + 200_000]
            else:
                assert isinstance(result, asyncio.CancelledError)

    run(main())


def test_delivery_leaves_no_buffer_behind(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(LARGE))

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "rb") as file:
            await asyncio.gather(*(file.read(10) for _ in range(100)))

    run(main())
    gc.collect()
    assert _native.buffers_in_use() == 0
