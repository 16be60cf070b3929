"""Text in the encodings of Python's codecs, beside the same calls on the files of ``io``."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aiofile

T = TypeVar("T")

NEWLINES = [None, "", "\n", "\r", "\r\n"]
HANDLERS = ["strict", "ignore", "replace", "surrogateescape", "backslashreplace"]

#: Encodings, each with characters that it has besides those of ASCII.
ENCODINGS: dict[str, Sequence[str]] = {
    "utf-16": "é中𝄞\u2028",
    "utf-16-le": "é中𝄞\ufeff",
    "UTF-16-BE": "é中𝄞",
    "utf-32": "é中𝄞",
    "utf-32-be": "é中𝄞",
    "utf-8-sig": "é中𝄞\ufeff\x85",
    "cp1252": "é€ÿ",
    "koi8-r": "Жд",
    "cp037": "é\x85",
    "shift_jis": "日ｱ本",
    "euc_jisx0213": ("日", "か゚", "か"),
    "gb18030": "é中𝄞",
    "big5": "中文",
    "iso2022_jp": "日本",
    "iso2022_kr": "한국",
    "hz": "中文",
    "utf-7": "é中𝄞+",
    "unicode_escape": "é中\\",
}

encodings = st.sampled_from(sorted(ENCODINGS))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def text_in(encoding: str, most: int = 30) -> st.SearchStrategy[str]:
    pieces = st.sampled_from([*"ab \n\r", "\r\n", *ENCODINGS[encoding]])
    return st.lists(pieces, max_size=most).map("".join)


@st.composite
def contents(draw: st.DrawFn, encoding: str) -> bytes:
    """Bytes of a file: encoded text, broken in one place now and then, often longer than a slice."""
    text = draw(text_in(encoding)) * draw(st.sampled_from([1, 1, 500, 5000]))
    data = text.encode(encoding)
    broken = draw(st.one_of(st.just(b""), st.just(b""), st.binary(max_size=3)))
    place = draw(st.integers(0, len(data)))
    return data[:place] + broken + data[place:]


async def outcome(action: Any) -> Any:
    """What a call gives, its error as the class."""
    try:
        result = action()
        return await result if asyncio.iscoroutine(result) else result
    except Exception as error:
        return type(error)


def failed(result: Any) -> bool:
    return isinstance(result, type)


READS = st.one_of(
    st.tuples(st.just("read"), st.sampled_from([0, 1, 2, 7, 100, 8191, 70_000])),
    st.tuples(st.just("readline"), st.sampled_from([-1, -1, -1, 0, 1, 5, 9000])),
    st.tuples(st.just("readlines"), st.sampled_from([1, 200])),
    st.tuples(st.just("mark"), st.just(0)),
    st.tuples(st.just("go"), st.integers(0, 9)),
)


async def read_beside(path: Path, encoding: str, errors: str, newline: str | None, actions: Any) -> None:
    """Reads the file with both libraries. Each goes to places by the cookies of the other."""
    marks: list[tuple[int, int]] = []
    with open(path, encoding=encoding, errors=errors, newline=newline) as theirs:
        async with aiofile.open(path, encoding=encoding, errors=errors, newline=newline) as ours:
            for name, number in [*actions, ("read", -1)]:
                if name == "mark":
                    # After readlines `io` does not tell, nor does it for a state of more than 32 bits.
                    told = await outcome(theirs.tell)
                    if not failed(told):
                        marks.append((await ours.tell(), told))
                    else:
                        assert told in (OSError, OverflowError)
                elif name == "go" and marks:
                    from_ours, from_theirs = marks[number % len(marks)]
                    if from_ours >> 168:
                        from_ours, from_theirs = from_theirs, from_ours
                    theirs.seek(from_ours)
                    await ours.seek(from_theirs)
                elif name != "go":
                    expected = await outcome(lambda: getattr(theirs, name)(number))  # noqa: B023
                    if failed(expected):
                        await reads_on_to(ours, expected)
                        return
                    assert await getattr(ours, name)(number) == expected, (name, number)
            if not marks:  # With them, `io` forgets some.
                assert ours.newlines == theirs.newlines


async def reads_on_to(file: aiofile.TextFile, error: type[Exception]) -> None:
    """An error comes when the text before it was read; ``io`` has it for the whole of its chunk."""
    found: Any = "not yet"
    while found and not failed(found):
        found = await outcome(lambda: file.read(1000))
        if failed(found):
            found = await outcome(lambda: file.read(1))
    assert found is error


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data(), encoding=encodings)
def test_reads_what_io_reads(folder: Path, data: st.DataObject, encoding: str) -> None:
    path = folder / "read"
    path.write_bytes(data.draw(contents(encoding)))
    errors, newline = data.draw(st.sampled_from(HANDLERS)), data.draw(st.sampled_from(NEWLINES))
    run(read_beside(path, encoding, errors, newline, data.draw(st.lists(READS, max_size=12))))


WRITES = st.sampled_from(
    ["write", "write", "write", "writelines", "flush", "start", "end", "cut", "read", "tell"]
)


async def write_beside(
    paths: tuple[Path, Path], mode: str, arguments: dict[str, Any], actions: list[tuple[str, str, int]]
) -> None:
    with open(paths[0], mode, **arguments) as theirs:
        async with aiofile.open(paths[1], mode, **arguments) as ours:
            both: Any = theirs, ours
            for name, text, number in actions:
                steps: dict[str, list[tuple[Any, ...]]] = {
                    "write": [("write", text * number)],
                    "writelines": [("writelines", [text, text])],
                    "flush": [("flush",)],
                    "start": [("seek", 0)],
                    "end": [("seek", 0, 2)],
                    "cut": [("truncate", number), ("seek", 0, 2)],
                    # Where `io` goes on without these seeks depends on the size of its chunks.
                    "read": [("seek", 0), ("read", number), ("seek", 0, 2)],
                    "tell": [("tell",)],
                }
                for call, *values in steps[name]:
                    expected, got = [await outcome(lambda: getattr(f, call)(*values)) for f in both]  # noqa: B023
                    if call != "tell":
                        assert got == expected, (call, values)
                    elif not failed(expected):
                        theirs.seek(expected)
                        assert (await outcome(lambda: ours.seek(expected))) == expected  # noqa: B023
                    if failed(expected) and issubclass(expected, UnicodeDecodeError):
                        return
    assert paths[1].read_bytes() == paths[0].read_bytes()


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data(), encoding=encodings)
def test_writes_the_bytes_that_io_writes(folder: Path, data: st.DataObject, encoding: str) -> None:
    paths = folder / "theirs", folder / "ours"
    before = data.draw(text_in(encoding)).encode(encoding)
    for path in paths:
        path.write_bytes(before)
    mode = data.draw(st.sampled_from(["w", "w+", "r+", "a", "a+", "r"]))
    arguments = {
        "encoding": encoding,
        "errors": data.draw(st.sampled_from([*HANDLERS, "xmlcharrefreplace"])),
        "newline": data.draw(st.sampled_from(NEWLINES)),
        "buffering": data.draw(st.sampled_from([-1, 1, 10])),
    }
    texts = st.one_of(text_in(encoding), st.just("\udc80"), st.just("Ω"))
    numbers = st.sampled_from([1, 2, 3, 3000])
    actions = data.draw(st.lists(st.tuples(WRITES, texts, numbers), max_size=10))
    run(write_beside(paths, mode, arguments, actions))


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("newline", NEWLINES)
def test_a_character_cut_by_any_boundary_is_read_whole(
    folder: Path, encoding: str, newline: str | None
) -> None:
    path = folder / "cut"
    for shift in range(4):
        text = "a" * shift + ("ab" + "".join(ENCODINGS[encoding]) + "\r\n") * 9000
        path.write_bytes(text.encode(encoding))

        async def check() -> None:
            with open(path, encoding=encoding, newline=newline) as theirs:
                expected = theirs.readlines()
            async with aiofile.open(path, encoding=encoding, newline=newline) as file:
                assert await file.readlines() == expected
            async with aiofile.open(path, encoding=encoding, newline=newline) as file:
                assert [line async for batch in file.lines(batch=100) for line in batch] == expected
            async with aiofile.open(path, encoding=encoding, newline=newline) as file:
                assert [line async for line in file] == expected
                assert await file.readline() == ""

        run(check())
