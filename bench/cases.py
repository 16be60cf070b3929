"""What is measured: one case per row of the table."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import data, machine
from bench.data import KIB, Data

if TYPE_CHECKING:
    from pathlib import Path

# Is given every piece that was read, in the pass that checks the data; None while the clock runs.
Take = Callable[[Any], object] | None

# What a child answers for a library that has no such call.
ABSENT = "absent"
# What `io`'s CPU seconds may be multiplied by in the read of 1 GiB.
CPU_GOAL = 1.2
# What fio's time per read may be multiplied by.
FIO_GOAL = 1.25
BLOCK_BYTES = 4 * KIB
TASKS = 64
COMPRESSED_LINES = 1_200_000  # 69 MiB
THREAD_PER_CALL = frozenset({"aiofiles", "anyio"})
NO_READ_BUFFER = THREAD_PER_CALL | {"aiofile"}
# They hand every line that is written to the kernel or to a thread.
NO_WRITE_BUFFER = THREAD_PER_CALL | {"aiofile", "ayafileio"}


@dataclass(frozen=True)
class Work:
    """One case ready to run: the arguments of the library's method and the files that it touches."""

    arguments: tuple[Any, ...]
    reads: tuple[Path, ...] = ()
    writes: Path | None = None
    # Bytes, lines or files that the method must return; None where the check reads what it read.
    count: int | None = None


@dataclass(frozen=True)
class Case:
    """A row: a method of the libraries, how often its operation is done, and the goal for ours / io."""

    name: str
    title: str
    method: str
    operations: int
    goal: float
    prepare: Callable[[Data, str, int], Work]
    cold: bool = False
    writes: bool = False
    # Tasks finish in any order, so the check must not depend on it.
    ordered: bool = True
    # What the slow libraries of this case do instead; their figures are per operation as well.
    slow_operations: int | None = None
    slow: frozenset[str] = THREAD_PER_CALL

    def operations_of(self, library: str) -> int:
        """How often the library does the operation in one round."""
        if self.slow_operations is not None and library in self.slow:
            return self.slow_operations
        return self.operations


def split(items: list[Any], parts: int) -> list[list[Any]]:
    return [items[part::parts] for part in range(parts)]


def lines_of(data: Data, _library: str, count: int) -> Work:
    path = data.lines(count)
    return Work((path,), reads=(path,))


def compressed_lines(data: Data, _library: str, count: int) -> Work:
    path = data.compressed_lines(count)
    return Work((path,), reads=(path,))


def compressed_whole(data: Data, _library: str, _count: int) -> Work:
    return compressed_lines(data, _library, COMPRESSED_LINES)


def lines_to(made: Data, library: str, count: int) -> Work:
    target = made.target(library)
    return Work((target, data.written_lines(count), "w"), writes=target)


def printed_lines_to(made: Data, library: str, count: int) -> Work:
    target = made.target(library)
    lines = [line.rstrip("\n") for line in data.written_lines(count)]
    return Work((target, lines), writes=target)


def cached_blocks(made: Data, _library: str, count: int) -> Work:
    path = made.medium()
    return Work((path, data.block_offsets(count, data.MEDIUM_BYTES, BLOCK_BYTES), BLOCK_BYTES), reads=(path,))


def cold_blocks(made: Data, _library: str, count: int) -> Work:
    path = made.big()
    offsets = data.block_offsets(count, data.BIG_BYTES, BLOCK_BYTES)
    return Work((path, split(offsets, TASKS), BLOCK_BYTES), reads=(path,))


def small_files(made: Data, _library: str, count: int) -> Work:
    paths = made.small()[:count]
    return Work((split(paths, TASKS),), reads=tuple(paths))


def whole_binary(made: Data, _library: str, _count: int) -> Work:
    return Work((made.big(), "rb"), reads=(made.big(),))


def whole_text(made: Data, _library: str, _count: int) -> Work:
    return Work((made.text(), "r"), reads=(made.text(),))


def one_large_write(made: Data, library: str, _count: int) -> Work:
    target = made.target(library)
    return Work((target, [b"".join(data.pieces(256))], "wb"), writes=target)


def many_large_writes(made: Data, library: str, count: int) -> Work:
    target = made.target(library)
    return Work((target, data.pieces(count), "wb"), writes=target)


def fresh_pieces(made: Data, library: str, count: int) -> Work:
    target = made.target(library)
    return Work((target, data.pieces(1)[0], count), writes=target)


def whole_read_goal() -> float:
    """Two threads and huge pages make it faster than one `read`; without them it can only be as fast."""
    return 0.6 if machine.huge_pages() in ("madvise", "always") and (os.cpu_count() or 1) > 1 else 1.05


CASES = [
    Case("each-line", "`async for line in f`", "each_line", 300_000, 2.2, lines_of, slow_operations=10_000),
    Case(
        *("readline", "`await f.readline()`", "readline", 300_000, 2.5, lines_of),
        slow_operations=10_000,
        slow=NO_READ_BUFFER,
    ),
    Case("batches", "`f.lines(batch=512)`, per line", "batches", 300_000, 1.1, lines_of),
    Case("gzip-lines", "`async for line in f`, of a gzip file", "gzip_lines", 300_000, 2.2, compressed_lines),
    Case("gzip-whole", "`await f.read()`, 69 MiB in a gzip file", "gzip_whole", 1, 1.1, compressed_whole),
    Case(
        *("write-lines", "`await f.write(56 B)`", "write_each", 300_000, 3.0, lines_to),
        writes=True,
        slow_operations=20_000,
        slow=NO_WRITE_BUFFER,
    ),
    Case(
        *("print", "`await aiofile.print(line, file=f)`", "print_lines", 100_000, 3.0, printed_lines_to),
        writes=True,
    ),
    Case(
        *("print-stdout", "`await aiofile.print(line)`, stdout a file", "print_stdout"),
        *(50_000, 3.0, printed_lines_to),
        writes=True,
    ),
    Case(
        *("seek-read", "seek + read 4 KiB, cached", "seek_read", 16_384, 1.5, cached_blocks),
        slow_operations=4_096,
    ),
    Case(
        *("pread", "`pread` 4 KiB, cold, 64 tasks", "pread", 8_192, 0.15, cold_blocks),
        cold=True,
        ordered=False,
    ),
    Case(
        *("open-read-close", "open + read 4 KiB + close, 64 at once", "open_read_close"),
        *(data.SMALL_FILES, 2.0, small_files),
        ordered=False,
    ),
    Case("read-whole", "`await f.read()`, 1 GiB", "read_whole", 1, whole_read_goal(), whole_binary),
    Case("read-text", "`await f.read()`, 256 MiB of UTF-8 text", "read_whole", 1, 1.1, whole_text),
    Case("write-whole", "`await f.write(256 MiB)`", "write_each", 1, 1.1, one_large_write, writes=True),
    Case(
        *("write-pieces", "256 x `await f.write(1 MiB)`", "write_each", 256, 1.1, many_large_writes),
        writes=True,
    ),
    Case(
        *("write-fresh", "256 x `await f.write(1 MiB)`, made anew", "write_fresh", 256, 1.1, fresh_pieces),
        writes=True,
    ),
    Case(
        *("write-behind", "256 x the same, `write_behind=8 MiB`", "write_behind", 256, 0.9, fresh_pieces),
        writes=True,
    ),
]

BY_NAME = {case.name: case for case in CASES}
