"""The threads that work off the loop: how many there are, and what happens when there can be no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import child, succeed

MIB = 1024 * 1024


@pytest.mark.parametrize("kind", ["bytes", "text"])
def test_where_no_thread_can_be_started_a_large_read_goes_on_with_one(tmp_path: Path, kind: str) -> None:
    program = """
        import aiofile, asyncio, os, resource, sys

        async def main():
            mode = "rb" if sys.argv[2] == "bytes" else "r"
            with open(sys.argv[1], mode) as file:
                expected = file.read()
            async with aiofile.open(sys.argv[1], mode) as file:
                await file.read()  # A thread of the pool is there.
                await file.seek(0)
                if os.getuid() == 0:
                    os.setuid(65534)  # The limit is not for root.
                resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
                assert await asyncio.wait_for(file.read(), 30) == expected

        asyncio.run(main())
    """
    path = tmp_path / "f"
    path.write_text("é" * 20 * MIB)
    succeed(child(program, str(path), kind))


def test_a_job_does_not_wait_for_one_that_runs_while_there_are_few_threads(tmp_path: Path) -> None:
    """On one CPU, a thread that was given a job has often not begun it when the next one comes."""
    program = """
        import aiofile, asyncio, os, sys

        async def main():
            ended = []

            async def write(name, data):
                await aiofile.write_bytes(f"{sys.argv[1]}/{name}", data)
                ended.append(name)

            await write("first", b"x")  # A thread waits for work from here on.
            await asyncio.sleep(0.01)
            await asyncio.gather(write("long", bytes(200 << 20)), write("short", b"x"))
            assert ended == ["first", "short", "long"], ended

        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path)))
