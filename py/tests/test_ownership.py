"""Who has a file, and that it is given back: once, whatever becomes of the coroutine that had it."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import aiofile
from support import child, run, succeed, until


class Interruption(BaseException):
    """What a signal handler raises."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_a_coroutine_that_is_closed_while_it_reads_a_pipe_takes_no_bytes(pipe: tuple[int, int]) -> None:
    reader, writer = pipe

    async def check() -> None:
        file = await aiofile.open(reader, "rb", closefd=False)
        reading = file.read(5)
        reading.send(None)
        reading.close()
        next_one = asyncio.create_task(file.read(5))
        await asyncio.sleep(0)
        os.write(writer, b"0123456789")
        assert await next_one == b"01234"
        assert await file.read(5) == b"56789"
        await file.close()

    run(check())


def test_a_coroutine_that_is_closed_in_a_read_of_many_steps_puts_back_what_it_had(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe

    async def check() -> None:
        async with aiofile.open(reader, "r", closefd=False) as file:
            os.write(writer, b"one\ntwo\n")
            reading = file.readlines()
            reading.send(None)
            reading.close()
            assert await file.readline() == "one\n"
            assert await file.readline() == "two\n"

    run(check())


def test_the_file_of_a_loop_that_was_closed_is_free_for_the_next(pipe: tuple[int, int]) -> None:
    """One task was reading, another waited for its turn; nobody cancelled either."""
    reader, writer = pipe
    first = asyncio.new_event_loop()
    files: list[aiofile.BinaryFile] = []
    tasks: list[Any] = []

    async def begin() -> None:
        files.append(await aiofile.open(reader, "rb", closefd=False))
        tasks.extend(asyncio.ensure_future(files[0].read(5)) for _ in range(2))
        for _ in range(3):
            await asyncio.sleep(0)

    async def go_on() -> None:
        os.write(writer, b"0123456789")
        assert await files[0].read(5) == b"01234"
        assert await files[0].read(5) == b"56789"
        await files[0].close()

    first.run_until_complete(begin())
    first.close()
    run(go_on())
    for task in tasks:
        # They are destroyed while pending, which asyncio would complain about.
        task._log_destroy_pending = False
    tasks.clear()
    gc.collect()


def test_a_dead_coroutine_that_is_collected_late_changes_nothing(tmp_path: Path) -> None:
    """Its read was rolled back when its loop was found closed, not when it was collected."""
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(100_000)))
    first = asyncio.new_event_loop()
    files: list[aiofile.TextFile] = []
    tasks: list[Any] = []

    async def begin() -> None:
        files.append(await aiofile.open(path))
        tasks.append(asyncio.ensure_future(files[0].readlines()))
        for _ in range(4):
            await asyncio.sleep(0)
        assert not tasks[0].done()

    async def go_on() -> None:
        file = files[0]
        tasks[0]._log_destroy_pending = False
        tasks.clear()
        gc.collect()
        assert await file.readline() == "0\n"
        gc.collect()
        assert await file.readline() == "1\n"
        await file.close()

    first.run_until_complete(begin())
    first.close()
    run(go_on())


# The interruption may come between making a coroutine and awaiting it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_signal_between_any_two_steps_leaves_the_file_free(tmp_path: Path) -> None:
    """The handler raises at the n-th bytecode of ours, for every n until the operations succeed."""
    path = tmp_path / "file"
    path.write_bytes(b"line\n" * 10)
    hits = 0

    async def operation(file: Any) -> None:
        await file.tell()
        await file.readlines()
        await file.flush()

    async def check() -> None:
        nonlocal hits
        async with aiofile.open(path, "rb+") as file:
            for limit in range(10_000):
                await file.seek(0)
                events = 0

                def trace(frame: FrameType, event: str, _: Any, limit: int = limit) -> Any:
                    nonlocal events
                    if not frame.f_code.co_filename.endswith("_file.py"):
                        return None
                    frame.f_trace_opcodes = True
                    if event == "opcode":
                        events += 1
                        if events > limit:
                            raise Interruption
                    return trace

                before = sys.gettrace()
                # Python 3.12 looks here once for whether anybody wants the bytecodes.
                sys._getframe().f_trace_opcodes = True
                sys.settrace(trace)
                try:
                    await operation(file)
                except Interruption:
                    hits += 1
                else:
                    return
                finally:
                    sys.settrace(before)
                await until(file._admit)

    run(check())
    assert hits > 100


