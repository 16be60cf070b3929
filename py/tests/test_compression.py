"""Compressed files: as Python's `gzip` has them, and with the command for zstd."""

from __future__ import annotations

import asyncio
import errno
import gc
import gzip
import io
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiofile
from support import LONGEST_WAIT, PROPERTY, Turns, run, until

CODECS = ["gz", "zst"]

TEXT = "".join(f"line {number} with é and 日本 {'x' * (number % 200)}\n" for number in range(6000))


def zstd(data: bytes, *arguments: str) -> bytes:
    """What the command makes of it."""
    if shutil.which("zstd") is None:
        pytest.skip("the zstd command is not installed")
    done = subprocess.run(["zstd", *arguments], input=data, capture_output=True, check=True)
    return done.stdout


def compress(codec: str, data: bytes) -> bytes:
    return gzip.compress(data) if codec == "gz" else zstd(data, "-c")


def restore(codec: str, data: bytes) -> bytes:
    return gzip.decompress(data) if codec == "gz" else zstd(data, "-dc")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_000])
def test_what_is_written_is_what_others_read_and_the_other_way_round(
    tmp_path: Path, codec: str, size: int
) -> None:
    content = random.Random(size).randbytes(size // 2) + b"abc" * (size - size // 2)
    path = tmp_path / f"file.{codec}"

    async def main() -> bytes:
        async with aiofile.open(path, "wb", compression="infer") as file:
            assert await file.write(content) == len(content)
            assert await file.tell() == len(content)
        assert restore(codec, path.read_bytes()) == content
        path.write_bytes(compress(codec, content))
        async with aiofile.open(path, "rb", compression=codec) as file:
            return await file.read()

    assert run(main()) == content


@pytest.mark.parametrize("codec", CODECS)
def test_text_is_written_by_lines_and_iterated(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "text"
    lines = TEXT.splitlines(keepends=True)

    async def main() -> None:
        async with aiofile.open(path, "w", encoding="utf-8", compression=codec) as file:
            for line in lines[:3000]:
                assert await file.write(line) == len(line)
            await file.writelines(lines[3000:])
        assert restore(codec, path.read_bytes()).decode() == TEXT
        async with aiofile.open(path, encoding="utf-8", compression="infer") as file:
            assert [line async for line in file] == lines
            assert await file.readline() == ""
            await file.seek(0)
            assert await file.read() == TEXT
            await file.seek(0)
            batches = [batch async for batch in file.lines(batch=100)]
            assert [line for batch in batches for line in batch] == lines

    run(main())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("mode", ["ab", "a"])
def test_appending_adds_to_what_readers_see(tmp_path: Path, codec: str, mode: str) -> None:
    path = tmp_path / "log"

    async def main() -> bytes:
        for number in range(3):
            data: Any = f"{number}\n" if mode == "a" else b"%d\n" % number
            opening: Any = aiofile.open(path, mode, compression=codec)  # type: ignore[call-overload]
            async with opening as file:
                await file.write(data)
        async with aiofile.open(path, "rb", compression=codec) as file:
            return await file.read()

    assert run(main()) == b"0\n1\n2\n"
    assert restore(codec, path.read_bytes()) == b"0\n1\n2\n"


@pytest.mark.parametrize("codec", CODECS)
def test_what_was_flushed_can_be_read_while_the_file_is_open(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "log"

    async def main() -> None:
        async with aiofile.open(path, "w", compression=codec) as writer:
            for number in range(3):
                await writer.write(f"{number}\n")
                await writer.flush()
                async with aiofile.open(path, "rb", compression=codec) as reader:
                    assert await reader.read(2 * number + 2) == b"0\n1\n2\n"[: 2 * number + 2]
                    # And then it is told that there is no end yet.
                    with pytest.raises(EOFError):
                        await reader.read()

    run(main())


def test_the_suffix_and_the_first_bytes_tell_what_it_is(tmp_path: Path) -> None:
    async def content(name: str, **options: Any) -> bytes:
        async with aiofile.open(tmp_path / name, "rb", compression="infer", **options) as file:
            result: bytes = await file.read()
            return result

    async def main() -> None:
        for name in ("a.gz", "a.zst", "a.GZ", "a"):
            async with aiofile.open(tmp_path / name, "wb", compression="infer") as file:
                await file.write(b"content")
        assert (tmp_path / "a").read_bytes() == b"content"
        assert (tmp_path / "a.gz").read_bytes()[:2] == (tmp_path / "a.GZ").read_bytes()[:2] == b"\x1f\x8b"
        assert (tmp_path / "a.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
        for name in ("a.gz", "a.zst"):
            assert await content(name) == b"content"
            os.rename(tmp_path / name, tmp_path / "plain-name")
            assert await content("plain-name") == b"content"
            with open(tmp_path / "plain-name", "rb") as opened:
                descriptor = opened.fileno()
                async with aiofile.open(descriptor, "rb", closefd=False, compression="infer") as file:
                    assert await file.read() == b"content"
        assert await content("a") == b"content"
        (tmp_path / "empty").touch()
        assert await content("empty") == b""
        # A suffix is taken at its word.
        (tmp_path / "wrong.gz").write_bytes(b"plain")
        with pytest.raises(gzip.BadGzipFile):
            await content("wrong.gz")

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_appended_to_a_file_without_a_suffix_is_as_what_is_there(tmp_path: Path, codec: str) -> None:
    async def append(path: Path, text: str) -> None:
        async with aiofile.open(path, "a", compression="infer") as file:
            await file.write(text)

    async def main() -> None:
        packed, plain = tmp_path / "packed", tmp_path / "plain"
        packed.write_bytes(compress(codec, b"one\n"))
        await append(packed, "two\n")
        assert restore(codec, packed.read_bytes()) == b"one\ntwo\n"
        for text in ("one\n", "two\n"):
            await append(plain, text)
        assert plain.read_text() == "one\ntwo\n"
        # Of what cannot be gone back in nothing is there.
        os.mkfifo(tmp_path / "fifo")
        reading = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        await append(tmp_path / "fifo", "three\n")
        assert os.read(reading, 100) == b"three\n"
        os.close(reading)

    run(main())


@pytest.mark.parametrize("mode", ["w", "a", "wb", "ab"])
def test_infer_of_a_descriptor_that_is_written_is_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"as it was"))
    before = path.read_bytes()

    def opener(name: str, flags: int) -> int:
        raise AssertionError("opened")

    async def main() -> None:
        opens: Any = aiofile.open
        with open(path, "r+b") as opened, pytest.raises(ValueError, match="say which it is"):
            await opens(opened.fileno(), mode, closefd=False, compression="infer")
        if "a" in mode:
            with pytest.raises(ValueError, match="say which it is"):
                await opens(path, mode, opener=opener, compression="infer")

    run(main())
    assert path.read_bytes() == before


@pytest.mark.parametrize("codec", CODECS)
def test_lines_that_are_flushed_one_by_one_are_readable_at_once(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "log"

    async def there() -> list[str]:
        lines: list[str] = []
        try:
            async with aiofile.open(path, encoding="ascii", compression=codec) as reader:
                async for line in reader:
                    lines.append(line)
        except EOFError:
            return lines
        raise AssertionError("it has an end already")

    async def main() -> None:
        async with aiofile.open(path, "w", 1, encoding="ascii", compression=codec) as log:
            await log.write("one\n")
            assert await there() == ["one\n"]
            await log.write("two\nthr")
            assert (await there())[:2] == ["one\n", "two\n"]
            await log.writelines(["ee\n", "four\n"])
            assert await there() == ["one\n", "two\n", "three\n", "four\n"]
        assert restore(codec, path.read_bytes()) == b"one\ntwo\nthree\nfour\n"

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_goes_past_the_content_to_the_compressed_bytes(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "file"
    content = TEXT.encode()
    path.write_bytes(compress(codec, content))
    before = path.read_bytes()

    async def refuses(file: Any) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: file.pread(10, 0),
            lambda: file.pread_many([(10, 0)]),
            lambda: file.pwrite(b"x", 0),
            lambda: file.truncate(5),
            file.truncate,
        ]
        for call in calls:
            with pytest.raises(io.UnsupportedOperation):
                await call()
        assert path.read_bytes() == before

    async def reads(file: Any) -> None:
        await refuses(file)
        assert await file.readline() == content.splitlines(keepends=True)[0]
        await file.seek(0)
        assert (await file.peek(10))[:10] == content[:10]
        memory = bytearray(10)
        assert await file.readinto(memory) == 10
        assert await file.readinto1(memoryview(memory)[:5]) == 5
        assert memory == content[10:15] + content[5:10]
        assert await file.read1(5) == content[15:20]
        assert await file.tell() == 20
        assert file.raw.tell() >= 20
        assert os.fstat(file.fileno()).st_size == len(before)

    async def main() -> None:
        async with aiofile.open(path, "rb", compression=codec) as file:
            await reads(file)
        raw = (await aiofile.open(path, "rb", compression=codec)).detach()
        raw.seek(7)
        assert raw.read(5) == content[7:12]
        raw.close()
        async with aiofile.open(path, encoding="utf-8", compression=codec) as text:
            with pytest.raises(io.UnsupportedOperation):
                await text.truncate(5)
            assert text.buffer.read(10) == content[:10]
        async with aiofile.open(path, "ab", compression=codec) as writer:
            await refuses(writer)
        assert restore(codec, path.read_bytes()) == content
        for call in (lambda: file.pread(1, 0), lambda: file.pread_many([]), lambda: file.pwrite(b"", 0)):
            with pytest.raises(ValueError, match="closed"):
                await call()

    run(main())


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("r",), {"compression": "xz"}, ValueError),
        (("w",), {"compression": "zst:23"}, ValueError),
        (("r",), {"compression": "zst:3"}, ValueError),
        (("r",), {"compression": 1}, TypeError),
        (("r+",), {"compression": "gz"}, ValueError),
        (("wb", 0), {"compression": "gz"}, ValueError),
        (("w",), {"compression": "gz", "write_behind": 100}, ValueError),
        (("w",), {"compression": "gz", "direct": True}, ValueError),
        (("w", -1, "no-such-codec"), {"compression": "gz"}, LookupError),
        (("rw",), {"compression": "gz"}, ValueError),
    ],
)
def test_what_cannot_be_is_refused_before_the_file_is_touched(
    tmp_path: Path, arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"as it was")

    async def main() -> None:
        with pytest.raises(error):
            await aiofile.open(path, *arguments, **options)

    run(main())
    assert path.read_bytes() == b"as it was"


