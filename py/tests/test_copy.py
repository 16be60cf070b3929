"""Copying and sharing out: what the reports say, what fails, and what a cancellation leaves."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import functools
import gzip
import hashlib
import inspect
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, run, until

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
    with pytest.raises(OSError, match="ends within a member") as cut_off:
        run(aiofile.copy(packed, back, decompress=True))
    assert (cut_off.value.errno, cut_off.value.filename) == (errno.EBADMSG, str(packed))
    assert back.read_bytes() == CONTENT


@pytest.mark.parametrize("name", [b"packed", b"not utf-8 \xff"])
def test_damaged_input_is_told_with_errno_and_name(tmp_path: Path, name: bytes) -> None:
    packed = os.path.join(os.fsencode(tmp_path), name)
    broken = bytearray(gzip.compress(CONTENT))
    broken[len(broken) // 2] ^= 0xFF
    Path(os.fsdecode(packed)).write_bytes(broken)
    for source in (packed, os.fsdecode(packed)):
        with pytest.raises(OSError, match="gzip data") as raised:
            run(aiofile.copy(source, tmp_path / "back", decompress=True))
        assert (raised.value.errno, raised.value.filename) == (errno.EBADMSG, os.fsdecode(packed))
    assert os.listdir(os.fsencode(tmp_path)) == [name]


def test_what_a_target_does_not_allow_is_an_error_of_the_system(source: Path, tmp_path: Path) -> None:
    target, other = tmp_path / "target", tmp_path / "other"
    target.write_text("old")
    os.link(target, other)
    for asked in ({"writing": "atomic"}, {"resume": True}):
        with pytest.raises(OSError, match="hard links") as raised:
            run(aiofile.copy(source, target, **asked))
        assert (raised.value.errno, raised.value.filename) == (errno.ENOTSUP, str(target))
    with pytest.raises(OSError, match="not a regular file") as raised:
        run(aiofile.copy(source, "/dev/null", verify=True))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOTSUP, "/dev/null")
    assert target.read_text() == "old"
    report = run(aiofile.copy(source, target))
    found = report.targets[0]
    assert (found.outcome, found.reason, found.code) == ("in_place", "it has other hard links", "hard_links")
    assert report.in_place == found.reason
    assert other.read_bytes() == CONTENT


def test_a_source_that_changed_since_it_was_begun_is_an_error_with_its_name(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"

    async def main() -> None:
        copying = asyncio.ensure_future(aiofile.copy(source, target, resume=True, rate=len(CONTENT) // 8))
        await until(lambda: any(path.stat().st_size > 100_000 for path in tmp_path.glob(".afx-*")))
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        source.write_bytes(CONTENT[::-1])
        with pytest.raises(OSError, match="not what it was") as raised:
            await aiofile.copy(source, target, resume=True)
        assert (raised.value.errno, raised.value.filename) == (errno.ESTALE, str(source))

    run(main())


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"rate": -5}, ValueError, "rate must be more than 0 bytes a second, not -5"),
        ({"rate": 0}, ValueError, "rate must be more than 0"),
        ({"rate": 1.5}, TypeError, "rate must be an integer, not float"),
        ({"rate": True}, TypeError, "rate must be an integer, not bool"),
        ({"progress": 5}, TypeError, "progress must be a function, not int"),
        ({"verify": 1}, TypeError, "verify must be a bool, not int"),
        ({"resume": None}, TypeError, "resume must be a bool, not NoneType"),
        ({"durability": None}, TypeError, "durability must be a string, not NoneType"),
        ({"compress": 5}, TypeError, "compress must be a string, not int"),
        ({"hash": ["md5", 5]}, TypeError, "hash must be a string or several, not int"),
        ({"durability": "much"}, ValueError, "durability must be one of"),
    ],
)
def test_arguments_of_a_wrong_kind_are_named_before_anything_is_done(
    source: Path, tmp_path: Path, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(aiofile.copy(source, tmp_path / "target", **asked))
    assert os.listdir(tmp_path) == ["source"]


def test_progress_that_nobody_would_await_is_refused(source: Path, tmp_path: Path) -> None:
    async def tell(_bytes: int) -> None:
        raise AssertionError("called")

    class Telling:
        async def __call__(self, _bytes: int) -> None:
            raise AssertionError("called")

    for progress in (tell, functools.partial(tell), Telling(), Telling().__call__):
        with pytest.raises(TypeError, match="not a coroutine function"):
            run(aiofile.copy(source, tmp_path / "target", progress=progress))
        with pytest.raises(TypeError, match="not a coroutine function"):
            run(aiofile.tee(source, tmp_path / "target", progress=progress))
    assert os.listdir(tmp_path) == ["source"]


def test_no_algorithms_give_no_digests(source: Path, tmp_path: Path) -> None:
    report = run(aiofile.copy(source, tmp_path / "target", hash=[], rate=2**70))
    assert (report.digest, report.digests) == (None, {})
    assert run(aiofile.tee(source, tmp_path / "target", hash=())).digests == {}


def test_a_target_that_was_left_behind_is_told_with_errno_and_name(tmp_path: Path) -> None:
    source, fifo, good = tmp_path / "source", tmp_path / "fifo", tmp_path / "good"
    source.write_bytes(bytes(20_000_000))
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        report = run(aiofile.tee(source, fifo, good, on_slow="detach", return_exceptions=True))
    finally:
        os.close(reading)
    left, written = report.targets
    assert isinstance(left, OSError)
    assert (left.errno, left.filename, written) == (errno.ETIMEDOUT, str(fifo), 20_000_000)


def test_nothing_is_appended_behind_a_stream_that_was_cut_off(source: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.gz"
    log.write_bytes(gzip.compress(CONTENT)[:-5])
    before = log.read_bytes()
    with pytest.raises(OSError, match="nothing can be appended") as raised:
        run(aiofile.tee(source, log, append=True, compress="gzip"))
    assert (raised.value.errno, raised.value.filename) == (errno.EBADMSG, str(log))
    assert log.read_bytes() == before


@pytest.mark.parametrize("report", [aiofile.CopyReport, aiofile.TargetReport, aiofile.TeeReport])
def test_help_tells_of_every_field_of_a_report(report: Any) -> None:
    told = re.findall(r"^    (\w+): ", inspect.getdoc(report) or "", re.MULTILINE)
    assert told == [field.name for field in dataclasses.fields(report)]


def test_a_target_that_exists_stays_where_it_was_asked_to(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    report = run(aiofile.copy(source, target, overwrite="never"))
    skipped = report.targets[0]
    assert (skipped.outcome, skipped.reason, skipped.code) == ("skipped", "it exists", "exists")
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


@pytest.mark.parametrize("append", [False, True])
def test_tee_leaves_its_source_as_it_is_and_writes_the_others(tmp_path: Path, append: bool) -> None:
    source, other = tmp_path / "source", tmp_path / "other"
    source.write_bytes(b"content")
    with pytest.raises(shutil.SameFileError):
        run(aiofile.tee(source, source, other, append=append))
    assert (source.read_bytes(), other.read_bytes()) == (b"content", b"content")
