"""The programs behind bench/limits.py. Each prints one number and is given a folder for its files."""

from __future__ import annotations

FILES = 1_000

# asyncio is there already in every program that could use the module.
IMPORT = """
import asyncio, time
began = time.perf_counter()
import aiofile
print((time.perf_counter() - began) * 1000)
"""

# Each file has read a line, so that its buffers are there; the first ones warm up the allocator.
IDLE = f"""
import asyncio, os, resource, tempfile
import aiofile

def resident_kib():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES} + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write("a line\\n" * 10_000)
        text.flush()

        async def idle_file():
            f = await aiofile.open(text.name, encoding="utf-8")
            await f.readline()
            return f

        held = [await idle_file() for _ in range(100)]
        before = resident_kib()
        held += [await idle_file() for _ in range({FILES})]
        print((resident_kib() - before) / {FILES})
        for f in held:
            await f.close()

asyncio.run(main())
"""

# The tasks are there before the clock starts, so that what they need themselves is not counted. The file is
# dropped from the cache, and its blocks are read in random order: nothing is answered inline.
IN_FLIGHT = """
import asyncio, os, random, sys
import aiofile

TASKS, READS, SIZE = 1024, 4, 64 * 1024
PATH = os.path.join(sys.argv[1], "big.bin")

def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

async def main():
    blocks = random.Random(1).sample(range(os.stat(PATH).st_size // SIZE), TASKS * READS)
    offsets = [block * SIZE for block in blocks]
    async with aiofile.open(PATH, "rb") as f:
        await f.pread(SIZE, 0)
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        go = asyncio.Event()

        async def read(share):
            await go.wait()
            for offset in share:
                await f.pread(SIZE, offset)

        tasks = [asyncio.create_task(read(offsets[task::TASKS])) for task in range(TASKS)]
        await asyncio.sleep(0)
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")  # The peak starts anew.
        before = peak_kib()
        go.set()
        await asyncio.gather(*tasks)
        print((peak_kib() - before) / 1024)

asyncio.run(main())
"""

# The peak is asked for until the program has ended: its last answer is at most a few chunks old.
COPY = """
import os, re, subprocess, sys, sysconfig, time

folder = sys.argv[1]
afx = os.path.join(sysconfig.get_path("scripts"), "afx")
source, *targets = (os.path.join(folder, name) for name in ("big.bin", "command-1.bin", "command-2.bin"))
line = [afx, "copy", "--hash", "sha256", source, targets[0], "--tee", targets[1]]
try:
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as copying:
        peak_kib = 0
        while copying.poll() is None:
            with open(f"/proc/{copying.pid}/status") as status:
                told = re.search(r"^Name:\\s*afx\\n(?:.*\\n)*VmHWM:\\s*(\\d+)", status.read())
            peak_kib = int(told[1]) if told else peak_kib
            time.sleep(0.005)
    assert copying.returncode == 0 and peak_kib > 0, (copying.returncode, peak_kib)
finally:
    for target in targets:
        os.path.exists(target) and os.unlink(target)
print(peak_kib / 1024)
"""

# Holes take no place on the disk; the page cache gives what it holds of them back when others need it.
FLAT = """
import asyncio, os, sys, tempfile
import aiofile

GIB, CHUNK = 1024 ** 3, 256 * 1024

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

async def main():
    with tempfile.NamedTemporaryFile(dir=sys.argv[1]) as holes:
        os.truncate(holes.name, 10 * GIB)
        async with aiofile.open(holes.name, "rb") as f:
            total = before = most = 0
            while chunk := await f.read(CHUNK):
                total += len(chunk)
                if total == GIB:
                    before = most = resident()
                elif total % (GIB // 16) == 0:
                    most = max(most, resident())
                    os.posix_fadvise(holes.fileno(), 0, total, os.POSIX_FADV_DONTNEED)
        assert total == 10 * GIB, total
        print((most - before) / 1024 ** 2)

asyncio.run(main())
"""

EXECUTOR = """
import asyncio, os, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
import aiofile

class Counting(ThreadPoolExecutor):
    submits = 0

    def submit(self, *args, **kwargs):
        Counting.submits += 1
        return super().submit(*args, **kwargs)

async def main():
    asyncio.get_running_loop().set_default_executor(Counting())
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
        path = os.path.join(folder, "file")
        for size in (100, 100_000, 50_000_000):
            async with aiofile.open(path, "wb") as f:
                await f.write(b"x" * size)
                await f.write(b"\\n")
            async with aiofile.open(path, "r+", encoding="ascii") as f:
                await f.readline()
                await f.seek(0)
                async for _ in f:
                    pass
                await f.write("more\\n")
            async with aiofile.open(path, "rb") as f:
                whole = await f.read()
                assert await f.pread(10, size) == whole[size : size + 10]
                await f.seek(0)
                await f.readinto(bytearray(4096))
    print(Counting.submits)

asyncio.run(main())
"""
