"""Copies a file and has its digest from the same pass, then checks the copy.

Usage: python copy_and_hash.py [SOURCE TARGET]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aiofile


async def main(source: Path, target: Path) -> None:
    # The target appears under its name when it is whole; a failure leaves the old one as it was.
    copied = await aiofile.copy(source, target, hash="sha256")
    await aiofile.print(f"{copied.digest}  {target.name}  ({copied.bytes:,} bytes by {copied.method})")

    if await aiofile.hash(target) != copied.digest:
        raise SystemExit(f"{target} differs from what was copied")
    await aiofile.print("the copy reads back the same")


with tempfile.TemporaryDirectory() as folder:
    if len(sys.argv) > 2:
        paths = Path(sys.argv[1]), Path(sys.argv[2])
    else:
        paths = Path(folder, "source.bin"), Path(folder, "target.bin")
        paths[0].write_bytes(bytes(range(256)) * 40_000)
    asyncio.run(main(*paths))
