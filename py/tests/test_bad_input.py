"""What cannot be opened, read or written is refused as the built-in refuses it."""

from __future__ import annotations

import errno
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, descriptors, run, succeed

MISSING = "no such file"


class Named:
    """A path of a type of its own."""

    def __init__(self, name: Any) -> None:
        self.name = name

    def __fspath__(self) -> Any:
        return self.name


def facts(error: BaseException) -> tuple[Any, ...]:
    """What a program can see of an error."""
    system = (error.errno, error.strerror, error.filename) if isinstance(error, OSError) else ()
    return type(error), str(error), *system


def their_refusal(*arguments: Any, **options: Any) -> tuple[Any, ...]:
    with pytest.raises((OSError, ValueError, TypeError, LookupError)) as caught:
        open(*arguments, **options).close()
    return facts(caught.value)


def our_refusal(*arguments: Any, **options: Any) -> tuple[Any, ...]:
    async def main() -> None:
        async with aiofile.open(*arguments, **options):
            pass

    with pytest.raises((OSError, ValueError, TypeError, LookupError)) as caught:
        run(main())
    return facts(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_bytes(b"content")
    Path("loop").symlink_to("loop")
    Path("dangling").symlink_to("nowhere/at/all")
    return tmp_path


NAMES: list[Any] = [
    MISSING,
    MISSING.encode(),
    Path(MISSING),
    Named(MISSING),
    Named(b"missing bytes"),
    "folder",
    b"folder",
    "folder/",
    "file/",
    "file/below",
    "nowhere/file",
    "",
    b"",
    "x" * 256,
    "x/" * 3000,
    "loop",
    "dangling",
    "with\0nul",
    b"with\0nul",
    "missing \udcff",
    b"missing \xff",
    "not encodable \ud800",
    None,
    1.5,
    object,
    [],
    ("file",),
    bytearray(b"file"),
    Named(5),
    -1,
    -7,
    987_654,
    2**31,
    2**70,
]


@pytest.mark.parametrize("mode", ["r", "rb", "r+", "w", "ab", "x"])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_a_name_that_cannot_be_opened_is_refused_as_open_refuses_it(
    folder: Path, name: Any, mode: str
) -> None:
    if name in (MISSING, MISSING.encode(), "missing \udcff", b"missing \xff") and "r" not in mode:
        name = "folder"
    elif isinstance(name, (Path, Named)) and "r" not in mode and name.name != 5:
        name = Path("folder")
    assert our_refusal(name, mode) == their_refusal(name, mode)
    assert sorted(os.listdir(folder)) == ["dangling", "file", "folder", "loop"]


def test_an_existing_file_is_not_created_exclusively(folder: Path) -> None:
    assert our_refusal("file", "x") == their_refusal("file", "x")
    assert Path("file").read_bytes() == b"content"


@pytest.mark.parametrize(
    "mode",
    [
        "",
        "rU",
        "U",
        "rw",
        "rr",
        "r++",
        "bt",
        "rbt",
        "z",
        "+",
        "b",
        "t",
        "wa",
        "xr",
        "rbb",
        "\0",
        "é",
        5,
        None,
        b"r",
    ],
)
def test_a_mode_that_is_none_is_refused_as_open_refuses_it(folder: Path, mode: Any) -> None:
    if sys.version_info < (3, 11) and "U" in str(mode):
        pytest.skip("Python 3.10 still takes U, with a warning that it will not")
    assert our_refusal("file", mode) == their_refusal("file", mode)
    # Whatever else is wrong: nothing was opened, so nothing was truncated.
    assert Path("file").read_bytes() == b"content"


OPTIONS: list[dict[str, Any]] = [
    {"mode": "r", "buffering": 0},
    {"mode": "w", "buffering": 0},
    {"mode": "r", "buffering": "1"},
    {"mode": "r", "buffering": 1.5},
    {"mode": "r", "buffering": None},
    {"mode": "r", "encoding": 5},
    {"mode": "rb", "encoding": "utf-8"},
    {"mode": "wb", "encoding": "utf-8"},
    {"mode": "rb", "errors": "strict"},
    {"mode": "r", "errors": 5},
    {"mode": "rb", "newline": ""},
    {"mode": "r", "newline": "x"},
    {"mode": "w", "newline": "\n\r"},
    {"mode": "r", "newline": 5},
    {"mode": "r", "newline": b"\n"},
    {"mode": "r", "closefd": False},
    {"mode": "r", "encoding": "rot13"},
    {"mode": "r", "encoding": "no such codec"},
    {"mode": "w", "encoding": "base64"},
    {"mode": "r", "encoding": "nul\0"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_options_that_contradict_each_other_are_refused_as_open_refuses_them(
    folder: Path, options: dict[str, Any]
) -> None:
    mode = options["mode"]
    # What open() refuses only once the file is open, it has truncated.
    assert our_refusal("file", **options) == their_refusal("file", **options)
    if "w" not in mode:
        assert Path("file").read_bytes() == b"content"


def returning(result: Any) -> Any:
    return lambda path, flags: result


def failing(path: Any, flags: int) -> int:
    raise PermissionError(errno.EACCES, "not today", path)


@pytest.mark.parametrize(
    "opener", [returning(-1), returning("3"), returning(None), failing, 5, returning(987_654)]
)
def test_an_opener_that_fails_is_refused_as_open_refuses_it(folder: Path, opener: Any) -> None:
    assert our_refusal("file", opener=opener) == their_refusal("file", opener=opener)


def test_binary_line_buffering_warns_as_open_warns(folder: Path) -> None:
    async def main() -> None:
        async with aiofile.open("file", "rb", buffering=1):
            pass

    with pytest.warns(RuntimeWarning, match="line buffering") as ours:
        run(main())
    with pytest.warns(RuntimeWarning, match="line buffering") as theirs, open("file", "rb", buffering=1):
        pass
    assert str(ours[0].message) == str(theirs[0].message)
    # It names the line that has to be changed.
    assert ours[0].filename == theirs[0].filename == __file__
    with pytest.warns(RuntimeWarning, match="line buffering") as temporary:
        opening: Any = aiofile.tempfile.TemporaryFile("w+b", 1)
    opening._coro.close()
    assert temporary[0].filename == __file__


@pytest.mark.parametrize("size", [3, 1_000_000])
def test_no_file_is_opened_without_a_loop_of_asyncio(folder: Path, size: int) -> None:
    Path("file").write_bytes(b"x" * size)
    before = descriptors()
    for opening in (
        aiofile.open("file"),
        aiofile.open("file", "rb", executor=ThreadPoolExecutor()),
        aiofile.tempfile.TemporaryFile(),
    ):
        # As trio does, which runs coroutines, but not those that wait for asyncio.
        with pytest.raises(RuntimeError, match=r"no running event loop.* not in trio"):
            next(opening.__await__())
    assert descriptors() == before


@pytest.mark.parametrize("name", [b"\xff\xfe.txt", "caf\udce9", "naïve ☃", " ", "-n", "new\nline", "x" * 255])
def test_names_of_any_bytes_can_be_opened(folder: Path, name: Any) -> None:
    async def main() -> None:
        async with aiofile.open(name, "wb") as file:
            await file.write(b"here")
            assert file.name == name
        async with aiofile.open(os.fsencode(name)) as file:
            assert await file.read() == "here"
        async with aiofile.open(os.fsdecode(name)) as file:
            assert await file.read() == "here"

    run(main())
    with open(name, "rb") as file:
        assert file.read() == b"here"


@pytest.mark.parametrize("mode", ["r", "w", "a", "r+", "x"])
def test_what_is_not_permitted_is_refused_as_open_refuses_it(tmp_path: Path, mode: str) -> None:
    target = tmp_path / "kept"
    target.write_bytes(b"content")
    target.chmod(0)
    if mode == "x":
        target = tmp_path / "folder" / "new"
        target.parent.mkdir(mode=0o500)
    program = """
        import aiofile, asyncio, sys
        path, mode = sys.argv[1:]

        def facts(error):
            return type(error).__name__, str(error), error.errno, error.strerror, error.filename

        async def ours():
            async with aiofile.open(path, mode):
                pass

        refusals = []
        for attempt in (lambda: open(path, mode).close(), lambda: asyncio.run(ours())):
            try:
                attempt()
            except OSError as error:
                refusals.append(facts(error))
        assert len(refusals) == 2, "nothing was denied"
        assert refusals[0] == refusals[1], refusals
        print(refusals[0][0])
    """
    # Root passes every check, unless it gives this up.
    powers = "-dac_override,-dac_read_search"
    drop = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"] if os.geteuid() == 0 else []
    assert succeed(child(program, str(target), mode, prefix=drop)) == "PermissionError\n"
    target.parent.chmod(0o700)


def test_a_full_device_is_an_error_of_the_write_that_meets_it() -> None:
    async def main() -> None:
        file = await aiofile.open("/dev/full", "wb")
        with pytest.raises(OSError, match="No space left") as large:
            await file.write(bytes(1_000_000))
        await file.write(b"small")
        with pytest.raises(OSError, match="No space left") as flush:
            await file.flush()
        with pytest.raises(OSError, match="No space left") as close:
            await file.close()
        assert file.closed, "a close always closes"
        await file.close()
        for caught in (large, flush, close):
            assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")

    run(main())


def test_a_full_disk_keeps_a_clean_prefix_and_the_rest_can_be_written_when_there_is_room(
    tmp_path: Path,
) -> None:
    if os.system(f"unshare -m mount -t tmpfs -o size=64k none {tmp_path} 2>/dev/null") != 0:
        pytest.skip("no small file system can be mounted here")
    program = """
        import aiofile, asyncio, errno, os, sys
        path = sys.argv[1] + "/f"

        async def main():
            with open(sys.argv[1] + "/ballast", "wb") as ballast:
                ballast.write(bytes(32 * 1024))
            file = await aiofile.open(path, "wb", buffering=4096)
            data = b"".join(b"%07d\\n" % number for number in range(20_000))
            try:
                await file.write(data)
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
            else:
                raise AssertionError("the disk was not full")
            at = await file.tell()
            kept = open_and_read(path)
            assert 0 < at == len(kept) < 64 * 1024, (at, len(kept))
            assert kept == data[:at]
            await file.write(b"more")
            try:
                await file.flush()
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
            os.unlink(sys.argv[1] + "/ballast")
            await file.close()
            assert open_and_read(path) == data[:at] + b"more"

        def open_and_read(path):
            with open(path, "rb") as file:
                return file.read()

        asyncio.run(main())
    """
    mount = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=64k none "{tmp_path}" && exec "$@"', "sh"]
    succeed(child(program, str(tmp_path), prefix=mount))


@pytest.mark.parametrize("mode", ["w", "wb", "w+", "r+b"])
@pytest.mark.parametrize(
    "value", [5, None, object(), "text", b"bytes", [b"x"], bytearray(b"x"), memoryview(b"x")], ids=repr
)
def test_what_cannot_be_written_is_refused_as_io_refuses_it(folder: Path, mode: Any, value: Any) -> None:
    with open("file", mode) as theirs:
        try:
            expected: Any = theirs.write(value)
        except TypeError as error:
            expected = type(error), str(error)

    async def main() -> Any:
        async with aiofile.open("file", mode) as ours:
            try:
                return await ours.write(value)
            except TypeError as error:
                return type(error), str(error)

    assert run(main()) == expected


@pytest.mark.parametrize("buffering", [-2, -5])
def test_any_negative_size_of_the_buffer_is_the_default(folder: Path, buffering: int) -> None:
    async def main() -> None:
        async with aiofile.open("file", buffering=buffering) as file:
            assert await file.read() == "content"

    run(main())


SIZED = ["read", "readline", "readlines", "seek", "truncate"]
NO_SIZES: list[Any] = ["3", b"", []]
BAD_SIZES: list[tuple[str, str, Any]] = [
    *((mode, method, size) for mode in ("r+", "r+b") for method in SIZED for size in NO_SIZES),
    *(("r+b", method, 1.5) for method in SIZED),
    *(("r+b", method, 2**70) for method in SIZED if method != "readlines"),
]


@pytest.mark.parametrize(("mode", "method", "size"), BAD_SIZES)
def test_sizes_of_the_wrong_type_are_refused_with_the_class_that_io_raises(
    folder: Path, mode: Any, method: str, size: Any
) -> None:
    with (
        open("file", mode) as theirs,
        pytest.raises((TypeError, OverflowError, ValueError, OSError)) as expected,
    ):
        getattr(theirs, method)(size)

    async def main() -> None:
        async with aiofile.open("file", mode) as ours:
            with pytest.raises(expected.type):
                await getattr(ours, method)(size)

    run(main())


@pytest.mark.parametrize("errors", ["strict", None])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "content", [b"\xff", b"good\nbad \xc3\x28\n", b"cut \xe2\x82", b"x" * 200_000 + b"\xff"]
)
def test_bytes_that_are_no_text_are_an_error_that_says_where(
    folder: Path, content: bytes, encoding: str, errors: str | None
) -> None:
    Path("file").write_bytes(content)
    with (
        open("file", encoding=encoding, errors=errors) as theirs,
        pytest.raises(UnicodeDecodeError) as expected,
    ):
        theirs.read()

    async def main() -> None:
        async with aiofile.open("file", encoding=encoding, errors=errors) as ours:
            with pytest.raises(UnicodeDecodeError) as caught:
                await ours.read()
            found, wanted = caught.value, expected.value
            assert (found.start, found.end, found.reason) == (wanted.start, wanted.end, wanted.reason)
            assert found.encoding == wanted.encoding
            assert await ours.tell() == 0, "what could not be decoded is still there"

    run(main())


def test_characters_that_cannot_be_encoded_are_refused_and_nothing_is_written(folder: Path) -> None:
    async def main() -> None:
        async with aiofile.open("file", "w", encoding="ascii") as file:
            with pytest.raises(UnicodeEncodeError):
                await file.write("naïve")
            with pytest.raises(UnicodeEncodeError):
                await file.write("x" * 300_000 + "ï")

    run(main())
    assert Path("file").read_bytes() == b""


@pytest.mark.parametrize("size", ["x", 1.5, b"1", []])
@pytest.mark.parametrize("name", ["read", "readline", "readlines", "read1"])
@pytest.mark.parametrize(
    "options",
    [{"mode": "rb"}, {"mode": "rb", "buffering": 0}, {"mode": "r"}, {"mode": "r", "encoding": "utf-16"}],
)
def test_what_is_no_size_is_refused_in_the_words_of_io(
    folder: Path, options: dict[str, Any], name: str, size: Any
) -> None:
    Path("file").write_text("some\nlines\n", encoding="utf-16")
    with open("file", **options) as theirs:
        if not hasattr(theirs, name):
            return
        with pytest.raises(TypeError) as expected:
            getattr(theirs, name)(size)

    async def main() -> None:
        async with aiofile.open("file", **options) as ours:
            with pytest.raises(TypeError) as refused:
                await getattr(ours, name)(size)
            assert str(refused.value) == str(expected.value)

    run(main())


@pytest.mark.parametrize("newline", ["x", "\n\n", "\0"])
@pytest.mark.parametrize("more", [{}, {"errors": "nope"}, {"encoding": "nope"}])
@pytest.mark.parametrize("development", ["", "1"])
def test_of_two_bad_arguments_the_one_is_refused_that_io_refuses(
    tmp_path: Path, newline: str, more: dict[str, str], development: str
) -> None:
    program = """
        import asyncio, sys
        import aiofile

        options = dict(eval(sys.argv[2]))

        def refusal():
            try:
                open(sys.argv[1], **options)
            except Exception as error:
                return type(error), str(error)

        async def our_refusal():
            try:
                await aiofile.open(sys.argv[1], **options)
            except Exception as error:
                return type(error), str(error)

        ours, theirs = asyncio.run(our_refusal()), refusal()
        assert ours == theirs is not None, (ours, theirs)
    """
    (tmp_path / "f").write_text("")
    options = repr({"newline": newline, **more})
    succeed(child(program, str(tmp_path / "f"), options, PYTHONDEVMODE=development))
