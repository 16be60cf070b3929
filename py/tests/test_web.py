"""The services of the examples: what arrives half is not kept, what is not theirs is not served."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support import descriptors, run, until

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"
CONTENT = random.Random(1).randbytes(3_000_000)


def example(name: str, *needs: str) -> Any:
    for need in needs:
        pytest.importorskip(need, reason=f"{need} is not installed (dependency group web)")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def half(folder: Path) -> AsyncIterator[bytes]:
    """The body of an upload that breaks off when the first of it has arrived in a second file."""
    yield CONTENT[:1_000_000]
    await until(lambda: len(os.listdir(folder)) == 2)
    raise ConnectionError("the client went away")


@pytest.fixture(params=["starlette_files", "fastapi_files"])
def asgi(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application of an example, serving an empty folder."""
    module = example(request.param, "starlette", "fastapi", "httpx", "python_multipart")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module.app


def client_of(app: Any) -> Any:
    import httpx

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_000])
def test_asgi_serves_every_byte_and_closes_the_file(asgi: Any, tmp_path: Path, size: int) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT[:size])

    async def main() -> None:
        async with client_of(asgi) as client:
            answer = await client.get("/data.bin")
            assert (answer.status_code, answer.content) == (200, CONTENT[:size])
            assert not {name for name in descriptors() if "data.bin" in name}

    run(main())


@pytest.mark.parametrize("name", ["missing.bin", ".hidden", "..%2Foutside", "%2E%2E", "%2E"])
def test_asgi_serves_nothing_else(asgi: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / ".hidden").write_bytes(b"still arriving")

    async def main() -> None:
        async with client_of(asgi) as client:
            assert (await client.get(f"/{name}")).status_code in {404, 422}

    run(main())


def test_asgi_closes_the_file_when_the_client_goes_away(asgi: Any, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    sent: list[Any] = []
    scope = {"type": "http", "method": "GET", "path": "/data.bin", "headers": [], "query_string": b""}

    async def send(message: Any) -> None:
        sent.append(message)
        await asyncio.sleep(0)

    async def receive() -> Any:
        await until(lambda: len(sent) > 2)
        return {"type": "http.disconnect"}

    async def main() -> None:
        await asgi(scope, receive, send)
        assert not {name for name in descriptors() if "data.bin" in name}

    run(main())
    assert sum(len(message.get("body", b"")) for message in sent) < len(CONTENT)


def test_starlette_keeps_the_old_file_when_an_upload_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example("starlette_files", "starlette", "httpx")
    monkeypatch.setattr(module, "FOLDER", tmp_path)

    async def main() -> None:
        async with client_of(module.app) as client:
            assert (await client.put("/data.bin", content=CONTENT)).status_code == 201
            with pytest.raises(ConnectionError):
                await client.put("/data.bin", content=half(tmp_path))
            assert os.listdir(tmp_path) == ["data.bin"]
            assert (await client.put("/data.bin", content=b"new")).status_code == 201

    run(main())
    assert (tmp_path / "data.bin").read_bytes() == b"new"


def test_aiohttp_keeps_the_old_file_when_an_upload_breaks_off(tmp_path: Path) -> None:
    module = example("aiohttp_files", "aiohttp")
    from aiohttp import ClientError

    async def main() -> None:
        async with module.TestClient(module.TestServer(module.make_app(tmp_path))) as client:
            async with client.put("/data.bin", data=b"old") as answer:
                assert answer.status == 201
            with pytest.raises(ClientError):
                await client.put("/data.bin", data=half(tmp_path))
            # The server hears of it a little later.
            await until(lambda: os.listdir(tmp_path) == ["data.bin"])

    run(main())
    assert (tmp_path / "data.bin").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        (None, 200, slice(None)),
        ("bytes=0-0", 206, slice(1)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=70000-200000", 206, slice(70_000, 200_001)),
        ("bytes=-500", 206, slice(-500, None)),
        ("bytes=2999999-9999999", 206, slice(2_999_999, None)),
        ("bytes=3000000-", 416, None),
        ("bytes=5-4", 416, None),
        ("lines=1-2", 416, None),
    ],
)
def test_aiohttp_serves_the_part_that_is_asked_for(
    tmp_path: Path, wanted: str | None, status: int, part: slice | None
) -> None:
    module = example("aiohttp_files", "aiohttp")
    (tmp_path / "data.bin").write_bytes(CONTENT)

    async def main() -> None:
        async with module.TestClient(module.TestServer(module.make_app(tmp_path))) as client:
            headers = {} if wanted is None else {"Range": wanted}
            async with client.get("/data.bin", headers=headers) as answer:
                assert answer.status == status
                if part is not None:
                    assert await answer.read() == CONTENT[part]
            async with client.head("/data.bin") as answer:
                assert answer.status == 405

    run(main())


@pytest.mark.parametrize("name", ["missing.bin", ".hidden", "..%2Foutside", "%2E%2E"])
def test_aiohttp_serves_nothing_else(tmp_path: Path, name: str) -> None:
    module = example("aiohttp_files", "aiohttp")
    (tmp_path / "outside").write_bytes(b"not ours")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".hidden").write_bytes(b"still arriving")

    async def main() -> None:
        async with module.TestClient(module.TestServer(module.make_app(tmp_path / "folder"))) as client:
            async with client.get(f"/{name}") as answer:
                assert answer.status == 404
            async with client.put(f"/{name}", data=b"x") as answer:
                assert answer.status in {201, 404}

    run(main())
    assert (tmp_path / "outside").read_bytes() == b"not ours"