def test_levels_are_taken(tmp_path: Path) -> None:
    content = TEXT.encode()

    async def size(how: str) -> int:
        path = tmp_path / "file"
        async with aiofile.open(path, "wb", compression=how) as file:
            await file.write(content)
        assert restore(how.partition(":")[0], path.read_bytes()) == content
        return path.stat().st_size

    async def main() -> None:
        assert await size("zst:1") > await size("zst:19")
        assert await size("gz:1") > await size("gz:9")

    run(main())


class Pair:
    """A file of ours and one of `gzip`, and the operations that are not called the same of both."""

    def __init__(self, ours: Any, theirs: Any, text: bool, size: int) -> None:
        self.ours, self.theirs = ours, theirs
        self.text, self.size = text, size
        self.marks: list[tuple[int, int]] = [(0, 0)]

    async def next(self, count: int) -> None:
        # Their `tell` does not work after `next`.
        for _ in range(count):
            line = self.theirs.readline()
            try:
                assert await self.ours.__anext__() == line
            except StopAsyncIteration:
                assert not line
                return

    async def readlines(self, hint: int) -> None:
        lines: list[Any] = []
        # Nor does it after `readlines`.
        while sum(map(len, lines)) < hint and (line := self.theirs.readline()):
            lines.append(line)
        assert await self.ours.readlines(hint) == lines

    async def tell(self, _number: int) -> None:
        if not self.text:
            assert await self.ours.tell() == self.theirs.tell()

    async def mark(self, _number: int) -> None:
        self.marks.append((await self.ours.tell(), self.theirs.tell()))

    async def back(self, number: int) -> None:
        ours, theirs = self.marks[number % len(self.marks)]
        await self.ours.seek(ours)
        self.theirs.seek(theirs)

    async def seek(self, place: int) -> None:
        if not self.text:
            assert await self.ours.seek(place) == self.theirs.seek(place)

    async def end(self, _number: int) -> None:
        if self.text:
            self.theirs.read()
            await self.ours.seek(0, io.SEEK_END)
        else:
            assert await self.ours.seek(-100, io.SEEK_END) == self.theirs.seek(self.size - 100)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 300_000)),
        st.tuples(st.just("read"), st.integers(0, 50)),
        st.tuples(st.just("read"), st.just(-1)),
        st.tuples(st.just("readline"), st.just(-1)),
        st.tuples(st.just("readline"), st.integers(0, 60)),
        st.tuples(st.just("readlines"), st.integers(1, 3000)),
        st.tuples(st.just("next"), st.integers(1, 700)),
        st.tuples(st.just("tell"), st.just(0)),
        st.tuples(st.just("mark"), st.just(0)),
        st.tuples(st.just("back"), st.integers(0, 5)),
        st.tuples(st.just("seek"), st.integers(0, 700_000)),
        st.tuples(st.just("end"), st.just(0)),
    ),
    max_size=12,
)


