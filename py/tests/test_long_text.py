"""Text that takes long to decode, to encode or to copy: as io has it, and the loop turns meanwhile."""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

import aiofile
from aiofile._codec_text import UTF_7_PIECE
from support import run

#: Encodings that are decoded natively, and by codecs that are slow, keep a state or start with a mark.
ENCODINGS = [
    "utf-8",
    "latin-1",
    "ascii",
    "utf-16",
    "utf-8-sig",
    "shift_jis",
    "gb18030",
    "iso2022_jp",
    "utf-7",
]

ALPHABETS = {
    "latin-1": "abc é\xff",
    "ascii": "abc ",
    "shift_jis": "日本語 ab",
    "iso2022_jp": "日本語 ab",
    "utf-7": "日本語é +-ab",
}

#: Seconds of its own that the loop's thread may be held by one call: tens of milliseconds were usual for
#: 100 MB before they were cut up.
HELD = 0.025

LARGE = 48 * 1024 * 1024


def long_lines(encoding: str, end: str, seed: int = 0) -> str:
    """Lines around the lengths at which something is done otherwise, and one that is long indeed."""
    chars = random.Random(seed)
    alphabet = ALPHABETS.get(encoding, "aé中😀 ")
    lengths = [3, 262_143, 262_144, 300_000, 0, 65_536, 1_700_000, 1, 131_072]
    chars.shuffle(lengths)
    pattern = "".join(chars.choices(alphabet, k=997)) * 2000
    return end.join(pattern[chars.randrange(997) :][:length] for length in lengths)


async def outcome_of(work: Callable[[], Any]) -> Any:
    try:
        result = work()
        return await result if asyncio.iscoroutine(result) else result
    except (UnicodeError, io.UnsupportedOperation) as error:
        return type(error)


CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("readline", ()),
    ("read", (600_000,)),
    ("readline", (270_000,)),
    ("readline", ()),
    ("readlines", (1,)),
    ("read", (1_200_000,)),
    ("readlines", ()),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", [None, "", "\r\n"])
def test_long_lines_are_those_of_io(tmp_path: Path, encoding: str, newline: str | None) -> None:
    path = tmp_path / "f"
    ends = ["\n", "\r\n", "\r"]
    content = "".join(long_lines(encoding, end, seed) for seed, end in enumerate(ends))
    path.write_bytes(content.encode(encoding))
    options: Any = {"encoding": encoding, "newline": newline}

    async def main() -> None:
        with path.open(**options) as theirs:
            async with aiofile.open(path, **options) as ours:
                for name, arguments in CALLS:
                    expected = getattr(theirs, name)(*arguments)
                    assert await getattr(ours, name)(*arguments) == expected, (name, arguments)
                    # Were it at another place, the next call would tell.
                    theirs.seek(await ours.tell())
                assert ours.newlines == theirs.newlines
                theirs.seek(0)
                assert await ours.seek(0) == 0
                assert await ours.read() == theirs.read()
                theirs.seek(0)
                await ours.seek(0)
                assert [line async for line in ours] == list(theirs)

    run(main())


