"""Copying and sharing out: what the reports say, what fails, and what a cancellation leaves."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import shutil
import threading
from pathlib import Path

import pytest

import aiofile
from support import child, run

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


def test_several_targets_get_the_bytes_and_the_digests_are_of_them(source: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    report = run(aiofile.copy(source, one, two, hash=["sha256", "md5"], verify=True, durability="full"))
    assert one.read_bytes() == two.read_bytes() == CONTENT
    assert report.digests == {
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "md5": hashlib.md5(CONTENT).hexdigest(),
    }
    assert (report.bytes, report.digest) == (len(CONTENT), report.digests["sha256"])
    assert [target.outcome for target in report.targets] == ["replaced", "replaced"]
    assert all(target.verified in ("device", "cache") for target in report.targets)


def test_what_is_compressed_is_what_gzip_reads_and_comes_back(source: Path, tmp_path: Path) -> None:
    packed, back = tmp_path / "packed", tmp_path / "back"
    report = run(aiofile.copy(source, packed, compress="gzip:9", hash="sha256"))
    assert report.digest == hashlib.sha256(packed.read_bytes()).hexdigest()
    assert gzip.decompress(packed.read_bytes()) == CONTENT
    run(aiofile.copy(packed, back, decompress=True))
    assert back.read_bytes() == CONTENT
    packed.write_bytes(packed.read_bytes()[:-5])
    with pytest.raises(OSError, match="packed"):
        run(aiofile.copy(packed, back, decompress=True))
    assert back.read_bytes() == CONTENT


def test_a_target_that_exists_stays_where_it_was_asked_to(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    report = run(aiofile.copy(source, target, overwrite="never"))
    assert (report.targets[0].outcome, report.targets[0].reason) == ("skipped", "it exists")
    assert (report.method, report.bytes, report.digests) == ("none", 0, {})
    os.utime(source, (1, 1))
    assert run(aiofile.copy(source, target, overwrite="older")).targets[0].outcome == "skipped"
    assert target.read_text() == "old"
    run(aiofile.copy(source, target, preserve=True))
    assert target.stat().st_mtime == 1


@pytest.mark.parametrize(
    "options",
    [
        {"reflink": "sometimes"},
        {"compress": "rar"},
        {"compress": "zstd", "decompress": True},
        {"rate": 0},
        {"hash": "sha257"},
        {"resume": True, "writing": "in_place"},
        {"reflink": "always", "sparse": "never"},
    ],
)
def test_what_cannot_be_meant_is_a_value_error_and_touches_nothing(
    source: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    target = tmp_path / "target"
    with pytest.raises(ValueError, match=r"."):
        run(aiofile.copy(source, target, **options))  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["source"]


def test_the_same_file_is_an_error_of_its_own(source: Path) -> None:
    with pytest.raises(shutil.SameFileError):
        run(aiofile.copy(source, source))
    assert source.read_bytes() == CONTENT


def test_an_open_file_is_read_from_where_it_stands_and_one_that_is_closed_is_an_error(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    with source.open("rb", buffering=0) as file:
        file.seek(len(CONTENT) - 10)
        assert run(aiofile.copy(file.fileno(), target)).bytes == 10
    assert target.read_bytes() == CONTENT[-10:]
    for number in (10_000, -1):
        with pytest.raises(OSError, match="Bad file descriptor"):
            run(aiofile.copy(number, target))


def test_progress_is_told_on_the_loop_and_ends_with_all_bytes(source: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int) -> None:
        told.append((done, threading.get_ident()))

    async def main() -> None:
        await aiofile.copy(source, tmp_path / "slow", rate=2 * len(CONTENT), progress=tell)

    run(main())
    done = [bytes for bytes, _ in told]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)
    assert len(done) > 1
    assert {thread for _, thread in told} == {threading.get_ident()}


def test_what_the_progress_function_raises_goes_to_the_loop_and_not_to_the_copy(
    source: Path, tmp_path: Path
) -> None:
    raised: list[object] = []

    def tell(done: int) -> None:
        raise LookupError(done)

    async def main() -> int:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: raised.append(context.get("exception"))
        )
        return (await aiofile.copy(source, tmp_path / "target", progress=tell)).bytes

    assert run(main()) == len(CONTENT)
    assert raised
    assert all(isinstance(error, LookupError) for error in raised)


def test_a_cancelled_copy_leaves_the_old_target_and_nothing_beside_it(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")

    async def main() -> None:
        begun = asyncio.Event()

        def tell(done: int) -> None:
            if done > 0:
                begun.set()

        task = asyncio.ensure_future(aiofile.copy(source, target, rate=len(CONTENT) // 8, progress=tell))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert target.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


#: Forgets a copy that would take minutes, by the way that is given.
FORGETTING = """
    import asyncio, sys
    from pathlib import Path
    import aiofile

    folder, way = Path(sys.argv[1]), sys.argv[2]

    async def main():
        copying = asyncio.ensure_future(aiofile.copy(folder / "source", folder / "target", rate=2000))
        while not list(folder.glob(".afx-*")):
            await asyncio.sleep(0)
        print("began")
        if way == "exit":
            raise SystemExit

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        if way == "close":
            loop.close()
"""


@pytest.mark.parametrize("way", ["exit", "close", "end"])
def test_a_copy_that_is_under_way_when_the_interpreter_ends_leaves_nothing(
    source: Path, tmp_path: Path, way: str
) -> None:
    done = child(FORGETTING, str(tmp_path), way)
    assert (done.returncode, done.stdout) == (0, "began\n"), done.stderr
    assert os.listdir(tmp_path) == [source.name]


def test_a_tee_that_is_under_way_when_the_interpreter_ends_has_an_end(tmp_path: Path) -> None:
    program = """
        import asyncio, os, sys
        import aiofile

        reader, writer = os.pipe()
        os.write(writer, b"before the end")
        told = []

        async def main():
            task = asyncio.ensure_future(
                aiofile.tee(reader, sys.argv[1], compress="gzip", progress=told.append)
            )
            while not any(told):
                await asyncio.sleep(0)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
    """
    target = tmp_path / "target.gz"
    done = child(program, str(target))
    assert done.returncode == 0, done.stderr
    assert gzip.decompress(target.read_bytes()) == b"before the end"


def test_a_tee_gives_every_target_what_a_pipe_brings(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    two.write_text("old ")

    async def main() -> aiofile.TeeReport:
        reader, writer = os.pipe()
        os.write(writer, b"new")
        os.close(writer)
        try:
            return await aiofile.tee(reader, one, two, append=True, hash="sha256")
        finally:
            os.close(reader)

    report = run(main())
    assert (one.read_bytes(), two.read_bytes()) == (b"new", b"old new")
    assert (report.bytes, report.targets) == (3, (3, 3))
    assert report.digests == {"sha256": hashlib.sha256(b"new").hexdigest()}


def test_the_failure_of_one_target_is_raised_when_the_others_have_all(source: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    with pytest.raises(OSError, match="No space left") as caught:
        run(aiofile.tee(source, "/dev/full", good))
    assert caught.value.filename == "/dev/full"
    assert good.read_bytes() == CONTENT
    report = run(aiofile.tee(source, "/dev/full", good, return_exceptions=True))
    assert isinstance(report.targets[0], OSError)
    assert report.targets[1] == len(CONTENT)
