"""Where io_uring is denied, everything works on threads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support import child, succeed

DENY = str(Path(__file__).with_name("deny_uring.py"))

DENIALS = [("EPERM", "setup"), ("ENOSYS", "setup"), ("EPERM", "enter"), ("ENOSYS", "setup,enter,register")]

SMOKE = """
    import aiofile, asyncio, os, sys

    folder = sys.argv[1]

    async def main():
        path = os.path.join(folder, "f")
        async with aiofile.open(path, "w", encoding="utf-8") as file:
            await file.write("one\\n")
            await file.writelines(["two\\n", "three €\\n"])
            await file.write("x" * 300_000)
        async with aiofile.open(path, "r+b") as file:
            assert await file.readline() == b"one\\n"
            assert [line async for line in file][1] == "three €\\n".encode()
            await file.seek(0)
            assert len(await file.read()) == 300_018
            parts = await asyncio.gather(*(file.pread(100_000, number) for number in range(50)))
            assert all(len(part) == 100_000 for part in parts)
            await file.pwrite(b"ONE", 0)
            assert await file.truncate(8) == 8
        async with aiofile.open(path) as file:
            assert await file.readlines() == ["ONE\\n", "two\\n"]
        reader, writer = os.pipe()
        async with aiofile.open(reader, "rb") as file:
            task = asyncio.ensure_future(file.readline())
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            os.write(writer, b"hello\\n")
            assert await file.readline() == b"hello\\n"
        os.close(writer)
        await aiofile.print(aiofile.backend_info()["engine"])

    asyncio.run(main())
"""


@pytest.mark.parametrize(("error", "calls"), DENIALS)
def test_without_io_uring_everything_passes_on_threads(tmp_path: Path, error: str, calls: str) -> None:
    prefix = ["env", "-u", "AFX_ENGINE", sys.executable, DENY, error, calls]
    assert succeed(child(SMOKE, str(tmp_path), prefix=prefix)) == "threads\n"


@pytest.mark.parametrize("engine", ["uring", "threads"])
def test_the_same_program_runs_on_the_engine_that_is_asked_for(tmp_path: Path, engine: str) -> None:
    done = child(SMOKE, str(tmp_path), AFX_ENGINE=engine)
    if engine == "uring" and "AFX_ENGINE" in done.stderr:
        pytest.skip("no io_uring here")
    assert succeed(done) == f"{engine}\n"


@pytest.mark.parametrize(("error", "calls"), DENIALS)
def test_asking_for_io_uring_where_it_is_denied_is_an_error_that_says_why(error: str, calls: str) -> None:
    program = """
        import aiofile, asyncio

        async def main():
            async with aiofile.open("/dev/null", "w") as file:
                await file.write("x")

        for attempt in (aiofile.backend_info, lambda: asyncio.run(main())):
            try:
                attempt()
            except OSError as problem:
                print(problem)
    """
    denied = child(program, prefix=[sys.executable, DENY, error, calls], AFX_ENGINE="uring")
    said = succeed(denied).splitlines()
    assert len(said) == 2, said
    for line in said:
        assert "AFX_ENGINE" in line or "io_uring" in line
        assert (
            calls.split(",", maxsplit=1)[0] in line
            or {"EPERM": "not permitted", "ENOSYS": "not implemented"}[error] in line
        )


def test_an_engine_that_does_not_exist_is_an_error() -> None:
    program = """
        import aiofile
        try:
            aiofile.backend_info()
        except ValueError as problem:
            print(problem)
    """
    assert "steam" in succeed(child(program, AFX_ENGINE="steam"))


def test_monoio_which_cannot_serve_an_event_loop_is_an_error_that_says_who_has_it() -> None:
    program = """
        import asyncio
        import aiofile

        async def main():
            async with aiofile.open("/dev/null", "w") as file:
                await file.write("x")

        for attempt in (aiofile.backend_info, lambda: asyncio.run(main())):
            try:
                attempt()
            except OSError as problem:
                print(problem)
    """
    said = succeed(child(program, AFX_ENGINE="monoio")).splitlines()
    assert len(said) == 2, said
    for line in said:
        assert "AFX_ENGINE=monoio, but this build has no monoio: afx and Rust programs" in line