@pytest.mark.parametrize("errors", ["replace", "ignore", "surrogateescape", "backslashreplace", "strict"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "shift_jis", "utf-8-sig"])
def test_long_lines_with_invalid_bytes_are_those_of_io(tmp_path: Path, encoding: str, errors: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(
        (b"abcdefg" * 60_000 + b"\xff\xfe\x80\xc3" + b"x" * 700_000 + b"\xe2\r\n") * 2 + b"end\xe2"
    )
    options: Any = {"encoding": encoding, "errors": errors}

    async def main() -> None:
        with path.open(**options) as theirs:
            async with aiofile.open(path, **options) as ours:
                for name in ("readline", "readline", "readlines"):
                    expected = await outcome_of(getattr(theirs, name))
                    assert await outcome_of(getattr(ours, name)) == expected
                    if expected is UnicodeDecodeError:
                        return
                theirs.seek(0)
                await ours.seek(0)
                assert await ours.read() == theirs.read()

    run(main())


@pytest.mark.parametrize("skipped", [0, 5, 5001])
@pytest.mark.parametrize(
    ("encoding", "pattern"),
    [
        ("utf-8", "aé中😀\r\n"),
        ("utf-8", "é\n"),
        ("utf-8", "é" * 40 + "plain text of more than one block of bytes\r"),
        ("latin-1", "é\r\n"),
    ],
)
@pytest.mark.parametrize("newline", [None, ""])
def test_text_that_two_threads_read_is_that_of_io(
    tmp_path: Path, encoding: str, pattern: str, newline: str | None, skipped: int
) -> None:
    path = tmp_path / "text"
    data = pattern.encode(encoding)
    whole = (data * (LARGE // len(data)))[: 34 * 1024 * 1024 + skipped]
    path.write_bytes(whole.decode(encoding, "ignore").encode(encoding))
    with open(path, encoding=encoding, newline=newline) as file:
        start = file.read(skipped)
        expected = (start, file.read(), file.newlines)

    async def main() -> None:
        async with aiofile.open(path, encoding=encoding, newline=newline) as file:
            start = await file.read(skipped)
            rest = await file.read()
            # Not compared by `assert`, which would show all of it.
            assert (start, len(rest), file.newlines) == (expected[0], len(expected[1]), expected[2])
            assert (rest == expected[1]) is True
            assert await file.read() == ""

    run(main())


@pytest.mark.parametrize("times", [1, 10_000])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_line_end_with_dropped_bytes_in_its_middle_is_one(
    tmp_path: Path, encoding: str, times: int
) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xe4a\r\xe4\nb" * times)
    expected = path.read_text(encoding, "ignore")

    async def main() -> None:
        async with aiofile.open(path, encoding=encoding, errors="ignore") as file:
            assert (await file.read() == expected) is True
        assert (await aiofile.read_text(path, encoding, "ignore") == expected) is True

    run(main())


@pytest.mark.parametrize("rest", ["b\r\n", "b\r", "\r\r\n", ""])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_line_end_that_is_read_in_two_pieces_is_one(tmp_path: Path, rest: str, count: int) -> None:
    path = tmp_path / "text"
    path.write_bytes(("a\r\n" + rest).encode())
    with open(path, newline="") as blocking:
        expected = [blocking.read(count), blocking.read(), blocking.newlines]

    async def main() -> None:
        async with aiofile.open(path, newline="") as file:
            assert [await file.read(count), await file.read(), file.newlines] == expected

    run(main())


@pytest.mark.parametrize("errors", ["strict", "replace"])
@pytest.mark.parametrize("at", [1000, 20 * 1024 * 1024, 35 * 1024 * 1024])
def test_an_invalid_byte_in_text_that_two_threads_read_is_found_as_by_io(
    tmp_path: Path, at: int, errors: str
) -> None:
    path = tmp_path / "text"
    data = bytearray("aé中😀\r\n".encode() * (36 * 1024 * 1024 // 12))
    data[at] = 0xFF
    path.write_bytes(data)

    def blocking() -> str:
        with open(path, encoding="utf-8", errors=errors) as file:
            return file.read()

    async def ours() -> str:
        async with aiofile.open(path, encoding="utf-8", errors=errors) as file:
            return await file.read()

    if errors == "strict":
        with pytest.raises(UnicodeDecodeError) as expected:
            blocking()
        with pytest.raises(UnicodeDecodeError) as caught:
            run(ours())
        assert (caught.value.args[2:] == expected.value.args[2:]) is True
        assert (caught.value.object == expected.value.object) is True
    else:
        assert (run(ours()) == blocking()) is True


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["readline", "read", "__anext__"])
@pytest.mark.parametrize("from_pipe", [False, True])
def test_a_cancelled_read_of_long_text_leaves_all_of_it(
    tmp_path: Path, encoding: str, name: str, from_pipe: bool
) -> None:
    text = "é中" * 400_000 + "\n" + "behind it"
    encoded = text.encode(encoding)
    (tmp_path / "f").write_bytes(encoded)

    async def is_cancelled_after(turns: int) -> bool:
        source: Any = tmp_path / "f"
        writing: Any = None
        if from_pipe:
            source, target = os.pipe()
            writing = asyncio.get_running_loop().run_in_executor(None, write_all, target, encoded)
        async with aiofile.open(source, encoding=encoding) as file:
            task = asyncio.ensure_future(getattr(file, name)())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if task.cancelled():
                assert await file.readline() == text[:800_001]
                assert await file.read() == "behind it"
            elif from_pipe:
                await file.read()
        if from_pipe:
            await writing
        return bool(task.cancelled())

    async def main() -> list[bool]:
        # At another step each time, some of them while the text is being put together.
        return [await is_cancelled_after(turns) for turns in range(60)]

    assert sum(run(main())) > 10


def write_all(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb", 0) as target:
        while content:
            content = content[target.write(content) :]


def test_a_long_line_comes_through_a_pipe_in_many_short_reads() -> None:
    line = b"0123456789" * 300_000

    async def main() -> None:
        reader, writer = os.pipe()
        writing = asyncio.get_running_loop().run_in_executor(None, write_all, writer, line + b"\n" + line)
        async with aiofile.open(reader, "rb") as file:
            assert await file.readline() == line + b"\n"
            assert await file.readline() == line
        await writing

    run(main())


@pytest.mark.parametrize("encoding", [*ENCODINGS, "euc_jisx0213", "iso2022_jp_2004", "big5hkscs"])
@pytest.mark.parametrize("newline", [None, "\r\n"])
def test_a_long_text_is_encoded_as_io_encodes_it(tmp_path: Path, encoding: str, newline: str | None) -> None:
    chars = random.Random(encoding)
    # Some of these are written together with the one in front of them, where an encoding can do that.
    alphabet = [char for char in "か゜゚きセæ̀ɔ˩˥Êê̄̌日本語é aB+-~\\\n" if can_encode(char, encoding)]
    text = "".join(chars.choices(alphabet, k=300_000)) + alphabet[0] * 200_000
    options: Any = {"encoding": encoding, "newline": newline}
    with (tmp_path / "theirs").open("w", **options) as theirs:
        theirs.write(text)
        theirs.write(text[:70_000])

    async def main() -> None:
        async with aiofile.open(tmp_path / "ours", "w", **options) as ours:
            assert await ours.write(text) == len(text)
            await ours.writelines([text[:70_000]])

    run(main())
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def can_encode(char: str, encoding: str) -> bool:
    try:
        return bool(char.encode(encoding))
    except UnicodeEncodeError:
        return False


def test_utf_7_is_cut_where_its_encoder_has_nothing_in_hand() -> None:
    chars = random.Random(7)
    pieces = 0
    for _ in range(300):
        alphabet = "".join(
            chars.choices([chr(code) for code in [*range(1, 128), 0xE9, 0x4E2D, 0x1F600]], k=9)
        )
        text = "".join(chars.choices(alphabet, k=chars.randrange(1, 1000)))
        # As the pattern, with pieces of a few characters.
        small = UTF_7_PIECE.replace("65535", "7")
        cut = [found.group() for found in re.finditer(small, text)]
        assert "".join(cut) == text
        assert b"".join(piece.encode("utf-7") for piece in cut) == text.encode("utf-7")
        pieces += len(cut)
    assert pieces > 5000


def test_what_cannot_be_encoded_at_the_end_of_a_long_text_leaves_nothing_written(tmp_path: Path) -> None:
    async def main() -> None:
        for encoding in ("utf-8", "shift_jis", "euc_jisx0213"):
            async with aiofile.open(tmp_path / "f", "w", encoding=encoding) as file:
                with pytest.raises(UnicodeEncodeError):
                    await file.write("か" * 200_000 + "\ud800")
            assert (tmp_path / "f").read_bytes() == b""

    run(main())


#: Texts with something in them that an encoding does not have, and the encodings.
REFUSED = [
    ("ascii", "a" * 70_000 + "ü"),
    ("ascii", "a" * 70_000 + "üüb" + "é" * 200_000),
    ("ascii", "a" * 65_000 + "é" * 200_000 + "b" * 10),
    ("ascii", "a" * 65_535 + "éé"),
    ("ascii", "a" * 65_535 + "éaé"),
    ("ascii", "é" * 65_536 + "a" * 65_536),
    ("ascii", "é" * 300_000),
    ("latin-1", "é\n" * 50_000 + "中中\n" * 3),
    ("utf-8", "中\n" * 50_000 + "\ud800\udfff中"),
    ("utf-8", "中" * 65_530 + "\ud800" * 70_000),
    ("utf-8-sig", "中" * 131_072 + "\ud800"),
    ("utf-16", "中" * 131_071 + "\ud800\ud800"),
    ("shift_jis", "か\n" * 70_000 + "\ud800"),
    ("shift_jis", "か" * 65_535 + "\ud800\ud800"),
    # Its encoder holds some characters back, to see what comes behind them.
    ("euc_jisx0213", "か" * 65_536 + "\ud800"),
    ("iso2022_jp", "か" * 200_000 + "\ud800x"),
    ("cp037", "a" * 200_000 + "中中"),
]


@pytest.mark.parametrize("newline", [None, "\r\n"])
@pytest.mark.parametrize(
    ("encoding", "text"), REFUSED, ids=[f"{n} {each[0]}" for n, each in enumerate(REFUSED)]
)
def test_what_cannot_be_encoded_is_told_of_the_whole_text(
    tmp_path: Path, encoding: str, text: str, newline: str | None
) -> None:
    options: Any = {"encoding": encoding, "newline": newline}
    with pytest.raises(UnicodeEncodeError) as expected, (tmp_path / "theirs").open("w", **options) as theirs:
        theirs.write(text)

    def place_of(error: UnicodeEncodeError) -> tuple[int, int, str]:
        return error.start, error.end, error.reason

    async def main() -> None:
        path = tmp_path / "ours"
        async with aiofile.open(path, "w", **options) as file:
            writes: list[Callable[[], Awaitable[object]]] = [
                lambda: file.write(text),
                lambda: file.writelines([text]),
                lambda: file.writelines(iter([text])),
                lambda: aiofile.print(text, end="", file=file),
                lambda: aiofile.write_text(tmp_path / "another", text, **options),
            ]
            for write in writes:
                with pytest.raises(UnicodeEncodeError) as raised:
                    await write()
                assert place_of(raised.value) == place_of(expected.value)
                # Not compared by `assert`, which would show all of it.
                assert (raised.value.object == expected.value.object) is True
        assert path.read_bytes() == b""

    run(main())


async def held(work: Awaitable[Any]) -> tuple[float, Any]:
    """The most of its own time that the loop's thread spent between two turns, and what came of the work.

    Time of its own, for what other processes take is nobody's fault here.
    """
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest = max(longest, now - last)
            last = now

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    result = await work
    await asyncio.sleep(0)
    watching.cancel()
    return longest, result


@pytest.mark.parametrize("name", ["read", "readline"])
@pytest.mark.parametrize(
    ("encoding", "errors", "bad"),
    [
        ("utf-8", "strict", b""),
        ("utf-8", "replace", b"\xff"),
        ("utf-16", "strict", b""),
        ("utf-8-sig", "surrogateescape", b"\xff"),
    ],
)
def test_one_long_line_does_not_hold_the_loop(
    tmp_path: Path, name: str, encoding: str, errors: str, bad: bytes
) -> None:
    encoded = ("中 ok" * 1_000_000).encode(encoding)
    with (tmp_path / "f").open("wb") as target:
        for _ in range(LARGE // len(encoded)):
            target.write(encoded)
        target.write(bad)

    async def main() -> list[float]:
        found = []
        for _ in range(2):
            async with aiofile.open(tmp_path / "f", encoding=encoding, errors=errors) as file:
                seconds, text = await held(getattr(file, name)())
                assert sum(map(len, text)) >= LARGE // 12
                found.append(seconds)
                # What is freed here is this test's own.
                del text
        return found

    # However busy the machine is: a call that cannot be interrupted takes its time each time.
    assert min(run(main())) < HELD


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("name", ["readline", "__anext__", "readlines", "readline with a size"])
def test_one_long_line_of_bytes_does_not_hold_the_loop(tmp_path: Path, name: str, buffering: int) -> None:
    line = b"x" * LARGE + b"\n"
    (tmp_path / "f").write_bytes(line + b"behind it")
    size = [len(line)] if name == "readline with a size" else []

    async def main() -> list[float]:
        found = []
        for _ in range(3):
            async with aiofile.open(tmp_path / "f", "rb", cast(Any, buffering)) as file:
                seconds, read = await held(getattr(file, name.partition(" ")[0])(*size))
                assert read == [line, b"behind it"] if name == "readlines" else read == line
                assert name == "readlines" or await file.tell() == len(line)
                assert name == "readlines" or await file.read() == b"behind it"
                found.append(seconds)
                del read
        return found

    assert min(run(main())) < HELD / 2


def test_a_cancelled_read_of_a_long_line_of_bytes_leaves_all_of_it(tmp_path: Path) -> None:
    line = b"x" * 3_000_000 + b"\n"
    (tmp_path / "f").write_bytes(line * 2 + b"behind it")

    async def is_cancelled_after(turns: int) -> bool:
        async with aiofile.open(tmp_path / "f", "rb") as file:
            task = asyncio.ensure_future(file.readline())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            position = await file.tell()
            assert position == (0 if task.cancelled() else len(line))
            assert await file.read() == (line * 2 + b"behind it")[position:]
        return bool(task.cancelled())

    async def main() -> list[bool]:
        return [await is_cancelled_after(turns) for turns in range(60)]

    assert sum(run(main())) > 5


@pytest.mark.parametrize("newline", [None, "", "\n"])
@pytest.mark.parametrize("ending", ["\r\n", "é\r\n", "\r", "€\n", "😀", "\r\r\n\n"])
def test_what_stands_where_a_thread_pauses_is_whole(tmp_path: Path, ending: str, newline: str | None) -> None:
    """Long text is looked at in runs of 256 KiB."""
    run_bytes, path = 256 * 1024, tmp_path / "f"

    async def check() -> None:
        for shift in range(8):
            head = "x" * (run_bytes - shift)
            path.write_bytes((head + ending * 4 + head + ending * 4 + "end\r").encode())
            with open(path, encoding="utf-8", newline=newline) as expected:
                async with aiofile.open(path, encoding="utf-8", newline=newline) as file:
                    assert await file.read() == expected.read()
                    assert file.newlines == expected.newlines

    run(check())
