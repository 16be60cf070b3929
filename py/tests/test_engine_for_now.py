"""What an engine needs may be missing for a moment; that is not held against it for ever."""

from __future__ import annotations

import pytest

from support import child, succeed

#: Takes every descriptor, and gives them back.
PRELUDE = """
    import aiofile, asyncio, errno, os, resource, time

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    LONGEST = 30

    def take_all():
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE, error
        return held

    def give_back(held):
        while held:
            os.close(held.pop())

    async def use():
        reader, writer = os.pipe()
        async with aiofile.open(reader, "rb") as file:
            reading = asyncio.ensure_future(file.read(1))
            await asyncio.sleep(0)
            os.write(writer, b"x")
            assert await reading == b"x"
        os.close(writer)

    def engine():
        return aiofile._native.backend()["engine"]

    async def use_until_uring():
        deadline = time.monotonic() + LONGEST
        while engine() != "uring":
            assert time.monotonic() < deadline, aiofile._native.backend()
            await use()
"""


def without_uring() -> bool:
    return (
        "uring" not in child("import aiofile; print(aiofile.backend_info()['engine'])", AFX_ENGINE="").stdout
    )


pytestmark = pytest.mark.skipif(without_uring(), reason="no io_uring here")


@pytest.mark.parametrize("asked", ["uring", ""])
def test_an_engine_that_could_not_be_had_is_there_when_descriptors_are(asked: str) -> None:
    program = """
    import sys

    async def main():
        # Something of the program's own that has its descriptors already.
        reader, writer = os.pipe()
        held = take_all()
        # Without modules that are still to be imported.
        reason = aiofile._native.backend()["reason"]
        assert "for now" in reason and "Too many open files" in reason, reason
        try:
            async with aiofile.open(reader, "rb", closefd=False) as file:
                await file.read(1)
        except OSError as error:
            assert error.errno == errno.EMFILE, error
        else:
            raise AssertionError("read without descriptors")
        give_back(held)
        await use_until_uring()
        await use()
        assert "for now" not in aiofile.backend_info()["reason"]
        os.close(reader)
        os.close(writer)

    asyncio.run(main())
    asyncio.run(use())
    print(engine())
    """
    assert succeed(child(PRELUDE + program, AFX_ENGINE=asked)) == "uring\n"


#: Has a process decide about every ring of this one: the kernel has no memory for it while `withheld[0]`.
WITHHOLD = """
    import ctypes, errno, fcntl, mmap, os, platform, select, struct, sys
    import deny_uring as seccomp

    # <linux/seccomp.h>
    USER_NOTIF, SET_MODE_FILTER, NEW_LISTENER, CONTINUE = 0x7FC00000, 1, 8, 1
    RECEIVE, SEND = 0xC0502100, 0xC0182101
    NUMBER = {"x86_64": 317, "aarch64": 277}[platform.machine()]

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    steps = b"".join([
        seccomp.instruction(seccomp.LOAD, seccomp.NUMBER_AT),
        seccomp.instruction(seccomp.JUMP_IF_EQUAL, seccomp.CALLS["setup"], if_false=1),
        seccomp.instruction(seccomp.RETURN, USER_NOTIF),
        seccomp.instruction(seccomp.RETURN, seccomp.ALLOW),
    ])
    memory = ctypes.create_string_buffer(steps, len(steps))
    described = seccomp.Program(len(steps) // 8, ctypes.cast(memory, ctypes.c_void_p))
    listener = libc.syscall(NUMBER, SET_MODE_FILTER, NEW_LISTENER, ctypes.byref(described))
    if listener < 0:
        print("cannot")
        sys.exit()
    withheld = mmap.mmap(-1, 1)
    withheld[0] = 1
    if (deciding := os.fork()) == 0:
        while True:
            asked = bytearray(80)
            fcntl.ioctl(listener, RECEIVE, asked)
            (number,) = struct.unpack_from("Q", asked)
            refused = -errno.ENOMEM if withheld[0] else 0
            answer = bytearray(struct.pack("QqiI", number, 0, refused, 0 if refused else CONTINUE))
            fcntl.ioctl(listener, SEND, answer)
    os.close(listener)
"""


def test_threads_stand_in_for_a_ring_that_cannot_be_had_until_it_can() -> None:
    program = """
    async def main():
        reader, writer = os.pipe()
        await use()
        first = aiofile.backend_info()
        assert first["engine"] == "threads" and "for now" in first["reason"], first
        assert "memory" in first["reason"], first
        async with aiofile.open(reader, "rb", 0) as file:
            pending = asyncio.ensure_future(file.read(1))
            await asyncio.sleep(0)
            withheld[0] = 0
            # As long as something is in flight it stays.
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                await use()
            assert engine() == "threads"
            os.write(writer, b"x")
            assert await pending == b"x"
            await use_until_uring()
            await use()
            os.write(writer, b"y")
            assert await file.read(1) == b"y"
        os.close(writer)
        assert aiofile.backend_info()["reason"] == "io_uring works here"

    try:
        asyncio.run(main())
        asyncio.run(use())
        # With nothing else to import it for: it looks at the engine.
        from support import rings
        print(engine(), rings())
    finally:
        os.kill(deciding, 9)
        os.waitpid(deciding, 0)
    """
    said = succeed(child(WITHHOLD + PRELUDE + program, AFX_ENGINE=""))
    if said == "cannot\n":
        pytest.skip("the kernel asks nobody about system calls")
    assert said == "uring 1\n"
