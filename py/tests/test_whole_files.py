"""Whole files in one call, beside what `pathlib` does."""

from __future__ import annotations

import array
import asyncio
import contextlib
import mmap
import os
import stat
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiofile
from aiofile import _native
from support import LONGEST_WAIT, PROPERTY, Turns, child, descriptors, run, succeed, until

#: On either side of where a file is no small one any more, and of the inline limit.
SIZES = [0, 1, 4096, 65_535, 65_536, 131_073, 3_000_000]

ENCODINGS = ["utf-8", "ascii", "latin-1", "utf-16", "utf-8-sig", "cp1252", "no such encoding"]
NEWLINES = [None, "", "\n", "\r", "\r\n"]


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives or raises, as far as it can be compared."""
    try:
        return call()
    except (OSError, ValueError, LookupError, TypeError) as error:
        if isinstance(error, OSError):
            return type(error), error.errno, error.filename
        if isinstance(error, (UnicodeDecodeError, UnicodeEncodeError)):
            # A long text is coded in pieces.
            place = error.args if len(error.object) < 65_536 else error.reason
            return type(error), error.encoding, place
        return type(error)


def same(
    ours: Callable[[], Coroutine[Any, Any, Any]], theirs: Callable[[], Any], in_pieces: bool = False
) -> None:
    got, expected = outcome(lambda: run(ours())), outcome(theirs)
    if in_pieces and isinstance(expected, tuple):
        # Long text is decoded piece by piece, and an error shows the one that it is in.
        got, expected = got[0], expected[0]
    assert got == expected


@pytest.mark.parametrize("size", SIZES)
def test_bytes_of_any_size_are_read_and_written(tmp_path: Path, size: int) -> None:
    path, content = tmp_path / "file", os.urandom(size)

    async def main() -> None:
        assert await aiofile.write_bytes(path, content) == size
        assert path.read_bytes() == content
        assert await aiofile.read_bytes(path) == content
        # The other names of a path, and another kind of data.
        assert await aiofile.read_bytes(os.fsencode(path)) == content
        assert await aiofile.write_bytes(str(path), bytearray(content[::-1])) == size
        assert path.read_bytes() == content[::-1]
        assert _native.buffers_in_use() == 0

    run(main())


def test_a_shorter_content_replaces_a_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    for content in (b"short", b""):
        assert run(aiofile.write_bytes(path, content)) == len(content)
        assert path.read_bytes() == content


def test_what_is_written_counts_as_with_pathlib(tmp_path: Path) -> None:
    path = tmp_path / "file"
    items = array.array("d", range(1000))
    for data in (memoryview(items), items, memoryview(b"abc")[1:], bytearray()):
        assert run(aiofile.write_bytes(path, data)) == path.write_bytes(data) == memoryview(data).nbytes
    assert run(aiofile.write_text(path, "zwölf Zeichen", "utf-16")) == 13


@PROPERTY
@given(
    piece=st.text(alphabet="a\r\nä€😀", max_size=60),
    times=st.sampled_from([1, 1, 1, 30_000]),
    encoding=st.sampled_from(ENCODINGS),
    errors=st.sampled_from([None, "ignore", "replace", "surrogateescape"]),
    newline=st.sampled_from(NEWLINES),
)
def test_text_is_what_it_is_in_pathlib(
    tmp_path_factory: pytest.TempPathFactory,
    piece: str,
    times: int,
    encoding: str,
    errors: str | None,
    newline: str | None,
) -> None:
    text = piece * times
    folder = tmp_path_factory.mktemp("text")
    ours, theirs = folder / "ours", folder / "theirs"

    def write() -> int:
        with theirs.open("w", encoding=encoding, errors=errors, newline=newline) as file:
            return file.write(text)

    def read() -> str:
        with ours.open("r", encoding=encoding, errors=errors, newline=newline) as file:
            return file.read()

    same(lambda: aiofile.write_text(ours, text, encoding, errors, newline), write)
    # What cannot be encoded is found before the file is touched, or leaves an empty one.
    written = ours.read_bytes() if ours.exists() else b""
    assert written == (theirs.read_bytes() if theirs.exists() else b"")
    ours.write_bytes(text.encode("utf-8", "replace"))
    if errors == "ignore" and times > 1:
        # What is dropped between the halves of a line end: docs/decisions/0009-differences-from-io.md.
        return
    same(lambda: aiofile.read_text(ours, encoding, errors, newline), read, in_pieces=times > 1)


class Liar(str):
    """Says what is not so of itself."""

    __slots__ = ()

    def isascii(self) -> bool:
        return True

    def __len__(self) -> int:
        return 3

    def __getitem__(self, _key: Any) -> str:
        return "liar"

    def __contains__(self, _part: object) -> bool:
        return False

    def encode(self, _encoding: str = "utf-8", _errors: str = "strict") -> bytes:
        return b"liar"

    def replace(self, *_arguments: Any) -> str:
        return "liar"

    def __str__(self) -> str:
        return "liar"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-16"])
@pytest.mark.parametrize("newline", [None, "\r\n"])
@pytest.mark.parametrize("size", [10, 200_000])
def test_what_a_subclass_of_str_says_of_itself_makes_no_difference(
    tmp_path: Path, encoding: str, newline: str | None, size: int
) -> None:
    plain = ("é" if encoding != "ascii" else "e") * size + "\n"
    path = tmp_path / "f"

    async def main() -> None:
        assert await aiofile.write_text(path, Liar(plain), encoding, newline=newline) == len(plain)
        with path.open(encoding=encoding, newline=newline) as file:
            expected = plain if newline is None else plain.replace("\n", newline)
            assert file.read() == expected
        async with aiofile.open(path, "w", encoding=encoding, newline=newline) as written:
            assert await written.write(Liar(plain)) == len(plain)
            await written.writelines([Liar(plain), Liar(plain)])
            await written.writelines(Liar(plain) for _ in range(2))
        with path.open(encoding=encoding, newline=newline) as file:
            assert file.read() == expected * 5

    run(main())


def test_text_that_was_not_encoded_is_no_content(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "f"
        with pytest.raises(ValueError, match="not plain ASCII"):
            await _native.write_small(bytes(path), "é", str(path))
        assert not path.exists()

    run(main())


def test_the_same_is_refused_as_by_pathlib(tmp_path: Path) -> None:
    missing, folder = tmp_path / "missing" / "file", tmp_path
    denied: Any
    for path in (missing, folder, tmp_path / ("x" * 300), Path("a\0b")):
        same(lambda: aiofile.read_bytes(path), path.read_bytes)  # noqa: B023
        same(lambda: aiofile.read_text(path, "utf-8"), lambda: path.read_text("utf-8"))  # noqa: B023
        same(lambda: aiofile.write_bytes(path, b"x"), lambda: path.write_bytes(b"x"))  # noqa: B023
        same(lambda: aiofile.write_text(path, "x", "utf-8"), lambda: path.write_text("x", "utf-8"))  # noqa: B023
    file = tmp_path / "file"
    file.write_text("as it was")
    for denied in ("text", None, 3, [1]):
        same(lambda: aiofile.write_bytes(file, denied), lambda: file.write_bytes(denied))  # noqa: B023
    for denied in (b"bytes", None, 3):
        same(lambda: aiofile.write_text(file, denied), lambda: file.write_text(denied))  # noqa: B023
    with pytest.raises(BufferError):
        run(aiofile.write_bytes(file, memoryview(b"abcdef")[::2]))
    with pytest.raises(UnicodeEncodeError):
        run(aiofile.write_text(file, "€", "latin-1"))
    assert file.read_text() == "as it was"
    with pytest.raises(TypeError):
        run(aiofile.read_bytes(None))  # type: ignore[arg-type]


def test_a_denied_file_says_so(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from pathlib import Path
        import aiofile

        def error(call):
            try:
                call()
            except PermissionError as error:
                return error.errno, error.filename

        path = Path(sys.argv[1])
        ours = [
            error(lambda: asyncio.run(aiofile.read_bytes(path))),
            error(lambda: asyncio.run(aiofile.write_bytes(path, b"x"))),
        ]
        theirs = [error(path.read_bytes), error(lambda: path.write_bytes(b"x"))]
        assert ours == theirs == [(13, str(path))] * 2, (ours, theirs)
    """
    prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    path = tmp_path / "file"
    path.write_text("secret")
    path.chmod(0)
    succeed(child(program, str(path), prefix=prefix if os.geteuid() == 0 else None))


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run(aiofile.write_bytes(tmp_path / "file", b"x"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    run(aiofile.write_text(tmp_path / "link", "new", "utf-8"))
    assert (tmp_path / "target").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


def test_files_that_tell_no_size_are_read_to_their_end(tmp_path: Path) -> None:
    assert run(aiofile.read_text("/proc/self/comm", "utf-8")) == Path("/proc/self/comm").read_text()
    assert run(aiofile.read_bytes("/proc/cpuinfo")).startswith(b"processor")
    # More than fits at once: some 700 bytes for each mapping, which two of a kind must not become one.
    mappings = [mmap.mmap(-1, 4096, prot=1 + number % 2 * 2) for number in range(300)]
    assert run(aiofile.read_bytes("/proc/self/smaps")).count(b"VmFlags:") > 200
    assert len(mappings) == 300
    assert run(aiofile.read_bytes("/dev/null")) == b""
    assert run(aiofile.write_bytes("/dev/null", b"gone")) == 4
    with pytest.raises(OSError, match="No space left") as failed:
        run(aiofile.write_bytes("/dev/full", b"x"))
    assert failed.value.filename == "/dev/full"


def test_a_descriptor_is_used_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert run(aiofile.write_bytes(os.open(path, os.O_WRONLY | os.O_CREAT), b"content")) == 7
    before = descriptors()
    assert run(aiofile.read_text(os.open(path, os.O_RDONLY), "utf-8")) == "content"
    assert descriptors() == before


def test_fifos_are_waited_for_in_nobodys_way(tmp_path: Path) -> None:
    fifos = [tmp_path / f"fifo{number}" for number in range(100)]
    for fifo in fifos:
        os.mkfifo(fifo)

    async def main() -> None:
        await aiofile.write_bytes(tmp_path / "warm", b"up")
        before = descriptors()
        reading = [asyncio.ensure_future(aiofile.read_bytes(fifo)) for fifo in fifos[:50]]
        writing = [asyncio.ensure_future(aiofile.write_bytes(fifo, b"through")) for fifo in fifos[50:]]
        await asyncio.sleep(0)
        # No thread of a pool is taken up by them.
        assert await aiofile.read_text("/proc/self/comm", "utf-8")
        assert await aiofile.write_bytes(tmp_path / "other", b"x") == 1
        assert await aiofile.write_bytes(fifos[0], b"content") == 7
        assert await reading[0] == b"content"
        assert await aiofile.read_text(fifos[50], "utf-8") == "through"
        assert await writing[0] == 7
        for task in [*reading[1:], *writing[1:]]:
            assert not task.done()
            task.cancel()
        await asyncio.wait([*reading[1:], *writing[1:]])
        await until(lambda: descriptors() <= before)

    run(main())


def test_a_fifo_gets_text_and_bytes_as_they_are(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    with ThreadPoolExecutor() as peer:
        reading = peer.submit(fifo.read_bytes)
        assert run(aiofile.write_text(fifo, "one\n", "utf-8")) == 4
        assert reading.result(LONGEST_WAIT) == b"one\n"
        writing = peer.submit(fifo.write_bytes, b"two\r\n")
        assert run(aiofile.read_text(fifo, "utf-8")) == "two\n"
        assert writing.result(LONGEST_WAIT) == 5


@pytest.mark.parametrize("size", [100, 20_000_000])
def test_a_cancelled_write_leaves_the_old_content_or_a_beginning_of_the_new_one(
    tmp_path: Path, size: int
) -> None:
    old, new = b"o" * size, b"n" * size

    async def main() -> None:
        await aiofile.write_bytes(tmp_path / "warm", b"up")
        before = descriptors()
        for number in range(20):
            path = tmp_path / str(number)
            path.write_bytes(old)
            task = asyncio.ensure_future(aiofile.write_bytes(path, new))
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            # Nobody writes any more: it is what it stays.
            content = path.read_bytes()
            assert content == old or new.startswith(content)
            path.unlink()
        assert descriptors() == before

    run(main())


def test_the_buffer_of_a_cancelled_write_is_free_again(tmp_path: Path) -> None:
    async def main() -> None:
        data = bytearray(b"x" * 20_000_000)
        task = asyncio.ensure_future(aiofile.write_bytes(tmp_path / "file", data))
        await asyncio.sleep(0)
        with pytest.raises(BufferError):
            data.clear()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        del task
        data.clear()

    run(main())


def test_a_cancelled_read_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 30_000_000)

    async def main() -> None:
        await aiofile.read_bytes(path)
        before = descriptors()
        for number in range(20):
            task = asyncio.ensure_future(aiofile.read_bytes(path))
            for _ in range(number // 2):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert descriptors() == before
        assert _native.buffers_in_use() == 0

    run(main())


def test_a_hundred_thousand_small_reads_leave_the_loop_its_turns(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)

    async def main() -> None:
        with Turns() as turns:
            for _ in range(5000):
                await aiofile.read_bytes(path)
        # At most 512 operations between two of them.
        assert turns.count > 8

    run(main())


def test_a_replaced_open_is_used_for_whole_files_too(tmp_path: Path) -> None:
    program = """
        import asyncio, builtins, io, sys
        import aiofile

        opened = []
        real = builtins.open

        def fake(file, *arguments, **options):
            opened.append(file)
            return real(file, *arguments, **options)

        async def main():
            builtins.open = fake
            try:
                await aiofile.write_text(sys.argv[1], "content", "utf-8")
                assert await aiofile.read_bytes(sys.argv[1]) == b"content"
            finally:
                builtins.open = real

        asyncio.run(main())
        assert opened == [sys.argv[1]] * 2, opened
    """
    succeed(child(program, str(tmp_path / "file")))


def test_audit_hooks_are_told(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        import aiofile

        path = sys.argv[1]
        seen = []
        sys.addaudithook(lambda event, arguments: event == "open" and seen.append(arguments))
        asyncio.run(aiofile.write_bytes(path, b"x"))
        asyncio.run(aiofile.read_bytes(path))
        ours = [each for each in seen if each[0] == path]
        seen.clear()
        with open(path, "wb"), open(path, "rb"):
            pass
        assert ours == seen, (ours, seen)
    """
    succeed(child(program, str(tmp_path / "file")))


@pytest.mark.skipif(sys.flags.warn_default_encoding == 1, reason="the child sets it")
def test_a_missing_encoding_is_warned_of_at_the_callers_line(tmp_path: Path) -> None:
    program = """
        import asyncio, sys, warnings
        import aiofile

        async def main():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                await aiofile.write_text(sys.argv[1], "x")
                await aiofile.read_text(sys.argv[1])
            assert [each.category for each in caught] == [EncodingWarning] * 2, caught
            assert {each.filename for each in caught} == {"<string>"}, caught

        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path / "file"), PYTHONWARNDEFAULTENCODING="1"))
