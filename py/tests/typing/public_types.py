"""What a type checker knows of the module. Never run: `mypy --strict` reads it with the other tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiofile

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import assert_type

    async def the_mode_says_what_a_file_gives(path: Path, mode: str) -> None:
        async with aiofile.open(path) as text:
            assert_type(text, aiofile.TextFile)
            assert_type(await text.read(), str)
            assert_type(await text.readline(), str)
            assert_type(await text.readlines(), list[str])
            assert_type(await text.write("text"), int)
            assert_type(await text.tell(), int)
            assert_type(text.closed, bool)
            async for line in text:
                assert_type(line, str)
            async for batch in text.lines(100):
                assert_type(batch, list[str])
        async with aiofile.open(path, "rb") as binary:
            assert_type(binary, aiofile.AsyncBufferedReader)
            assert_type(await binary.read(10), bytes)
            assert_type(await binary.readinto(bytearray(3)), int)
            assert_type(await binary.pread(3, 0), bytes)
            assert_type(await binary.pwrite(b"x", 0), int)
            async for line_of_bytes in binary:
                assert_type(line_of_bytes, bytes)
        assert_type(await aiofile.open(path, "a+", encoding="utf-8"), aiofile.TextFile)
        assert_type(await aiofile.open(path, "xb", buffering=0), aiofile.AsyncFileIO)
        assert_type(await aiofile.open(path, mode), Any)

    async def mistakes_are_seen(path: Path) -> None:
        text = await aiofile.open(path, "w")
        text.lines(batch="many")  # type: ignore[arg-type]
        await text.readinto(bytearray(3))  # type: ignore[attr-defined]
        await text.pread(3, 0)  # type: ignore[attr-defined]
        await text.seek("start")  # type: ignore[arg-type]
