"""A process forks while other threads of it are at work: nobody waits for a thread that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import child, succeed

#: Threads that keep their loops busy with every kind of operation, and children that must come to an end.
PRELUDE = """
    import os

    # The hooks of whoever registers later are called earlier: these are called last before the fork.
    hooks = []
    os.register_at_fork(before=lambda: [hook() for hook in hooks])

    import aiofile, asyncio, gc, select, sys, threading, time, warnings

    # Forking with threads around is what this is about.
    warnings.simplefilter("ignore", DeprecationWarning)
    folder = sys.argv[1]
    LONGEST = 30

    def busy(number, stop, turns):
        path = os.path.join(folder, f"busy{number}")

        async def work():
            while not stop.is_set():
                async with aiofile.open(path, "w+b") as file:
                    await file.write(b"x" * 200_000)
                    for _ in range(40):
                        await file.write(b"y" * 1000)
                    await file.seek(0)
                    assert len(await file.read()) == 240_000
                async with aiofile.open(path, "a", encoding="utf-8") as file:
                    for _ in range(40):
                        await file.write("z" * 1000)
                turns[number] += 1

        asyncio.run(work())

    def start(count):
        stop, turns = threading.Event(), [0] * count
        threads = [threading.Thread(target=busy, args=(number, stop, turns)) for number in range(count)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + LONGEST
        while not all(turns):
            assert time.monotonic() < deadline, "the threads never came to work"
            os.sched_yield()
        def end():
            stop.set()
            for thread in threads:
                thread.join(LONGEST)
                assert not thread.is_alive(), "a thread hangs"
        return turns, end

    async def everything(name):
        path = os.path.join(folder, name)
        async with aiofile.open(path, "w+b") as file:
            await file.write(b"x" * 300_000)
            for _ in range(40):
                await file.write(b"y" * 1000)
            await file.seek(0)
            assert len(await file.read()) == 340_000
            await file.truncate(5)
        async with aiofile.open(path, encoding="utf-8") as file:
            assert await file.readline() == "xxxxx"

    def ended(pid):
        # A child that hangs is killed, and said so.
        watch = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        in_time = poll.poll(LONGEST * 1000)
        os.close(watch)
        if not in_time:
            os.kill(pid, 9)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert in_time, "the child hangs"
        assert status == 0, status

    def fork(function):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                function()
                status = 0
            except BaseException as error:
                os.write(2, repr(error).encode())
            finally:
                os._exit(status)
        return pid
"""


def forked(program: str, folder: Path) -> str:
    """What a program prints that forks."""
    return succeed(child(PRELUDE + program, str(folder)))


def test_other_hooks_at_fork_may_let_other_threads_run(tmp_path: Path) -> None:
    program = """
    turns, end = start(2)

    def let_others_run():
        before = list(turns)
        deadline = time.monotonic() + LONGEST
        while turns == before:
            if time.monotonic() > deadline:
                os.write(2, b"nobody else runs while this process forks")
                os._exit(1)
            time.sleep(0)

    hooks.append(let_others_run)
    for number in range(3):
        ended(fork(lambda: asyncio.run(everything("child"))))
    end()
    """
    forked(program, tmp_path)


def test_a_storm_of_forks_while_loops_run_in_other_threads(tmp_path: Path) -> None:
    program = """
    turns, end = start(3)
    # Several at a time: a lock that somebody held at the fork stays so for good in one of them.
    for number in range(40):
        pids = [fork(lambda name=f"child{each}": asyncio.run(everything(name))) for each in range(3)]
        for pid in pids:
            ended(pid)
    end()
    """
    forked(program, tmp_path)


def test_processes_are_forked_from_a_thread_while_loops_run_in_others(tmp_path: Path) -> None:
    program = """
    import multiprocessing

    context = multiprocessing.get_context("fork")
    turns, end = start(2)
    codes = []

    def spawn():
        for number in range(5):
            name = f"{threading.current_thread().name}-{number}"
            process = context.Process(target=lambda: asyncio.run(everything(name)))
            process.start()
            deadline = time.monotonic() + LONGEST
            process.join(LONGEST)
            # The other thread may have waited for it, and is about to write down how it ended.
            while process.exitcode is None and time.monotonic() < deadline:
                os.sched_yield()
            codes.append(process.exitcode)
            if process.exitcode is None:
                process.kill()

    spawning = [threading.Thread(target=spawn) for _ in range(2)]
    for thread in spawning:
        thread.start()
    for thread in spawning:
        thread.join()
    asyncio.run(everything("parent"))
    end()
    assert codes == [0] * 10, codes
    """
    forked(program, tmp_path)


@pytest.mark.parametrize("threads", [1, 4])
def test_every_lock_of_the_buffers_may_be_held_when_a_child_is_forked(tmp_path: Path, threads: int) -> None:
    # Threads of ours, which run without the interpreter, take buffers and give them back all the time.
    program = f"""
    turns, end = start({threads})
    async def buffers():
        files = [await aiofile.open(os.path.join(folder, "busy0"), "rb") for _ in range(20)]
        for file in files:
            await file.read(10)
        for file in files:
            await file.close()
    for number in range(60):
        ended(fork(lambda: asyncio.run(buffers())))
    end()
    """
    forked(program, tmp_path)


def test_a_file_that_was_locked_at_the_fork_is_a_closed_one_in_the_child(tmp_path: Path) -> None:
    program = """
    import builtins

    path = os.path.join(folder, "f")
    pids = []

    def in_child():
        builtins.__import__ = importing
        # Nobody is there to unlock it. Threads find that out together.
        assert file.closed
        async def use():
            for operation in (file.write("x"), file.flush()):
                try:
                    await operation
                except ValueError as error:
                    assert "closed" in str(error), error
                else:
                    raise AssertionError("written")
            await file.close()
        threads = [threading.Thread(target=lambda: asyncio.run(use())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(everything("child"))
        globals().pop("file")
        gc.collect()

    def fork_where_io_is_imported(name, *arguments):
        if name == "io" and not pids:
            # Called by a method of the file, with the file's own lock held.
            pids.append(fork(in_child))
        return importing(name, *arguments)

    importing = builtins.__import__

    async def main():
        global file
        async with aiofile.open(path, "w", encoding="utf-8") as file:
            await file.write("kept")
            builtins.__import__ = fork_where_io_is_imported
            try:
                await file.read()
            except OSError as error:
                assert str(error) == "not readable", error
            builtins.__import__ = importing
            ended(*pids)

    asyncio.run(main())
    with open(path) as file:
        assert file.read() == "kept"
    """
    forked(program, tmp_path)


def test_what_waits_in_the_parent_is_cancelled_in_the_child_without_waiting(tmp_path: Path) -> None:
    program = """
    path = os.path.join(folder, "log")
    open(path, "w").close()

    async def main():
        reader, writer = os.pipe()
        file, lines = await aiofile.open(reader, "rb"), aiofile.tail(path)
        waiting = [asyncio.ensure_future(file.readline()), asyncio.ensure_future(anext(lines))]
        await asyncio.sleep(0)
        # The child has no loop: that of its parent is not its own.
        ended(fork(lambda: [task.cancel() for task in waiting]))
        os.write(writer, b"one\\n")
        with open(path, "a") as log:
            log.write("two\\n")
        assert await asyncio.gather(*waiting) == [b"one\\n", "two\\n"]
        await lines.aclose()
        await file.close()
        os.close(writer)

    asyncio.run(main())
    """
    forked(program, tmp_path)


def test_a_child_leaves_what_its_parent_follows_alone(tmp_path: Path) -> None:
    program = """
    path = os.path.join(folder, "log")
    with open(path, "w") as file:
        file.write("one\\n")

    async def main():
        lines = aiofile.tail(path)
        print(await anext(lines), end="", flush=True)

        def in_child():
            async def inside():
                # No thread of this process fills it.
                assert [line async for line in lines] == []
                await lines.aclose()
            asyncio.run(inside())

        pids = []
        forking = threading.Thread(target=lambda: pids.append(fork(in_child)))
        forking.start()
        forking.join()
        ended(pids[0])
        with open(path, "a") as file:
            file.write("two\\n")
        print(await anext(lines), end="")
        await lines.aclose()

    asyncio.run(main())
    """
    assert forked(program, tmp_path) == "one\ntwo\n"
