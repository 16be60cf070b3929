"""The files that are read: generated once, the same on every machine."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import random
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

KIB = 1024
MIB = 1024 * KIB
PIECE_BYTES = MIB
BIG_BYTES = 1024 * MIB
MEDIUM_BYTES = 64 * MIB
TEXT_BYTES = 256 * MIB
SMALL_FILES = 2_000
SMALL_BYTES = 4 * KIB
LINE = "{:07d} the quick brown fox jumps over the lazy dog, again.\n"  # 60 bytes with its terminator
WRITTEN_LINE = "{:07d} the quick brown fox jumps over the lazy dog, so\n"  # 56 bytes
# Two- and three-byte characters, as European and Chinese text has them.
TEXT_LINE = "{:07d} Zwölf Boxkämpfer jagen Viktor über den Sylter Deich 快速的棕色狐狸\n"


@dataclass(frozen=True)
class Data:
    """Names the files below one folder and makes those that are missing."""

    folder: Path

    def lines(self, count: int) -> Path:
        """A text of so many lines of 60 bytes."""
        return self._file(f"lines-{count}.txt", lambda: _encoded(LINE, count))

    def compressed_lines(self, count: int) -> Path:
        """The same text, in a gzip file."""
        return self._file(f"lines-{count}.txt.gz", lambda: _compressed(_encoded(LINE, count)))

    def big(self) -> Path:
        """1 GiB of random bytes."""
        return self._file("big.bin", lambda: _random(BIG_BYTES))

    def other_big(self) -> Path:
        """1 GiB of other random bytes."""
        return self._file("other-big.bin", lambda: _random(BIG_BYTES, seed=2))

    def medium(self) -> Path:
        """64 MiB of random bytes."""
        return self._file("medium.bin", lambda: _random(MEDIUM_BYTES))

    def text(self) -> Path:
        """256 MiB of UTF-8, one character in seven not ASCII."""
        count = TEXT_BYTES // len(TEXT_LINE.format(0).encode())
        return self._file("text.txt", lambda: _encoded(TEXT_LINE, count))

    def small(self) -> list[Path]:
        """2,000 files of 4 KiB in one folder."""
        (self.folder / "small").mkdir(parents=True, exist_ok=True)
        chunks = _random(SMALL_FILES * SMALL_BYTES, SMALL_BYTES)
        made = [self.folder / "small" / f"{number:04d}" for number in range(SMALL_FILES)]
        if not all(path.exists() for path in made):
            for path, chunk in zip(made, chunks, strict=True):
                path.write_bytes(chunk)
        return made

    def sized_path(self, size: int) -> Path:
        """Where a file of that size is, if it is."""
        return self.folder / f"sized-{size}.bin"

    def sized(self, size: int) -> Path:
        """So many bytes, a mebibyte of random ones again and again."""
        pattern = random.Random(size).randbytes(min(size, PIECE_BYTES))
        return self._file(self.sized_path(size).name, lambda: itertools.repeat(pattern, size // len(pattern)))

    def lines_of(self, length: int, count: int) -> Path:
        """A text of so many lines of that length, their ends included."""
        line = b"x" * (length - 1) + b"\n"
        return self._file(f"lines-of-{length}-{count}.txt", lambda: itertools.repeat(line, count))

    def target(self, library: str) -> Path:
        """Where a library writes; each has a file of its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"written-by-{library}"

    def _file(self, name: str, chunks: Callable[[], Iterable[bytes]]) -> Path:
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as file:
                file.writelines(chunks())
            unfinished.rename(path)
        return path


def written_lines(count: int) -> list[str]:
    """Lines of 56 bytes."""
    return [WRITTEN_LINE.format(number) for number in range(count)]


def pieces(count: int) -> list[bytes]:
    """So many pieces of 1 MiB, each with its number in front."""
    (rest,) = _random(PIECE_BYTES)
    return [piece(number, rest) for number in range(count)]


def piece(number: int, pattern: bytes) -> bytes:
    """The pattern with its number in front, in memory of its own: what a program has just computed."""
    return b"".join((number.to_bytes(8, "little"), memoryview(pattern)[8:]))


def block_offsets(count: int, size: int, block_bytes: int, seed: int = 1) -> list[int]:
    """Offsets of random blocks below the size, none twice while there are enough."""
    blocks = size // block_bytes
    chosen = random.Random(seed).sample(range(blocks), min(count, blocks))
    return [block * block_bytes for block in chosen]


def drop_from_cache(path: Path) -> None:
    """The next read of the file comes from the device."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # Dirty pages cannot be dropped.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def bring_into_cache(path: Path) -> None:
    """The next read of the file comes from the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(8 * MIB):
            pass


def digest(path: Path) -> str:
    """The SHA-256 of a file's content, by Python's own implementation."""
    hasher = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(8 * MIB):
            hasher.update(chunk)
    return hasher.hexdigest()


def checksum(path: Path) -> int:
    """The CRC-32 of a file's content."""
    crc = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(8 * MIB):
            crc = zlib.crc32(chunk, crc)
    return crc


def _random(size: int, chunk_bytes: int = PIECE_BYTES, seed: int | None = None) -> Iterator[bytes]:
    source = random.Random(size if seed is None else seed)
    return (source.randbytes(chunk_bytes) for _ in range(size // chunk_bytes))


def _encoded(form: str, count: int) -> Iterator[bytes]:
    return (form.format(number).encode() for number in range(count))


def _compressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield gzip.compress(b"".join(chunks), compresslevel=6, mtime=0)
