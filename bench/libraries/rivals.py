"""The other libraries, each used as its own documentation shows."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

from bench.libraries.coroutines import Coroutines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from bench.cases import Take


def encoding_of(mode: str) -> str | None:
    return None if "b" in mode else "utf-8"


class Aiofiles(Coroutines):
    def __init__(self) -> None:
        self.module = importlib.import_module("aiofiles")

    def open(self, path: Path, mode: str) -> Any:
        return self.module.open(path, mode, encoding=encoding_of(mode))


class Anyio(Coroutines):
    def __init__(self) -> None:
        self.module = importlib.import_module("anyio")

    @contextlib.asynccontextmanager
    async def open(self, path: Path, mode: str) -> AsyncIterator[Any]:
        async with await self.module.open_file(path, mode, encoding=encoding_of(mode)) as f:
            yield f


class Ayafileio(Coroutines):
    positional = True

    def __init__(self) -> None:
        self.module = importlib.import_module("ayafileio")

    def open(self, path: Path, mode: str) -> Any:
        return self.module.open(path, mode, encoding=encoding_of(mode))

    def read_at(self, f: Any, offset: int, size: int) -> Awaitable[bytes]:
        read: Awaitable[bytes] = f.read_at(offset, size)
        return read


class OlderAiofile(Coroutines):
    """The package that had the import name before."""

    positional = True

    def __init__(self) -> None:
        self.module = importlib.import_module("aiofile")

    def open(self, path: Path, mode: str) -> Any:
        return self.module.async_open(path, mode)

    async def seek_share(self, f: Any, offsets: list[int], size: int, take: Take) -> int:
        count = 0
        for offset in offsets:
            f.seek(offset)
            chunk = await f.read(size)
            count += len(chunk)
            if take is not None:
                take(chunk)
        return count

    def open_positional(self, path: Path) -> Any:
        return self.module.AIOFile(path, "rb")

    def read_at(self, f: Any, offset: int, size: int) -> Awaitable[bytes]:
        read: Awaitable[bytes] = f.read(size, offset)
        return read
