"""Serves files in chunks and receives them as the body of a request, with Starlette.

Usage: python starlette_files.py
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import aiofile

CHUNK_BYTES = 64 * 1024
FOLDER = Path("files")


class FileResponse(StreamingResponse):
    """Sends a file and closes it, also when the client has gone away."""

    def __init__(self, file: aiofile.BinaryFile) -> None:
        super().__init__(self.chunks(), media_type="application/octet-stream")
        self.file = file

    async def chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.file.read(CHUNK_BYTES):
            yield chunk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.file:
            await super().__call__(scope, receive, send)


def target_of(request: Request) -> Path:
    name: str = request.path_params["name"]
    if name.startswith("."):  # Neither ".." nor what is still arriving.
        raise HTTPException(404)
    return FOLDER / name


async def serve(request: Request) -> Response:
    try:
        return FileResponse(await aiofile.open(target_of(request), "rb"))
    except FileNotFoundError:
        raise HTTPException(404) from None


async def receive(request: Request) -> Response:
    target = target_of(request)
    async with aiofile.tempfile.NamedTemporaryFile(dir=FOLDER, prefix=".", delete=False) as file:
        arriving = str(file.name)
        try:
            async for chunk in request.stream():
                await file.write(chunk)
            await file.flush()
            await aiofile.os.replace(arriving, target)
        except BaseException:
            await aiofile.os.remove(arriving)
            raise
    return Response(status_code=201)


app = Starlette(routes=[Route("/{name}", serve), Route("/{name}", receive, methods=["PUT"])])


async def main() -> None:
    contents = random.randbytes(3_000_000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await aiofile.print("PUT", await client.put("/data.bin", content=contents))
        answer = await client.get("/data.bin")
    await aiofile.print("GET", answer, f"{len(answer.content):,} bytes")
    if answer.content != contents:
        raise SystemExit("what came back is not what was sent")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        FOLDER = Path(name)
        asyncio.run(main())
