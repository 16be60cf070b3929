"""What is changed of a text file that is open: the file stays on the engine, and does as io does."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import random
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import run

CONTENT = "one é\r\ntwo ü\rthree\nfour".encode()

CHANGES: list[dict[str, Any]] = [
    {},
    {"encoding": "latin-1"},
    {"encoding": "utf-16-le", "errors": "replace"},
    {"encoding": "shift_jis", "errors": "surrogateescape"},
    {"encoding": "utf-8", "newline": ""},
    {"encoding": "locale"},
    {"errors": "replace"},
    {"errors": "backslashreplace"},
    {"newline": "\r\n"},
    {"newline": None},
    {"newline": "\r", "line_buffering": True},
    {"line_buffering": True},
    {"write_through": True},
    {"encoding": "nonsense"},
    {"encoding": "hex"},
    {"newline": "x"},
    {"errors": 5},
]

CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("read", (3,)),
    ("read", (0,)),
    ("read", ()),
    ("readline", ()),
    ("readlines", ()),
    ("seek", (0,)),
    ("seek", (0, 2)),
    ("write", ("x é\n",)),
    ("flush", ()),
]


def settings(file: Any) -> list[Any]:
    return [file.encoding, file.errors, file.line_buffering, file.write_through]


async def outcome(call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        result = call(*arguments, **options)
        return await result if asyncio.iscoroutine(result) else result
    except UnicodeError:
        # Where in the text that is says each in its own way; what comes then is of no interest here.
        return UnicodeError
    except Exception as error:
        return type(error), str(error)


async def play(seed: int, folder: Path) -> int:
    """One sequence of calls on both; how many changes were made in it."""
    chars = random.Random(seed)
    mode: Any = chars.choice(["r", "r+", "r+", "w+", "w", "a+"])
    options: Any = {"encoding": chars.choice(["utf-8", "latin-1", "utf-16", "cp1252"]), "newline": None}
    for name in ("theirs", "ours"):
        (folder / name).write_bytes(CONTENT)
    changed, turned = 0, ""
    done: list[Any] = [mode, options]
    with (folder / "theirs").open(mode, **options) as theirs:
        async with aiofile.open(folder / "ours", mode, **options) as ours:
            for _ in range(chars.randrange(2, 8)):
                if chars.random() < 0.5:
                    name, arguments, changes = "reconfigure", (), chars.choice(CHANGES)
                else:
                    (name, arguments), changes = chars.choice(CALLS), {}
                done.append((name, arguments, changes))
                reads, writes = name in ("read", "readline", "readlines"), name == "write"
                if (reads and turned == "write") or (writes and turned == "read"):
                    # As `io` demands it; what becomes of the others is tested elsewhere.
                    theirs.seek(0, 2)
                    await ours.seek(0, 2)
                turned = "read" if reads else "write" if writes else turned
                expected = await outcome(getattr(theirs, name), *arguments, **changes)
                assert await outcome(getattr(ours, name), *arguments, **changes) == expected, done
                if expected is UnicodeError:
                    break
                assert settings(ours) == settings(theirs), done
                assert ours._stack is None, "the file is a blocking one"
                changed += name == "reconfigure" and expected is None
            expected = await outcome(theirs.flush)
            assert await outcome(ours.flush) == expected, done
            assert (folder / "ours").read_bytes() == (folder / "theirs").read_bytes(), done
    return changed


def test_files_that_are_reconfigured_are_those_of_io(tmp_path: Path) -> None:
    async def main() -> int:
        return sum([await play(seed, tmp_path) for seed in range(1500)])

    assert run(main()) > 1000


@pytest.mark.parametrize(
    ("first", "then"), list(itertools.permutations(["utf-8", "utf-16-le", "latin-1", "iso2022_jp"], 2))
)
def test_a_file_moves_between_the_codecs_and_goes_on(tmp_path: Path, first: str, then: str) -> None:
    path = tmp_path / "f"
    text = "\u00a5 ok\n" if "iso2022_jp" in (first, then) else "é ok\n"

    async def main() -> None:
        async with aiofile.open(path, "w+", encoding=first) as file:
            await file.write(text)
            await file.reconfigure(encoding=then)
            assert path.read_bytes() == text.encode(first), "what was written before is flushed"
            await file.writelines([text] * 100_000)
            await file.seek(len(text.encode(first)))
            assert [line async for line in file] == [text] * 100_000
            await file.seek(0)
            await file.reconfigure(encoding=first)
            assert await file.readline() == text
            assert file._stack is None
            # The real file behind it is told, too.
            await file.seek(0)
            await file.reconfigure(errors="ignore", write_through=True)
            assert (file.buffer, file.errors, file.write_through)[1:] == ("ignore", True)
            await file.reconfigure(line_buffering=True)
            assert file.line_buffering

    run(main())


def test_a_pipe_is_reconfigured_before_it_is_read() -> None:
    async def main() -> None:
        reader, writer = os.pipe()
        os.write(writer, "é\r\n".encode("utf-16-le"))
        os.close(writer)
        async with aiofile.open(reader, encoding="ascii") as file:
            await file.reconfigure(encoding="utf-16-le", newline="")
            assert await file.readline() == "é\r\n"
            assert await file.read() == ""

    run(main())


def test_a_change_waits_for_its_turn_and_one_that_is_cancelled_is_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "w", encoding="utf-8") as file:
            writing = asyncio.ensure_future(file.write("é" * 5_000_000))
            await asyncio.sleep(0)
            cancelled = asyncio.ensure_future(file.reconfigure(encoding="ascii"))
            changing = asyncio.ensure_future(file.reconfigure(encoding="latin-1"))
            last = asyncio.ensure_future(file.write("é"))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.wait([writing, cancelled, changing, last])
            assert cancelled.cancelled()
            assert (await writing, await last, file.encoding) == (5_000_000, 1, "latin-1")
        assert (tmp_path / "f").read_bytes() == "é".encode() * 5_000_000 + b"\xe9"

    run(main())


def test_a_file_that_cannot_be_flushed_is_not_changed() -> None:
    async def main() -> None:
        file = await aiofile.open("/dev/full", "w", encoding="utf-8")
        await file.write("x")
        with pytest.raises(OSError, match="No space left"):
            await file.reconfigure(encoding="utf-16")
        assert file.encoding == "utf-8"
        with pytest.raises(OSError, match="No space left"):
            await file.close()
        with pytest.raises(ValueError, match="closed file"):
            await file.reconfigure(encoding="utf-16")

    run(main())


def test_text_that_was_read_keeps_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one\ntwo\n")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", encoding="utf-8") as file:
            async for line in file:
                assert line == "one\n"
                with pytest.raises(io.UnsupportedOperation, match="after the first read"):
                    await file.reconfigure(newline="")
                await file.reconfigure(line_buffering=True)
                break
            assert await file.read() == "two\n"

    run(main())
