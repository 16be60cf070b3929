"""What type checkers make of ``open``: checked by mypy, never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import aiofile


async def kinds_of_files(mode: str) -> None:
    assert_type(await aiofile.open("x"), aiofile.TextFile)
    assert_type(await aiofile.open("x", "wt", encoding="utf-8"), aiofile.TextFile)
    assert_type(await aiofile.open("x", "rb"), aiofile.BinaryFile)
    assert_type(await aiofile.open("x", mode), Any)
    async with aiofile.open("x", "r+b") as binary:
        assert_type(binary, aiofile.BinaryFile)
        assert_type(await binary.read(), bytes)
    async with aiofile.open("x") as text:
        assert_type(await text.readline(), str)
        async for line in text:
            assert_type(line, str)
        async for batch in text.lines():
            assert_type(batch, list[str])
