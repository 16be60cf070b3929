"""The functions of aiofile.ospath: each gives what its namesake of os.path gives."""

from __future__ import annotations

import inspect
import os
import os.path
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import aiofile.os
import aiofile.ospath
from support import CountingExecutor, run

#: `isjunction` is there before Python has it.
CALLS = sorted(name for name in vars(aiofile.ospath)["__all__"] if hasattr(os.path, name))
PATHS: list[Any] = [
    "file",
    b"file",
    Path("file"),
    "dir",
    "link",
    "dangling",
    "loop",
    "missing",
    "file/below",
    ".",
    "/",
    "..",
    "",
    b"",
    "~",
    "~root/a",
    "~nobody such/a",
    "dir/../link",
    "nul\0",
    "x" * 300,
    0,
    10_000,
    1.5,
    None,
]


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(b"0123456789")
    Path("dir").mkdir()
    Path("link").symlink_to("file")
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("loop")


def theirs(name: str, *arguments: Any, **keywords: Any) -> Any:
    try:
        return getattr(os.path, name)(*arguments, **keywords)
    except (OSError, TypeError, ValueError, AttributeError) as error:
        return facts(error)


async def ours(name: str, *arguments: Any, **keywords: Any) -> Any:
    try:
        return await getattr(aiofile.ospath, name)(*arguments, **keywords)
    except (OSError, TypeError, ValueError, AttributeError) as error:
        return facts(error)


def facts(error: Exception) -> Any:
    named = [getattr(error, name, None) for name in ("errno", "strerror", "filename", "filename2")]
    return type(error), str(error), named


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_and_raises_what_that_of_os_path_does(name: str) -> None:
    others = PATHS if name in {"relpath", "samefile", "sameopenfile"} else [()]

    async def check() -> None:
        seen = set()
        for path in PATHS:
            for other in others:
                arguments = (path,) if other == () else (path, other)
                expected = theirs(name, *arguments)
                assert await ours(name, *arguments) == expected, arguments
                seen.add(repr(expected))
        assert len(seen) > 1, "all paths gave the same"
        assert await ours(name) == theirs(name)
        assert await ours(name, "file", nothing=1) == theirs(name, "file", nothing=1)

    run(check())


def test_realpath_is_strict_where_it_shall_be() -> None:
    async def check() -> None:
        for path in ("file", "missing", "loop", "dangling"):
            assert await ours("realpath", path, strict=True) == theirs("realpath", path, strict=True)

    run(check())


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_a_coroutine_function_with_the_signature_of_its_namesake(name: str) -> None:
    function, namesake = getattr(aiofile.ospath, name), getattr(os.path, name)
    assert inspect.iscoroutinefunction(function)
    assert (function.__name__, function.__module__) == (name, "aiofile.ospath")
    assert f"os.path.{name}" in function.__doc__
    *known, loop, executor = inspect.signature(function).parameters.values()
    assert known == list(inspect.signature(namesake).parameters.values())
    assert [str(parameter) for parameter in (loop, executor)] == ["loop=None", "executor=None"]


def test_all_that_may_touch_the_disk_is_there() -> None:
    wanted = {"lexists", "realpath", "expanduser", "relpath", "isjunction", "isdevdrive"}
    assert {name for name in wanted if hasattr(os.path, name)} <= set(CALLS)
    assert not {"join", "split", "normpath", "expandvars"} & set(CALLS)


def test_a_function_is_looked_up_when_it_is_called_and_runs_where_it_is_told() -> None:
    async def check() -> None:
        with CountingExecutor() as executor, mock.patch("os.path.exists", return_value="patched") as patched:
            result: object = await aiofile.os.path.exists("path", executor=executor)
            assert result == "patched"
            patched.assert_called_once_with("path")
            assert executor.submitted == 1
        denied = PermissionError(13, "no", "file")
        with mock.patch("os.stat", side_effect=denied), pytest.raises(PermissionError, match="no"):
            await aiofile.ospath.getsize("file")

    run(check())


@pytest.mark.parametrize("name", ["", "link", "missing", "embedded\0null"])
def test_nothing_here_is_a_junction_whatever_the_version_of_python(tmp_path: Path, name: str) -> None:
    async def check() -> None:
        for path in (tmp_path / name, str(tmp_path / name), os.fsencode(tmp_path / name)):
            assert await aiofile.os.path.isjunction(path) is False
        with pytest.raises(TypeError):
            await aiofile.ospath.isjunction(3.5)  # type: ignore[arg-type]

    run(check())
