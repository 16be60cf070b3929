"""The main job on real input: this Python's own standard library.

Copies the tree with a SHA-256 from the same pass, has `afx hash --check` confirm the manifest, counts
and filters the lines from asyncio code, and follows a log that another process keeps writing.
"""

import asyncio
import contextlib
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiofile

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
AFX = Path(sysconfig.get_path("scripts"), "afx")
COPIES_AT_ONCE = 16
READS_AT_ONCE = 64
LOG_LINES = 2_000
TICK_SECONDS = 0.001

# Stands for a service: every line carries the moment it was written; half-way it rotates its log.
LOG_WRITER = f"""
import os, sys, time
path = sys.argv[1]
log = open(path, "a", buffering=1)
for number in range({LOG_LINES}):
    if number == {LOG_LINES // 2}:
        os.rename(path, path + ".1")
        log = open(path, "a", buffering=1)
    log.write(f"{{number}} {{time.time():.6f}}\\n")
    time.sleep(0.001)
log.write("end\\n")
"""


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """Collects by how many seconds each tick of the loop came late while the body ran."""
    late: list[float] = [0.0]

    async def beat() -> None:
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            late.append(time.perf_counter() - due)

    task = asyncio.create_task(beat())
    try:
        yield late
    finally:
        task.cancel()


def library_files() -> Iterator[Path]:
    for path in sorted(STANDARD_LIBRARY.rglob("*")):
        installed_later = {"site-packages", "dist-packages", "__pycache__"} & set(path.parts)
        if path.is_file() and not path.is_symlink() and not installed_later:
            yield path.relative_to(STANDARD_LIBRARY)


async def copy_tree(target: Path) -> list[Path]:
    """Copies every file and writes the manifest in the form that `sha256sum` writes."""
    title(f"Copy {STANDARD_LIBRARY}, hashing in the same pass")
    files = list(library_files())
    for folder in {(target / file).parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    gate = asyncio.Semaphore(COPIES_AT_ONCE)

    async def copy(file: Path) -> tuple[int, str]:
        async with gate:
            copied = await aiofile.copy(STANDARD_LIBRARY / file, target / file, hash="sha256")
            return copied.bytes, f"{copied.digest}  {file}\n"

    began = time.perf_counter()
    async with heartbeat() as late:
        results = await asyncio.gather(*map(copy, files))
    seconds = time.perf_counter() - began
    async with aiofile.open(target / "MANIFEST", "w") as manifest:
        await manifest.writelines(line for _, line in results)
    size = sum(copied for copied, _ in results)
    print(f"  {len(files):,} files, {mebibytes(size)} in {seconds:.2f} s: {mebibytes(int(size / seconds))}/s")
    print(f"  meanwhile the event loop ticked on, never more than {max(late) * 1000:.1f} ms late")
    return files


async def check_manifest(target: Path) -> None:
    title("afx hash --check MANIFEST")
    began = time.perf_counter()
    check = await asyncio.create_subprocess_exec(
        AFX, "hash", "--check", "MANIFEST", cwd=target, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await check.communicate()
    seconds = time.perf_counter() - began
    matched = sum(line.endswith(b": OK") for line in output.splitlines())
    if check.returncode != 0:
        raise SystemExit(f"afx hash --check exited {check.returncode}")
    print(f"  {matched:,} files read back and found the same in {seconds:.2f} s")


async def filter_lines(target: Path, files: list[Path]) -> None:
    """Counts all lines and those that define a coroutine, from many files at once."""
    title("Count and filter lines from asyncio code")
    sources = [target / file for file in files if file.suffix == ".py"]
    gate = asyncio.Semaphore(READS_AT_ONCE)

    async def count(path: Path) -> tuple[int, int, int]:
        lines = found = size = 0
        async with gate, aiofile.open(path, "rb") as source:
            async for batch in source.lines(batch=512):
                lines += len(batch)
                found += sum(b"async def " in line for line in batch)
                size += sum(map(len, batch))
        return lines, found, size

    began = time.perf_counter()
    async with heartbeat() as late:
        counts = await asyncio.gather(*map(count, sources))
    seconds = time.perf_counter() - began
    lines, found, size = (sum(column) for column in zip(*counts, strict=True))
    print(f"  {lines:,} lines ({mebibytes(size)}) of {len(sources):,} files in {seconds:.2f} s")
    print(
        f"  {found:,} of them define a coroutine; the loop was never more than {max(late) * 1000:.1f} ms late"
    )


async def follow_log(folder: Path) -> None:
    title("Follow a log that another process writes and rotates")
    log = folder / "service.log"
    log.touch()
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", LOG_WRITER, log)
    delays: list[float] = []
    async for line in aiofile.tail(log, lines=LOG_LINES, follow="name"):
        if line.startswith("end"):
            break
        number, written = line.split()
        if int(number) != len(delays):
            raise SystemExit(f"line {len(delays)} was lost: {line!r} came instead")
        delays.append(time.time() - float(written))
    await writer.wait()
    delays.sort()
    print(f"  {len(delays):,} lines in order through a rotation, none lost")
    half, most = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    print(
        f"  from the writer's clock to asyncio code: {half * 1000:.2f} ms (p50), {most * 1000:.2f} ms (p99)"
    )


async def main() -> None:
    info = aiofile.backend_info()
    title(f"aiofile on {info['engine']}: {info['reason']}")
    print(f"  Python {info['python']}, kernel {info['kernel']}")
    with tempfile.TemporaryDirectory(prefix="afx-demo-") as name:
        folder = Path(name)
        files = await copy_tree(folder / "copy")
        await check_manifest(folder / "copy")
        await filter_lines(folder / "copy", files)
        await follow_log(folder)
    print()


asyncio.run(main())
