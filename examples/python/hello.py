"""The smallest program: print, write and read without holding the event loop."""

import asyncio
import os
import tempfile

import aiofile as a


async def main() -> None:
    await a.print("example")

    async with a.open("myfile", "w") as f:
        await f.write("first line\nsecond line\n")

    async with a.open("myfile") as f:
        await a.print(await f.readline(), end="")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    asyncio.run(main())
    os.chdir("/")
