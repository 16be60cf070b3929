"""What a type checker knows of the module. Never run: `mypy --strict` reads it with the other tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiofile

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from typing_extensions import assert_type

    async def the_mode_says_what_a_file_gives(path: Path) -> None:
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
            await text.pread_many([(3, 0)])  # type: ignore[attr-defined]
            async for batch in text.lines(100):
                assert_type(batch, list[str])
        async with aiofile.open(path, "rb") as binary:
            assert_type(binary, aiofile.AsyncBufferedReader)
            assert_type(await binary.read(10), bytes)
            assert_type(await binary.readinto(bytearray(3)), int)
            assert_type(await binary.pread(3, 0), bytes)
            assert_type(await binary.pread_many([(3, 0)]), list[bytes])
            assert_type(await binary.pwrite(b"x", 0), int)
            async for line_of_bytes in binary:
                assert_type(line_of_bytes, bytes)
        assert_type(await aiofile.open(path, "a+", encoding="utf-8"), aiofile.TextFile)
        assert_type(await aiofile.open(path, "xb", buffering=0), aiofile.AsyncFileIO)
        assert_type(await aiofile.open(path, "wb"), aiofile.AsyncBufferedIOBase)
        # How it is buffered, and so what it is, nobody knows here.
        assert_type(await aiofile.open(path, "rb", 8192), aiofile.BinaryFile)

    async def what_is_written_at_once_has_the_type_that_its_mode_says(path: Path, mode: str) -> None:
        async with aiofile.atomic_write(path, durability="full") as text:
            assert_type(text, aiofile.TextFile)
        async with aiofile.atomic_write(path, "xb", compression="zst") as binary:
            assert_type(binary, aiofile.AsyncBufferedIOBase)
        async with aiofile.atomic_write(path, "w+b", in_place=True) as both:
            assert_type(both, aiofile.AsyncBufferedReader)
        aiofile.atomic_write(path, mode)  # type: ignore[call-overload]
        aiofile.atomic_write(path, durability="some")  # type: ignore[call-overload]
        aiofile.atomic_write(path, "wb", encoding="utf-8")  # type: ignore[call-overload]

    async def whole_files_are_bytes_or_text(path: Path) -> None:
        assert_type(await aiofile.read_bytes(path), bytes)
        assert_type(await aiofile.read_text(b"name", "utf-8", newline=""), str)
        assert_type(await aiofile.write_bytes("name", memoryview(b"x")), int)
        assert_type(await aiofile.write_text(path, "x", errors="replace"), int)
        await aiofile.write_bytes(path, "x")  # type: ignore[arg-type]
        await aiofile.write_text(path, b"x")  # type: ignore[arg-type]

    async def many_files_are_bytes_and_errors_only_where_asked_for(paths: list[Path]) -> None:
        assert_type(await aiofile.read_many(paths), list[bytes])
        assert_type(await aiofile.read_many(paths, return_exceptions=True), list[bytes | Exception])
        async for path, content in aiofile.read_each(paths):
            assert_type(path, Path)
            assert_type(content, bytes)
        async with aiofile.read_each(["name"], return_exceptions=True) as contents:
            async for name, result in contents:
                assert_type(name, str)
                assert_type(result, bytes | Exception)

    def settings_are_numbers() -> None:
        assert_type(aiofile.configure(queue_depth=8), aiofile.Configuration)
        assert_type(aiofile.configure().buffer_bytes, int)
        aiofile.configure(buffering="8")  # type: ignore[arg-type]

    async def what_is_written_has_the_type_of_what_is_read(path: Path) -> None:
        text = await aiofile.open(path, "w")
        assert_type(await text.write("x"), int)
        await text.writelines(["x"])
        await text.write(b"x")  # type: ignore[arg-type]
        await text.writelines([b"x"])  # type: ignore[list-item]
        binary = await aiofile.open(path, "wb")
        await binary.write(memoryview(b"x"))
        await binary.writelines([b"x", bytearray(b"x")])
        await binary.write("x")  # type: ignore[arg-type]
        await binary.writelines(["x"])  # type: ignore[list-item]
        await aiofile.stdout.write("x")
        await aiofile.stdout.write(b"x")  # type: ignore[arg-type]
        await aiofile.stdout_bytes.write(b"x")
        await aiofile.stdout_bytes.write("x")  # type: ignore[arg-type]
        assert_type(await aiofile.stdin.read(), str)
        async for line in aiofile.stdin_bytes:
            assert_type(line, bytes)

    async def temporary_files_are_known_by_their_mode() -> None:
        async with aiofile.tempfile.NamedTemporaryFile("w") as text:
            assert_type(text, aiofile.TextFile)
            assert_type(text.name, int | str | bytes | PathLike[str] | PathLike[bytes])
        async with aiofile.tempfile.NamedTemporaryFile() as binary:
            assert_type(binary, aiofile.AsyncBufferedReader)
            await binary.write("x")  # type: ignore[arg-type]
        async with aiofile.tempfile.TemporaryFile("wb", errors=None) as written:
            assert_type(written, aiofile.AsyncBufferedIOBase)
        async with aiofile.tempfile.SpooledTemporaryFile(10, "w+") as spooled:
            assert_type(await spooled.read(), str)
        async with aiofile.tempfile.SpooledTemporaryFile(max_size=10) as spooled_bytes:
            assert_type(await spooled_bytes.readlines(), list[bytes])
        async with aiofile.tempfile.TemporaryDirectory(prefix="x") as directory:
            assert_type(directory, str)

    async def mistakes_are_seen(path: Path) -> None:
        text = await aiofile.open(path, "w")
        text.lines(batch="many")  # type: ignore[arg-type]
        await text.readinto(bytearray(3))  # type: ignore[attr-defined]
        await text.pread(3, 0)  # type: ignore[attr-defined]
        await text.seek("start")  # type: ignore[arg-type]
        await aiofile.open(5.5)  # type: ignore[call-overload]
        await aiofile.open(path, "rb", encoding="utf-8")  # type: ignore[call-overload]
        with aiofile.open(path):  # type: ignore[attr-defined]
            pass

    async def a_mode_that_is_not_known_is_no_mode(path: Path, mode: str) -> None:
        await aiofile.open(path, mode)  # type: ignore[call-overload]