@PROPERTY
@given(operations=OPERATIONS, text=st.booleans(), members=st.integers(1, 3))
def test_every_sequence_of_reads_is_that_of_gzip(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]], text: bool, members: int
) -> None:
    path = tmp_path_factory.mktemp("reads") / "file.gz"
    data = TEXT.encode()
    part = len(data) // members
    path.write_bytes(
        b"".join(
            gzip.compress(data[part * number :][: part if number + 1 < members else None])
            for number in range(members)
        )
    )

    options: dict[str, Any] = {"encoding": "utf-8"} if text else {}

    async def main() -> None:
        opening: Any = aiofile.open(path, "r" if text else "rb", compression="gz", **options)
        with gzip.open(path, "rt" if text else "rb", **options) as theirs:
            async with opening as ours:
                pair = Pair(ours, theirs, text, len(data))
                for name, number in operations:
                    if hasattr(pair, name):
                        await getattr(pair, name)(number)
                    else:
                        expected = getattr(theirs, name)(number)
                        assert await getattr(ours, name)(number) == expected, (name, number)

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_going_back_and_forth_gives_the_bytes_of_the_place(tmp_path: Path, codec: str) -> None:
    content = random.Random(1).randbytes(2_000_000)
    path = tmp_path / "file"
    path.write_bytes(compress(codec, content))
    places = random.Random(2)

    async def main() -> None:
        async with aiofile.open(path, "rb", compression=codec) as file:
            for _ in range(40):
                place, size = places.randrange(2_100_000), places.randrange(300_000)
                assert await file.seek(place) == min(place, len(content))
                assert await file.read(size) == content[place : place + size]
                assert await file.tell() == min(place, len(content)) + len(content[place : place + size])
            with pytest.raises(OSError, match="Invalid argument"):
                await file.seek(-1)

    run(main())