def test_what_a_signal_handler_raises_during_delivery_loses_no_wake_up(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    raised = 0

    async def check() -> None:
        nonlocal raised
        event_loop: Any = asyncio.get_running_loop()
        file = await aiofile.open(reader, "rb", closefd=False)
        reading = asyncio.create_task(file.read(3))
        for _ in range(3):
            await asyncio.sleep(0)
        call_soon = event_loop.call_soon

        def interrupted(*arguments: Any, **context: Any) -> Any:
            nonlocal raised
            event_loop.call_soon = call_soon
            raised += 1
            raise RuntimeError("as of a signal handler")

        complaints: list[Any] = []
        event_loop.set_exception_handler(lambda _, context: complaints.append(context))
        event_loop.call_soon = interrupted
        threading.Timer(0, os.write, (writer, b"abc")).start()
        assert await reading == b"abc"
        assert [str(complaint["exception"]) for complaint in complaints] == ["as of a signal handler"]
        await file.close()

    run(check())
    assert raised == 1


def test_every_task_on_one_tail_is_woken_and_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("")

    async def check() -> None:
        async with aiofile.tail(path) as log:
            first, second = (asyncio.ensure_future(log.__anext__()) for _ in range(2))
            third = asyncio.ensure_future(log.__anext__())
            for _ in range(3):
                await asyncio.sleep(0)
            third.cancel()
            await asyncio.wait([third])
            assert third.cancelled()
            assert not first.done()
            with path.open("a") as writer:
                writer.write("1\n2\n")
            assert sorted(await asyncio.gather(first, second)) == ["1\n", "2\n"]
            last = [asyncio.ensure_future(log.__anext__()) for _ in range(2)]
            await asyncio.sleep(0)
        ended = await asyncio.gather(*last, return_exceptions=True)
        assert [type(outcome) for outcome in ended] == [StopAsyncIteration] * 2

    run(check())


def test_a_loop_that_ends_does_not_wait_for_a_full_pipe() -> None:
    done = child(
        """
        import asyncio, os, warnings, aiofile
        warnings.simplefilter("always")
        reader, writer = os.pipe()
        async def main():
            file = await aiofile.open(writer, "wb")
            os.set_blocking(writer, False)
            try:
                while True:
                    os.write(writer, b"x" * 4096)
            except BlockingIOError:
                os.set_blocking(writer, True)
            await file.write(b"y" * 1000)
            asyncio.create_task(file.close())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        asyncio.run(main())
        print("ended")
        """
    )
    assert done.stdout == "ended\n", done.stderr
    assert "lost data" in done.stderr


def test_close_ends_a_read_that_waits_for_the_other_end(pipe: tuple[int, int]) -> None:
    async def check() -> None:
        file = await aiofile.open(pipe[0], "rb", closefd=False)
        reads = [asyncio.create_task(file.read(5)) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0)
        await file.close()
        assert file.closed
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["I/O operation on closed file."] * 2

    run(check())


def test_a_cancelled_close_closes_though_a_write_waits_for_the_other_end(pipe: tuple[int, int]) -> None:
    async def check() -> None:
        file = await aiofile.open(pipe[1], "wb", closefd=False)
        writing = asyncio.create_task(file.write(bytes(1024 * 1024)))
        for _ in range(3):
            await asyncio.sleep(0)
        closing = asyncio.create_task(file.close())
        for _ in range(3):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert file.closed
        writing.cancel()
        await asyncio.wait([writing])

    run(check())


def test_a_file_is_closed_when_its_loop_ends_in_the_middle_of_closing(pipe: tuple[int, int]) -> None:
    files: list[aiofile.BinaryFile] = []

    async def begin() -> None:
        file = await aiofile.open(pipe[1], "wb", closefd=False)
        files.append(file)
        tasks = [asyncio.create_task(file.write(bytes(1024 * 1024))), asyncio.create_task(file.close())]
        for _ in range(3):
            await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)

    run(begin())
    assert files[0].closed


