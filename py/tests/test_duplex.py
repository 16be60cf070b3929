"""One file that is read and written at the same time: sockets, terminals, what a program wrapped."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import os
import select
import socket
import termios
import tty
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import aiofile
from aiofile import _demoted
from support import LONGEST_WAIT, child, descriptors, run, succeed, until


class Line:
    """Two ends of one thing; this side of it is read and written through one file."""

    def __init__(self, kind: str) -> None:
        self._filling = 0
        if kind == "socket":
            self.here, self.there = (end.detach() for end in socket.socketpair())
        else:
            self.there, self.here = os.openpty()
            tty.setraw(self.here)
            tty.setraw(self.there)
        os.set_blocking(self.there, False)

    async def hear(self, count: int) -> bytes:
        """What the other end gets, so many bytes of it."""
        heard = b""
        while len(heard) < count:
            await until(lambda: bool(select.select([self.there], [], [], 0)[0]))
            heard += os.read(self.there, count - len(heard))
        return heard

    def say(self, said: bytes) -> None:
        """Has the other end send something short."""
        assert os.write(self.there, said) == len(said)

    def stop(self) -> None:
        """Has what is written here wait from now on."""
        if os.isatty(self.here):
            termios.tcflow(self.here, termios.TCOOFF)
            return
        os.set_blocking(self.here, False)
        for size in (4096, 1):
            with suppress(BlockingIOError):
                while True:
                    self._filling += os.write(self.here, bytes(size))
        os.set_blocking(self.here, True)

    async def go_on(self) -> None:
        """Has it go to the other end again."""
        if os.isatty(self.here):
            termios.tcflow(self.here, termios.TCOON)
        else:
            await self.hear(self._filling)
            self._filling = 0


@pytest.fixture(params=["socket", "tty"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    """A line whose ends are closed with the test."""
    line = Line(request.param)
    yield line
    os.close(line.here)
    os.close(line.there)


@contextmanager
def opened(how: str, descriptor: int) -> Iterator[Callable[[], Any]]:
    """Something to be called that opens a file for both directions, to be awaited."""
    with ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(4))

        async def open_it() -> Any:
            if how == "native":
                return await aiofile.open(descriptor, "r+b", 0, closefd=False)
            if how == "executor":
                return await aiofile.open(descriptor, "r+b", 0, closefd=False, executor=executor)
            reader, writer = (io.FileIO(descriptor, mode, closefd=False) for mode in "rw")
            return aiofile.threadpool.wrap(io.BufferedRWPair(reader, writer), executor=executor)

        yield open_it


HOW = pytest.mark.parametrize("how", ["native", "executor", "pair"])


async def begun(coroutine: Any) -> asyncio.Task[Any]:
    """A task that has come to where it waits."""
    task: asyncio.Task[Any] = asyncio.ensure_future(coroutine)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def answer(file: Any, count: int) -> bytes:
    """Reads so many bytes in whatever pieces they come."""
    result = b""
    while len(result) < count:
        result += await file.read(1)
    return result


async def ask(file: Any, data: bytes) -> None:
    await file.write(data)
    await file.flush()


@HOW
def test_a_read_waits_for_the_answer_to_what_is_written_meanwhile(line: Line, how: str) -> None:
    async def main() -> None:
        with opened(how, line.here) as open_it:
            file = await open_it()
            for question in (b"ping", b"pong"):
                reading = await begun(answer(file, 11))
                await ask(file, question)
                assert await line.hear(4) == question
                line.say(b"answer " + question)
                assert await reading == b"answer " + question
            await file.close()

    run(main())


@HOW
def test_a_write_that_nobody_takes_keeps_no_read_waiting(line: Line, how: str) -> None:
    async def main() -> None:
        line.stop()
        with opened(how, line.here) as open_it:
            file = await open_it()
            writing = await begun(ask(file, b"mine"))
            for number in range(100):
                line.say(b"%3d" % number)
                assert await answer(file, 3) == b"%3d" % number
            assert not writing.done()
            await line.go_on()
            assert await line.hear(4) == b"mine"
            await writing
            await file.close()

    run(main())


@HOW
def test_reads_get_what_comes_in_the_order_in_which_they_were_asked_for(line: Line, how: str) -> None:
    async def main() -> None:
        with opened(how, line.here) as open_it:
            file = await open_it()
            reads = [await begun(file.read(1)) for _ in range(20)]
            await ask(file, b"?")
            assert await line.hear(1) == b"?"
            line.say(bytes(range(20)))
            assert await asyncio.gather(*reads) == [bytes([number]) for number in range(20)]
            await file.close()

    run(main())


@HOW
def test_writers_never_mix_their_bytes_while_a_read_waits(line: Line, how: str) -> None:
    pieces = [bytes([65 + number]) * size for number, size in enumerate([1, 70_000, 5, 300_000, 3000])]

    async def main() -> None:
        with opened(how, line.here) as open_it:
            file = await open_it()
            reading = await begun(file.read(1))
            writes = [asyncio.ensure_future(file.write(piece)) for piece in pieces]
            writes.append(asyncio.ensure_future(file.flush()))
            heard = b""
            while not all(write.done() for write in writes) or select.select([line.there], [], [], 0)[0]:
                if select.select([line.there], [], [], 0)[0]:
                    heard += os.read(line.there, 65536)
                await asyncio.sleep(0)
            # An unbuffered write may be short, and says so.
            counts = [write.result() for write in writes[:-1]]
            assert heard == b"".join(piece[:count] for piece, count in zip(pieces, counts, strict=True))
            assert not reading.done()
            line.say(b"!")
            assert await reading == b"!"
            await file.close()

    run(main())


def test_a_cancelled_read_leaves_its_bytes_whatever_is_written_then(line: Line) -> None:
    async def main() -> None:
        async with aiofile.open(line.here, "r+b", 0, closefd=False) as file:
            # `read()` has taken the first bytes, and waits for an end that does not come.
            reading = await begun(file.read())
            line.say(b"kept ")
            await until(lambda: not select.select([line.here], [], [], 0)[0])
            reading.cancel()
            assert await asyncio.wait([reading], timeout=LONGEST_WAIT)
            assert reading.cancelled()
            await file.write(b"question")
            assert await line.hear(8) == b"question"
            line.say(b"and more")
            assert await answer(file, 13) == b"kept and more"

    run(main())


def test_a_cancelled_read_that_had_nothing_takes_nothing(line: Line) -> None:
    async def main() -> None:
        async with aiofile.open(line.here, "r+b", 0, closefd=False) as file:
            for number in range(50):
                reading = await begun(file.read(9))
                reading.cancel()
                await asyncio.wait([reading])
                await file.write(b"q%02d" % number)
                assert await line.hear(3) == b"q%02d" % number
                line.say(b"a%02d" % number)
                assert await file.read(9) == b"a%02d" % number

    run(main())


def test_cancelled_writes_leave_their_side_and_the_read_that_waits(line: Line) -> None:
    async def main() -> None:
        async with aiofile.open(line.here, "r+b", 0, closefd=False) as file:
            reading = await begun(file.read(1))
            line.stop()
            # A cancel that comes while the kernel only begins to wait must not be lost.
            for _ in range(3000):
                writing = await begun(file.write(b"never"))
                writing.cancel()
                assert await asyncio.wait([writing], timeout=LONGEST_WAIT) == ({writing}, set())
                assert writing.cancelled()
            await line.go_on()
            await file.write(b"later")
            assert await line.hear(5) == b"later"
            line.say(b"x")
            assert await reading == b"x"

    run(main())


@pytest.mark.parametrize("controlling", [False, True])
def test_a_terminal_takes_a_long_write_as_it_is_read(controlling: bool) -> None:
    sent = bytes(range(256)) * 1000

    async def main() -> None:
        ends = os.openpty()
        for end in ends:
            tty.setraw(end)
        here, there = ends if controlling else ends[::-1]
        os.set_blocking(there, False)
        heard = bytearray()
        asyncio.get_running_loop().add_reader(there, lambda: heard.extend(os.read(there, 100)))
        async with aiofile.open(here, "wb", 1000, closefd=False) as file:
            await file.write(sent)
        await until(lambda: len(heard) == len(sent))
        assert heard == sent
        asyncio.get_running_loop().remove_reader(there)
        for end in ends:
            os.close(end)

    run(main())


def test_close_ends_a_read_that_waits_and_what_was_asked_before_it_is_done(line: Line) -> None:
    async def main() -> None:
        file = await aiofile.open(line.here, "r+b", 0, closefd=False)
        reads = [await begun(file.read(1)) for _ in range(2)]
        line.stop()
        writing = await begun(file.write(b"last"))
        closing = await begun(file.close())
        late = await begun(file.write(b"late"))
        for outcome in await asyncio.gather(*reads, return_exceptions=True):
            assert isinstance(outcome, ValueError)
            assert str(outcome) == "I/O operation on closed file."
        assert not closing.done(), "the write has not been taken"
        await line.go_on()
        assert await line.hear(4) == b"last"
        assert await writing == 4
        await closing
        with pytest.raises(ValueError, match="closed file"):
            await late
        assert file.closed

    run(main())


def test_close_during_a_read_lets_the_other_end_know_at_once() -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        there.setblocking(False)
        file = await aiofile.open(here.detach(), "r+b", 0)
        reading = await begun(file.read(1))
        await file.close()
        with pytest.raises(ValueError, match="closed file"):
            await reading
        assert there.recv(1) == b""
        there.close()

    run(main())


@pytest.mark.parametrize(
    ("mode", "buffering", "executor"),
    [("rb", 0, False), ("rb", -1, False), ("r", -1, False), ("rb", 0, True), ("rb", -1, True)],
)
def test_what_needs_no_bytes_is_answered_while_a_read_waits(
    mode: str, buffering: int, executor: bool
) -> None:
    async def main() -> None:
        reader, writer = os.pipe()
        with ThreadPoolExecutor(4) as threads:
            options: Any = {"executor": threads} if executor else {}
            opens: Any = aiofile.open
            file = await opens(reader, mode, buffering, **options)
            reading = await begun(file.read(1))
            assert file.fileno() == reader
            assert not file.closed
            assert (await file.isatty(), await file.seekable(), await file.writable()) == (False,) * 3
            await file.flush()
            for refused in (file.tell, lambda: file.seek(0), lambda: file.truncate(0)):
                with pytest.raises((OSError, ValueError)):
                    await refused()
            assert not reading.done()
            os.write(writer, b"x")
            assert await reading in {"x", b"x"}
            await file.close()
        os.close(writer)

    run(main())


def test_a_read_of_a_fifo_opened_for_both_gets_what_the_same_file_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def main() -> None:
        async with aiofile.open(tmp_path / "fifo", "r+b", 0) as file:
            reads = [await begun(file.read(4)) for _ in range(2)]
            await file.write(b"four")
            await file.write(b"more")
            assert await asyncio.gather(*reads) == [b"four", b"more"]
            # Two files, as most programs have it.
            async with aiofile.open(tmp_path / "fifo", "rb") as end:
                reading = await begun(end.readline())
                await file.write(b"a line\n")
                assert await reading == b"a line\n"

    run(main())


def test_lines_of_a_socket_are_iterated_over_while_others_are_sent() -> None:
    async def main() -> None:
        here, there = (end.detach() for end in socket.socketpair())

        async def echo() -> None:
            async with aiofile.open(there, "r+b", 0) as file:
                async for received in file:
                    await file.write(received.upper())

        async with aiofile.open(here, "r+b", 0) as file:
            echoing = asyncio.ensure_future(echo())
            answers: list[bytes] = []

            async def listen() -> None:
                async for received in file:
                    answers.append(received)
                    if len(answers) == 300:
                        return

            listening = asyncio.ensure_future(listen())
            for number in range(300):
                await file.write(b"line %d\n" % number)
            await listening
            assert answers == [b"LINE %d\n" % number for number in range(300)]
        await echoing

    run(main())


def test_a_file_dropped_while_it_is_read_and_written_leaves_no_descriptor() -> None:
    before = descriptors()

    async def main(line: Line) -> None:
        file = await aiofile.open(os.dup(line.here), "r+b", 0)
        line.stop()
        await begun(file.read(1))
        await begun(file.write(b"never"))

    def drop() -> None:
        run(main(ends))
        gc.collect()

    ends = Line("socket")
    with pytest.warns(ResourceWarning, match="unclosed file"):
        drop()
    os.close(ends.here)
    os.close(ends.there)
    left = {name for name in descriptors() - before if "io_uring" not in name and "event" not in name}
    assert not left


def test_a_forked_child_writes_to_a_file_that_its_parent_reads() -> None:
    output = succeed(
        child(
            """
            import asyncio, os, socket, aiofile
            here, there = socket.socketpair()
            async def talk(file):
                # Its parent's reader is nobody here. (What comes is the parent's all the same.)
                async with file._hold(reads=True):
                    return await file.write(b"question")
            async def main():
                file = await aiofile.open(here.fileno(), "r+b", 0, closefd=False)
                reading = asyncio.ensure_future(file.read(100))
                for _ in range(3):
                    await asyncio.sleep(0)
                if (pid := os.fork()) == 0:
                    asyncio.events._set_running_loop(None)
                    asyncio.set_event_loop(None)
                    os._exit(asyncio.run(talk(file)))
                pid, status = await asyncio.to_thread(os.waitpid, pid, 0)
                print(os.waitstatus_to_exitcode(status), reading.done(), there.recv(100))
                await file.write(b"again")
                print(there.recv(100))
                there.send(b"for the parent")
                print(await reading)
                await file.close()
            asyncio.run(main())
            here.close(); there.close()
            """
        )
    )
    assert output == "8 False b'question'\nb'again'\nb'for the parent'\n"


# What has a position has one order.


@pytest.mark.parametrize("executor", [False, True])
@pytest.mark.parametrize("buffering", [0, -1])
def test_a_regular_file_is_read_and_written_in_one_order(
    tmp_path: Path, buffering: int, executor: bool
) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")

    async def main() -> None:
        with ThreadPoolExecutor(4) as threads:
            options: Any = {"executor": threads} if executor else {}
            async with aiofile.open(tmp_path / "f", "r+b", buffering, **options) as file:
                hold = file._hold(reads=True)
                await hold
                operations = [await begun(file.write(b"ab")), await begun(file.read(2))]
                operations += [await begun(file.tell()), await begun(file.write(b"cd"))]
                await hold.__aexit__()
                assert await asyncio.gather(*operations) == [2, b"23", 4, 2]

    run(main())
    assert (tmp_path / "f").read_bytes() == b"ab23cd6789"


def test_a_device_that_only_pretends_to_seek_has_two_sides() -> None:
    async def main() -> None:
        for path, two in (("/dev/zero", True), ("/dev/null", True), (__file__, False)):
            async with aiofile.open(os.open(path, os.O_RDWR), "r+b", 0) as file:
                assert await file.seekable()
                async with file._hold(reads=True):
                    asking = asyncio.ensure_future(file.tell())
                    for _ in range(3):
                        await asyncio.sleep(0)
                    assert asking.done() is two
                assert await asking == 0

    run(main())


def test_only_what_two_threads_may_use_is_read_and_written_at_the_same_time(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with ExitStack() as stack:
        here, there = (stack.enter_context(end) for end in socket.socketpair())
        files = {
            "pair": here.makefile("rwb"),
            "raw socket": here.makefile("rwb", 0),
            "reader": there.makefile("rb"),
            "writer": there.makefile("wb"),
            "text": here.makefile("rw"),
            "raw file": io.FileIO(tmp_path / "f", "r+"),
            "file": io.BufferedRandom(io.FileIO(tmp_path / "f", "r+")),
            "memory": io.BytesIO(),
        }
        for file in files.values():
            stack.enter_context(file)
        two = {name for name, file in files.items() if _demoted.has_two_sides(file)}
        assert two == {"pair", "raw socket", "reader", "writer"}
    assert not _demoted.has_two_sides(files["raw file"]), "it is closed"


def test_an_error_of_one_side_is_not_the_other_side_s(line: Line) -> None:
    async def main() -> None:
        async with aiofile.open(line.here, "r+b", 0, closefd=False) as file:
            reading = await begun(file.read(3))
            with pytest.raises(TypeError):
                await file.write("text")  # type: ignore[arg-type]
            with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
                await file.seek(0)
            line.say(b"abc")
            assert await reading == b"abc"

    run(main())