def test_a_writer_goes_forward_over_zeros_and_never_back(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"

    async def main() -> None:
        async with aiofile.open(path, "wb", compression="gz") as file:
            await file.write(b"start")
            assert await file.seek(300_000) == 300_000
            await file.write(b"end")
            with pytest.raises(OSError, match="Negative seek"):
                await file.seek(10)
            with pytest.raises(io.UnsupportedOperation):
                await file.truncate()
            with pytest.raises(io.UnsupportedOperation):
                await file.read()

    run(main())
    assert gzip.decompress(path.read_bytes()) == b"start" + bytes(299_995) + b"end"


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_that_was_cut_off_gives_what_is_there_and_then_an_error(tmp_path: Path, codec: str) -> None:
    content = random.Random(3).randbytes(100_000)
    whole = compress(codec, content)
    path = tmp_path / "file"

    async def main() -> None:
        for size in [1, 2, 3, 4, 9, 10, 11, len(whole) // 2, len(whole) - 5, len(whole) - 1]:
            path.write_bytes(whole[:size])
            async with aiofile.open(path, "rb", compression=codec) as file:
                with pytest.raises(EOFError, match="file"):
                    await file.read()
                with pytest.raises(EOFError):
                    _ = [line async for line in file]
            async with aiofile.open(path, encoding="latin-1", compression=codec) as text:
                with pytest.raises(EOFError):
                    _ = [line async for line in text]

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_of_a_file_that_was_cut_off_all_lines_and_bytes_can_be_had(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "file"

    async def lines(file: Any) -> list[Any]:
        with pytest.raises(EOFError):
            await file.readlines()
        found = []
        try:
            async for line in file:
                found.append(line)
        except EOFError:
            return found
        raise AssertionError("it has an end")

    async def main() -> None:
        async with aiofile.open(path, "wb", compression=codec) as writer:
            await writer.write(b"one\ntwo\nthr")
            await writer.flush()
            async with aiofile.open(path, compression=codec) as text:
                assert await lines(text) == ["one\n", "two\n"]
            async with aiofile.open(path, "rb", compression=codec) as file:
                assert await lines(file) == [b"one\n", b"two\n"]
                await file.seek(0)
                for size in (-1, 100):
                    with pytest.raises(EOFError):
                        await file.read(size)
                    assert await file.tell() == 0
                assert await file.read(4) == b"one\n"
                assert await file.readline() == b"two\n"
                with pytest.raises(EOFError):
                    await file.readline()
                assert await file.read1(100) == b"thr"
                with pytest.raises(EOFError):
                    await file.read1(100)

    run(main())


def test_an_empty_gzip_file_has_no_content_and_an_empty_zstd_file_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()

    async def main() -> None:
        async with aiofile.open(path, compression="gz") as file:
            assert await file.read() == ""
        async with aiofile.open(path, compression="zst") as file:
            with pytest.raises(EOFError):
                await file.read()

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_broken_files_raise_and_never_give_wrong_bytes(tmp_path: Path, codec: str) -> None:
    content = TEXT.encode()[:20_000]
    whole = compress(codec, content)
    path = tmp_path / "file"
    places = random.Random(4)

    async def main() -> int:
        found = 0
        for _ in range(150):
            broken = bytearray(whole)
            broken[places.randrange(len(whole))] ^= 1 << places.randrange(8)
            path.write_bytes(broken)
            error: Exception | None = None
            try:
                async with aiofile.open(path, "rb", compression=codec) as file:
                    assert await file.read() == content
            except (OSError, EOFError) as raised:
                error = raised
            found += error is not None
            if isinstance(error, OSError):
                assert (error.errno, error.filename) == (errno.EBADMSG, str(path))
                assert codec == "zst" or isinstance(error, gzip.BadGzipFile)
        return found

    assert run(main()) > 100


def test_garbage_behind_the_end_is_an_error_and_zeros_are_none(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"

    async def content() -> bytes:
        async with aiofile.open(path, "rb", compression="infer") as file:
            return await file.read()

    async def main() -> None:
        path.write_bytes(gzip.compress(b"one") + bytes(1000) + gzip.compress(b"two") + bytes(7))
        assert await content() == b"onetwo"
        path.write_bytes(gzip.compress(b"one") + b"garbage")
        with pytest.raises(gzip.BadGzipFile):
            await content()

    run(main())


def test_a_pipe_is_read_and_written(tmp_path: Path) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        async with (
            aiofile.open(reading, encoding="utf-8", compression="zst") as reader,
            aiofile.open(writing, "w", encoding="utf-8", compression="zst") as writer,
        ):
            assert not await reader.seekable()
            for line in ("first\n", "second\n"):
                await writer.write(line)
                await writer.flush()
                # There before the end is.
                assert await reader.readline() == line
            await writer.write("last\n")
            await writer.close()
            assert [line async for line in reader] == ["last\n"]
            with pytest.raises(io.UnsupportedOperation):
                await reader.seek(0)

    run(main())


def limit_files() -> None:
    """Has this process write no file longer than 1 MB."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


@pytest.mark.parametrize("codec", CODECS)
def test_a_full_disk_leaves_a_file_without_an_end(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "file"
    program = textwrap.dedent("""
        import asyncio, errno, random, sys
        import aiofile

        async def main():
            file = await aiofile.open(sys.argv[1], "wb", compression=sys.argv[2])
            content = random.Random(5)
            try:
                while True:
                    await file.write(content.randbytes(100_000))
            except OSError as error:
                assert error.errno == errno.EFBIG and error.filename == sys.argv[1], error
            for call in (lambda: file.write(b"more"), file.flush, lambda: file.writelines([b"more"])):
                try:
                    await call()
                except OSError as error:
                    assert error.errno == errno.EFBIG and error.filename == sys.argv[1], error
                else:
                    raise AssertionError("it went on")
            try:
                await file.close()
            except OSError as error:
                assert error.errno == errno.EFBIG and error.filename == sys.argv[1], error
            else:
                raise AssertionError("it was closed as if it were whole")
            assert file.closed

        asyncio.run(main())
    """)

    subprocess.run([sys.executable, "-c", program, path, codec], check=True, preexec_fn=limit_files)
    assert path.stat().st_size == 1_000_000

    async def main() -> None:
        async with aiofile.open(path, "rb", compression=codec) as file:
            with pytest.raises(EOFError):
                await file.read()

    run(main())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("first", ["write", "flush", "close"])
def test_the_errors_after_the_first_are_the_first_one_again(codec: str, mode: str, first: str) -> None:
    async def main() -> None:
        opens: Any = aiofile.open
        file = await opens("/dev/full", mode, compression=codec)
        content: Any = "word " if mode == "w" else random.Random(8).randbytes(1_000_000)
        calls = {
            "write": lambda: file.write(content * (10_000_000 if mode == "w" else 3)),
            "flush": file.flush,
            "close": file.close,
        }
        if first != "write":
            await file.write(content[:4])
        for name in list(calls)[list(calls).index(first) :]:
            with pytest.raises(OSError, match="No space left on device") as raised:
                await calls[name]()
            assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, "/dev/full"), name
        assert file.closed
        await file.close()

    run(main())


def test_a_target_is_not_replaced_by_what_could_not_be_written(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, contextlib, errno, random, sys
        import aiofile

        async def main():
            try:
                async with aiofile.atomic_write(sys.argv[1], "wb", compression="gz") as file:
                    with contextlib.suppress(OSError):
                        await file.write(random.Random(5).randbytes(3_000_000))
            except OSError as error:
                assert error.errno == errno.EFBIG, error
            else:
                raise AssertionError("it was replaced")

        asyncio.run(main())
    """)

    path = tmp_path / "file"
    path.write_text("old")
    subprocess.run([sys.executable, "-c", program, path], check=True, preexec_fn=limit_files)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_descriptor_that_never_waits_and_is_full_says_so() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        file = await aiofile.open(writing, "wb", compression="gz")
        for _ in range(2):
            with pytest.raises(BlockingIOError) as raised:
                await file.write(random.Random(9).randbytes(1_000_000))
            assert raised.value.errno == errno.EAGAIN
        with pytest.raises(BlockingIOError):
            await file.close()
        os.close(reading)

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_a_cancelled_write_leaves_a_file_without_an_end(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        async def write() -> None:
            async with aiofile.open(path, "wb", compression=codec) as file:
                await file.write(b"before\n")
                await file.write(random.Random(6).randbytes(20_000_000))

        task = asyncio.create_task(write())
        await until(lambda: path.exists() and path.stat().st_size > 100_000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with aiofile.open(path, "rb", compression=codec) as file:
            assert await file.readline() == b"before\n"
            with pytest.raises(EOFError):
                await file.read()

    run(main())


def test_after_a_cancelled_write_nothing_more_is_taken(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "file", "wb", compression="gz") as file:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(file.write(bytes(200_000_000)), 0.01)
            for call in (lambda: file.write(b"x"), lambda: file.writelines([b"x"]), file.flush):
                with pytest.raises(OSError, match="cancelled"):
                    await call()

    run(main())


def test_a_cancelled_read_leaves_the_position_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.zst"
    content = bytes(150_000_000) + b"end"

    async def main() -> None:
        async with aiofile.open(path, "wb", compression="zst") as file:
            await file.write(content)
        async with aiofile.open(path, "rb", compression="zst") as file:
            assert await file.read(10) == bytes(10)
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(file.read(), 0.01)
            assert await file.tell() == 10
            assert await file.read() == content[10:]

    run(main())


def test_a_block_that_fails_leaves_a_whole_file_as_with_gzip(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"

    async def main() -> None:
        async with aiofile.open(path, "w", compression="gz") as file:
            await file.write("written")
            raise KeyError

    with pytest.raises(KeyError):
        run(main())
    assert gzip.decompress(path.read_bytes()) == b"written"


def test_text_that_cannot_be_encoded_is_not_written_in_part(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    text = "a" * 300_000 + "é"

    async def main() -> None:
        async with aiofile.open(path, "w", encoding="ascii", compression="gz") as file:
            with pytest.raises(UnicodeEncodeError) as raised:
                await file.write(text)
            assert raised.value.start == 300_000
            await file.write("fine")

    run(main())
    assert gzip.decompress(path.read_bytes()) == b"fine"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "iso2022_jp", "utf-7"])
def test_encodings_that_take_more_room_than_characters_are_written_and_read(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "file.zst"
    lines = [f"{number} 日本語\n" for number in range(20_000)]

    async def main() -> None:
        async with aiofile.open(path, "w", encoding=encoding, newline="\r\n", compression="zst") as file:
            for line in lines:
                await file.write(line)
        async with aiofile.open(path, encoding=encoding, compression="zst") as file:
            assert [line async for line in file] == lines

    run(main())


def test_two_tasks_never_mix_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"

    async def main() -> None:
        async with aiofile.open(path, "w", compression="gz") as file:

            async def write(letter: str) -> None:
                for number in range(200):
                    await file.write(f"{letter}{number} {letter * (number * 100)}\n")
                    await asyncio.sleep(0)

            await asyncio.gather(*map(write, "abc"))
        seen: list[str] = []
        async with aiofile.open(path, compression="gz") as file:

            async def read() -> None:
                while line := await file.readline():
                    assert set(line.split()[0].strip("0123456789") + "".join(line.split()[1:])) == {line[0]}
                    seen.append(line)
                    await asyncio.sleep(0)

            await asyncio.gather(*(read() for _ in range(3)))
        assert len(set(seen)) == len(seen) == 600

    run(main())


def test_the_loop_turns_while_a_file_is_restored(tmp_path: Path) -> None:
    path = tmp_path / "file.zst"

    async def main() -> int:
        async with aiofile.open(path, "wb", compression="zst") as file:
            await file.write(bytes(100_000_000))
        async with aiofile.open(path, "rb", compression="zst") as file:
            with Turns() as turns:
                assert len(await file.read()) == 100_000_000
            return turns.count

    assert run(main()) > 100


def test_memory_stays_small_whatever_the_length(tmp_path: Path) -> None:
    path = tmp_path / "file.zst"
    program = textwrap.dedent("""
        import asyncio, resource, sys
        import aiofile

        async def main():
            piece = b"0123456789abcdef" * 65536
            peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            async with aiofile.open(sys.argv[1], "wb", compression="zst") as file:
                await file.write(piece)
                before = peak()
                for _ in range(300):
                    await file.write(piece)
            count = 0
            async with aiofile.open(sys.argv[1], "rb", compression="zst") as file:
                while data := await file.read(1 << 20):
                    count += len(data)
            assert count == 301 * len(piece)
            print(peak() - before)

        asyncio.run(main())
    """)
    done = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 32 * 1024, "KiB"


def test_a_frame_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.zst"
    # One raw block of one byte behind a window of 256 MiB.
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\x90\x09\x00\x00x")

    async def main() -> None:
        async with aiofile.open(path, "rb", compression="infer") as file:
            with pytest.raises(OSError, match="128 MiB"):
                await file.read()

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_a_closed_file_refuses_as_io_does(tmp_path: Path, codec: str) -> None:
    async def main() -> None:
        for mode in ("w", "wb", "r", "rb"):
            file: Any = await aiofile.open(tmp_path / "file", mode, compression=codec)
            assert not file.closed
            assert file.name == str(tmp_path / "file")
            await file.close()
            await file.close()
            assert file.closed
            with pytest.raises(ValueError, match="closed"):
                await (file.write("" if mode == "w" else b"") if "w" in mode else file.read())
            with pytest.raises(ValueError, match="closed"):
                await (file.flush() if "w" in mode else file.readline())

    run(asyncio.wait_for(main(), LONGEST_WAIT))


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_that_nobody_closed_is_ended_with_a_warning(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        file = await aiofile.open(path, "w", compression=codec)
        await file.write("written")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del file
            gc.collect()
        assert any("unclosed" in str(warning.message) for warning in told)
        assert restore(codec, path.read_bytes()) == b"written"

    run(main())


def test_the_blocking_file_goes_on_where_the_program_is(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    lines = TEXT.splitlines(keepends=True)

    async def main() -> None:
        async with aiofile.open(path, encoding="utf-8", compression="gz") as file:
            assert [await file.readline() for _ in range(3)] == lines[:3]
            assert file.buffer.tell() > 0
            assert await file.readline() == lines[3]
        binary = await aiofile.open(path, "rb", compression="gz")
        assert await binary.readline() == lines[0].encode()
        raw = binary.detach()
        assert raw.readable()
        raw.close()

    run(main())


@pytest.mark.parametrize("codec", CODECS)
def test_a_long_iteration_gives_way_to_a_timeout(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        async with aiofile.open(path, "wb", compression=codec) as file:
            await file.write(b"\n" * 3_000_000)

        async def iterate() -> None:
            async with aiofile.open(path, "rb", compression=codec) as file:
                async for _ in file:
                    pass

        with Turns() as turns:
            await iterate()
        # Each turn has at most the 512 lines of the budget.
        assert turns.count > 3_000_000 // 512

    run(main())