@pytest.mark.parametrize("hint", [-1, 10_000_000])
def test_cancelled_readlines_lose_no_line(tmp_path: Path, hint: int) -> None:
    path = tmp_path / "lines"
    lines = [f"{number}\n" for number in range(300_000)]
    path.write_text("".join(lines))

    async def check() -> None:
        async with aiofile.open(path) as file:
            for turns in range(1, 4):
                task = asyncio.create_task(file.readlines(hint))
                for _ in range(turns):
                    await asyncio.sleep(0)
                assert task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
                assert await file.tell() == 0
            assert await file.readlines(hint) == lines

    run(check())


def test_writelines_of_two_tasks_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines"

    async def check() -> None:
        async with aiofile.open(path, "w") as file:
            await asyncio.gather(*[file.writelines([letter + "\n"] * 3000) for letter in "abc"])

    run(check())
    assert path.read_text() == "a\n" * 3000 + "b\n" * 3000 + "c\n" * 3000


def test_readlines_with_a_hint_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    lines = [f"{number}\n" for number in range(6000)]
    path.write_text("".join(lines))
    half = sum(map(len, lines[:3000])) - 1

    async def check() -> None:
        async with aiofile.open(path) as file:
            first, second = await asyncio.gather(file.readlines(half), file.readlines())
            assert first + second == lines
            assert len(first) == 3000

    run(check())


def test_writelines_of_nothing_refuses_a_closed_file(tmp_path: Path) -> None:
    async def check() -> None:
        file = await aiofile.open(tmp_path / "file", "w")
        await file.close()
        with pytest.raises(ValueError, match="closed file"):
            await file.writelines([])

    run(check())


def test_two_tasks_that_await_one_opening_get_the_same_file(tmp_path: Path) -> None:
    async def check() -> None:
        opening = aiofile.open(tmp_path / "file", "w")

        async def wait() -> aiofile.TextFile:
            return await opening

        first, second, third = (asyncio.create_task(wait()) for _ in range(3))
        await asyncio.sleep(0)
        first.cancel()
        file = await second
        assert await third is file
        assert await opening is file
        await file.close()

    run(check())


def test_an_operation_keeps_its_file_until_it_has_ended(tmp_path: Path) -> None:
    """A coroutine that is closed in the middle of a large read leaves nothing half done behind."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(4 * 1024 * 1024))

    async def check() -> None:
        async with aiofile.open(path, "rb") as file:
            for _ in range(20):
                reading = file.read()
                reading.send(None)
                reading.close()
                await until(file._admit)
                assert await file.tell() == 0
            assert await file.read() == path.read_bytes()

    run(check())


def test_a_child_that_holds_nothing_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    output = succeed(
        child(
            """
            import asyncio, os, sys, aiofile
            async def main():
                file = await aiofile.open(sys.argv[1], "rb")
                reader, writer = os.pipe()
                pipe = await aiofile.open(reader, "rb")
                reading = asyncio.create_task(pipe.read(1))
                await asyncio.sleep(0)
                hold = file._hold()
                await hold
                if (pid := os.fork()) == 0:
                    os._exit(0 if file._admit() else 1)
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file._admit())
                del hold
                print(file._admit())
                os.write(writer, b"x")
                await reading
                await pipe.close()
                await file.close()
                os.close(writer)
            asyncio.run(main())
            """,
            str(path),
        )
    )
    assert output == "0 False\nTrue\n"


@pytest.mark.parametrize(("mode", "buffering"), [("ab", 4096), ("wb", 0)])
def test_every_cancelled_write_at_the_files_own_position_comes_back(
    tmp_path: Path, mode: Any, buffering: int
) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", mode, buffering=buffering) as file:
            for number in range(1500):
                writing = asyncio.ensure_future(file.write(b"x" * 9000))
                for _ in range(1 + number % 4):
                    await asyncio.sleep(0)
                writing.cancel()
                done, _ = await asyncio.wait([writing], timeout=30)
                assert done, f"write {number} never came back"
                if number % 100 == 0:
                    await file.truncate(0)

    run(main())
