"""Serves files in chunks, or the part that is asked for, and receives them, with aiohttp.

Usage: python aiohttp_files.py
"""

import asyncio
import io
import os
import random
import tempfile
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import aiofile

CHUNK_BYTES = 64 * 1024
FOLDER = web.AppKey("FOLDER", Path)
#: Neither ".." nor "%2F" nor what is still arriving.
NAME = r"/{name:\w[\w.-]*}"


async def serve(request: web.Request) -> web.StreamResponse:
    try:
        async with aiofile.open(request.app[FOLDER] / request.match_info["name"], "rb") as file:
            part = part_of(request, os.fstat(file.fileno()).st_size)
            response = web.StreamResponse(status=206 if "Range" in request.headers else 200)
            response.content_length = len(part)
            await response.prepare(request)
            for offset in part[::CHUNK_BYTES]:
                await response.write(await file.pread(min(CHUNK_BYTES, part.stop - offset), offset))
            return response
    except FileNotFoundError:
        raise web.HTTPNotFound from None


def part_of(request: web.Request, size: int) -> range:
    try:
        part = range(size)[request.http_range]
    except ValueError:
        part = range(0)
    if "Range" in request.headers and not part:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return part


async def receive(request: web.Request) -> web.Response:
    folder = request.app[FOLDER]
    async with aiofile.tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
        arriving = str(file.name)
        try:
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                await file.write(chunk)
            await file.flush()
            await aiofile.os.replace(arriving, folder / request.match_info["name"])
        except BaseException:
            await aiofile.os.remove(arriving)
            raise
    return web.Response(status=201)


def make_app(folder: Path) -> web.Application:
    app = web.Application()
    app[FOLDER] = folder
    app.add_routes([web.get(NAME, serve, allow_head=False), web.put(NAME, receive)])
    return app


async def main(folder: Path) -> None:
    contents = random.randbytes(3_000_000)
    async with TestClient(TestServer(make_app(folder))) as client:
        async with client.put("/data.bin", data=io.BytesIO(contents)) as answer:
            await aiofile.print("PUT", answer.status)
        async with client.get("/data.bin", headers={"Range": "bytes=1000000-"}) as answer:
            part = await answer.read()
            await aiofile.print("GET", answer.status, f"{len(part):,} bytes")
    if part != contents[1_000_000:]:
        raise SystemExit("what came back is not what was sent")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
