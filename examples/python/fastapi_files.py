"""Serves files in chunks and receives them from a form, with FastAPI.

Usage: python fastapi_files.py
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import fastapi
import httpx
from fastapi.responses import StreamingResponse

import aiofile

CHUNK_BYTES = 64 * 1024
FOLDER = Path("files")
#: Neither ".." nor what is still arriving.
Name = Annotated[str, fastapi.Path(pattern=r"^[^./][^/]*$")]

app = fastapi.FastAPI()


async def opened(name: Name) -> AsyncIterator[aiofile.BinaryFile]:
    """Is left when the answer has been sent or the client has gone away."""
    try:
        async with aiofile.open(FOLDER / name, "rb") as file:
            yield file
    except FileNotFoundError:
        raise fastapi.HTTPException(404) from None


@app.get("/{name}")
async def serve(file: Annotated[aiofile.BinaryFile, fastapi.Depends(opened)]) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await file.read(CHUNK_BYTES):
            yield chunk

    return StreamingResponse(chunks(), media_type="application/octet-stream")


@app.post("/{name}", status_code=201)
async def receive(name: Name, upload: fastapi.UploadFile) -> None:
    async with aiofile.tempfile.NamedTemporaryFile(dir=FOLDER, prefix=".", delete=False) as file:
        arriving = str(file.name)
        try:
            while chunk := await upload.read(CHUNK_BYTES):
                await file.write(chunk)
            await file.flush()
            await aiofile.os.replace(arriving, FOLDER / name)
        except BaseException:
            await aiofile.os.remove(arriving)
            raise


async def main() -> None:
    contents = random.randbytes(3_000_000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await aiofile.print("POST", await client.post("/data.bin", files={"upload": contents}))
        answer = await client.get("/data.bin")
    await aiofile.print("GET", answer, f"{len(answer.content):,} bytes")
    if answer.content != contents:
        raise SystemExit("what came back is not what was sent")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = Path(folder)
        asyncio.run(main())
