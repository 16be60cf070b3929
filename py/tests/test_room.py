"""More files at once than the process may have open."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import child, succeed

LIMITED = """
    import asyncio, errno, os, resource, sys
    import aiofile

    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    folder = sys.argv[1]
    most = 0

    async def use(number):
        global most
        async with aiofile.open(f"{folder}/{number % 100}", sys.argv[2]) as file:
            most = max(most, int(file.fileno()))
            if file.readable():
                return await file.read() == str(number % 100)
            return await file.write(str(number % 100)) > 0

    async def main():
        {main}

    asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(100):
        (tmp_path / str(number)).write_text(str(number))
    return tmp_path


@pytest.mark.parametrize("mode", ["r", "w", "a"])
def test_ten_thousand_tasks_open_a_file_each(folder: Path, mode: str) -> None:
    main = """
        results = await asyncio.gather(*map(use, range(10_000)))
        print(len(results), all(results), most < 240)
    """
    assert succeed(child(LIMITED.replace("{main}", main), str(folder), mode)) == "10000 True True\n"


@pytest.mark.parametrize("way", ["temporary", "named", "spooled", "executor", "temporary_executor"])
def test_files_that_are_made_or_blocking_wait_for_a_descriptor_too(folder: Path, way: str) -> None:
    main = """
        from concurrent.futures import ThreadPoolExecutor

        tempfile = aiofile.tempfile
        threads = ThreadPoolExecutor(8)
        openings = {
            "temporary": lambda number: tempfile.TemporaryFile("w"),
            "named": lambda number: tempfile.NamedTemporaryFile("w", dir=folder),
            "spooled": lambda number: tempfile.SpooledTemporaryFile(1, "w"),
            "executor": lambda number: aiofile.open(f"{folder}/{number % 100}", "w", executor=threads),
            "temporary_executor": lambda number: tempfile.TemporaryFile("w", executor=threads),
        }

        async def work(number):
            async with openings[sys.argv[3]](number) as file:
                await file.write("text")
                await file.flush()
                await asyncio.sleep(0.001)
                return True

        results = await asyncio.gather(*map(work, range(1000)), return_exceptions=True)
        print(*{str(each) for each in results})
    """
    assert succeed(child(LIMITED.replace("{main}", main), str(folder), "r", way)) == "True\n"


def test_when_no_file_is_closed_the_error_comes_and_goes(folder: Path) -> None:
    main = """
        opening = (aiofile.open(f"{folder}/1") for _ in range(600))
        files = await asyncio.gather(*opening, return_exceptions=True)
        errors = [each.errno for each in files if isinstance(each, OSError)]
        opened = [each for each in files if not isinstance(each, OSError)]
        assert 200 < len(opened) < 256, len(opened)
        assert set(errors) == {errno.EMFILE}
        for file in opened:
            await file.close()
        print(await use(5))
    """
    assert succeed(child(LIMITED.replace("{main}", main), str(folder), "r")) == "True\n"


def test_files_that_are_kept_open_leave_descriptors_for_others(folder: Path) -> None:
    main = """
        go, opened = asyncio.Event(), 0

        async def keep(number):
            nonlocal opened
            async with aiofile.open(f"{folder}/{number % 100}"):
                opened += 1
                await go.wait()

        tasks = [asyncio.ensure_future(keep(number)) for number in range(300)]
        while opened < 150:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        for other in [os.open("/dev/null", os.O_RDONLY) for _ in range(32)]:
            os.close(other)
        go.set()
        await asyncio.gather(*tasks)
        print(opened)
    """
    assert succeed(child(LIMITED.replace("{main}", main), str(folder), "r")) == "300\n"


def test_descriptors_of_others_are_waited_for_too(folder: Path) -> None:
    main = """
        held = []
        while True:
            try:
                held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        os.close(held.pop())
        first = await aiofile.open(f"{folder}/1")
        waiting = asyncio.ensure_future(use(7))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        await first.close()
        print(await waiting)
    """
    assert succeed(child(LIMITED.replace("{main}", main), str(folder), "r")) == "True\n"
