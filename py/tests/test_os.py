"""The functions of aiofile.os: each gives what its namesake of os gives."""

from __future__ import annotations

import asyncio
import inspect
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

import aiofile.os
from support import CountingExecutor, child, descriptors, run, succeed, until

NO_CALLS = {"DirEntry", "fwalk", "path", "scandir", "walk", "wrap"}
CALLS = sorted(set(vars(aiofile.os)["__all__"]) - NO_CALLS)


class Fd(NamedTuple):
    """Stands for the descriptor of a file of the tree."""

    path: str
    flags: int = os.O_RDWR


class Case(NamedTuple):
    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def case(name: str, *arguments: Any, **keywords: Any) -> Case:
    return Case(name, arguments, keywords)


CLOSED = 10_000
HERE = Fd("dir", os.O_RDONLY)
CASES = [
    case("access", "file", os.R_OK),
    case("access", "missing", os.F_OK),
    case("access", "inner", os.F_OK, dir_fd=HERE),
    case("access", "file", "r"),
    case("chmod", "file", 0o640),
    case("chmod", b"link", 0o600),
    case("chmod", Fd("file"), 0o600),
    case("chmod", "inner", 0o600, dir_fd=HERE),
    case("chmod", "missing", 0o600),
    case("chown", "file", -1, -1),
    case("chown", "link", 1, 1, follow_symlinks=False),
    case("chown", "missing", -1, -1),
    case("close", Fd("file")),
    case("close", CLOSED),
    case("copy_file_range", Fd("file"), Fd("other"), 5, offset_src=2),
    case("copy_file_range", Fd("file"), CLOSED, 5),
    case("fchmod", Fd("file"), 0o600),
    case("fchmod", CLOSED, 0o600),
    case("fchown", Fd("file"), -1, -1),
    case("fchown", CLOSED, -1, -1),
    case("fdatasync", Fd("file")),
    case("fdatasync", CLOSED),
    case("fpathconf", Fd("file"), "PC_NAME_MAX"),
    case("fpathconf", CLOSED, "PC_NAME_MAX"),
    case("fstat", Fd("file")),
    case("fstat", CLOSED),
    case("fstatvfs", Fd("file")),
    case("fstatvfs", CLOSED),
    case("fsync", Fd("file")),
    case("fsync", CLOSED),
    case("ftruncate", Fd("file"), 3),
    case("ftruncate", Fd("file", os.O_RDONLY), 3),
    case("getcwd"),
    case("getcwd", 1),
    case("getcwdb"),
    case("getcwdb", 1),
    case("getxattr", "file", "user.colour"),
    case("getxattr", "missing", "user.colour"),
    case("lchown", "link", -1, -1),
    case("lchown", "missing", -1, -1),
    case("link", "file", "second"),
    case("link", "link", "second", follow_symlinks=False),
    case("link", "inner", "second", src_dir_fd=HERE, dst_dir_fd=HERE),
    case("link", "file", "other"),
    case("listdir", "dir"),
    case("listdir", b"dir"),
    case("listdir", Path("dir")),
    case("listdir", HERE),
    case("listdir"),
    case("listdir", "file"),
    case("listxattr", "file"),
    case("listxattr", "missing"),
    case("lockf", Fd("file"), os.F_TLOCK, 0),
    case("lockf", CLOSED, os.F_TLOCK, 0),
    case("lseek", Fd("file"), -3, os.SEEK_END),
    case("lseek", Fd("file"), -3, os.SEEK_SET),
    case("lstat", "link"),
    case("lstat", "inner", dir_fd=HERE),
    case("lstat", "missing"),
    case("makedirs", "dir/a/b", 0o750),
    case("makedirs", "dir", exist_ok=True),
    case("makedirs", "dir"),
    case("makedirs", "file/a"),
    case("mkdir", "new", 0o700),
    case("mkdir", "new", dir_fd=HERE),
    case("mkdir", "dir"),
    case("mkfifo", "new", 0o600),
    case("mkfifo", "file"),
    case("mknod", "new", stat.S_IFIFO | 0o600),
    case("mknod", "file"),
    case("open", "missing", os.O_RDONLY),
    case("open", "dir", os.O_WRONLY),
    case("open", "file", "r"),
    case("pathconf", "file", "PC_NAME_MAX"),
    case("pathconf", "missing", "PC_NAME_MAX"),
    case("posix_fadvise", Fd("file"), 0, 0, os.POSIX_FADV_DONTNEED),
    case("posix_fadvise", CLOSED, 0, 0, os.POSIX_FADV_DONTNEED),
    case("posix_fallocate", Fd("file"), 0, 100),
    case("posix_fallocate", CLOSED, 0, 100),
    case("pread", Fd("file"), 3, 4),
    case("pread", Fd("file"), 3, -1),
    case("preadv", Fd("file"), [bytearray(2), bytearray(3)], 4),
    case("preadv", CLOSED, [bytearray(2)], 4),
    case("pwrite", Fd("file"), b"xyz", 4),
    case("pwrite", Fd("file"), "xyz", 4),
    case("pwritev", Fd("file"), [b"x", bytearray(b"yz")], 4),
    case("pwritev", CLOSED, [b"x"], 4),
    case("read", Fd("file"), 3),
    case("read", CLOSED, 3),
    case("readlink", "link"),
    case("readlink", b"link"),
    case("readlink", "file"),
    case("readv", Fd("file"), [bytearray(2), bytearray(3)]),
    case("readv", CLOSED, [bytearray(2)]),
    case("remove", "file"),
    case("remove", "inner", dir_fd=HERE),
    case("remove", "dir"),
    case("remove", "nul\0"),
    case("removedirs", "empty"),
    case("removedirs", "dir"),
    case("removexattr", "file", "user.colour"),
    case("removexattr", "missing", "user.colour"),
    case("rename", "file", "new"),
    case("rename", "inner", "new", src_dir_fd=HERE, dst_dir_fd=HERE),
    case("rename", "missing", "new"),
    case("rename", "file", "dir"),
    case("renames", "dir/inner", "a/b"),
    case("renames", "missing", "new"),
    case("replace", "file", "other"),
    case("replace", "missing", Path("other")),
    case("rmdir", "empty"),
    case("rmdir", "dir"),
    case("sendfile", Fd("other"), Fd("file"), 2, 5),
    case("sendfile", CLOSED, Fd("file"), 2, 5),
    case("setxattr", "file", "user.size", b"large"),
    case("setxattr", "missing", "user.size", b"large"),
    case("splice", CLOSED, Fd("file"), 5),
    case("stat", "file"),
    case("stat", b"link", follow_symlinks=False),
    case("stat", Path("dir")),
    case("stat", Fd("file")),
    case("stat", "inner", dir_fd=HERE),
    case("stat", "missing"),
    case("stat", b"missing"),
    case("stat", Path("missing")),
    case("stat", CLOSED),
    case("stat", "dangling"),
    case("stat", 1.5),
    case("stat"),
    case("stat", "file", nothing=True),
    case("stat", "nul\0"),
    case("stat", "x" * 300),
    case("statvfs", "."),
    case("statvfs", "missing"),
    case("symlink", "file", "new"),
    case("symlink", "inner", "new", dir_fd=HERE),
    case("symlink", "file", "other"),
    case("truncate", "file", 3),
    case("truncate", Fd("file"), 300),
    case("truncate", "dir", 3),
    case("unlink", "link"),
    case("unlink", "missing"),
    case("utime", "file", (1, 2)),
    case("utime", "link", ns=(1, 2), follow_symlinks=False),
    case("utime", "missing"),
    case("utime", "file", (1, 2), ns=(1, 2)),
    case("write", Fd("file"), b"xyz"),
    case("write", Fd("file"), bytearray(b"xyz")),
    case("write", Fd("file", os.O_RDONLY), b"xyz"),
    case("writev", Fd("file"), [b"x", b"yz"]),
    case("writev", CLOSED, [b"x"]),
]
#: What cannot work everywhere (attributes of users), or is tested apart: with a pipe, or not for real.
APART = {"getxattr", "open", "removexattr", "setxattr", "splice", "sync", "readinto"}


@contextmanager
def tree(folder: Path) -> Iterator[None]:
    """A small tree, which is the working directory meanwhile."""
    before = os.getcwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        Path("file").write_bytes(b"0123456789")
        Path("other").write_bytes(b"abc")
        Path("empty").mkdir()
        Path("dir").mkdir()
        Path("dir/inner").write_bytes(b"inside")
        Path("link").symlink_to("file")
        Path("dangling").symlink_to("nowhere")
        yield
    finally:
        os.chdir(before)


def state() -> list[Any]:
    """All that is in the working directory."""
    found: list[Any] = []
    for path in sorted(Path().rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        target = os.readlink(path) if path.is_symlink() else None
        found.append((str(path), comparable(status), content, target))
    return found


def comparable(result: Any) -> Any:
    """What two trees have in common of a result."""
    if isinstance(result, os.stat_result):
        return result.st_mode, result.st_nlink, result.st_uid, result.st_gid, stat_size(result)
    if isinstance(result, os.statvfs_result):
        return result.f_bsize, result.f_namemax, result.f_flag
    if isinstance(result, list):
        return sorted(result)
    return result


def stat_size(status: os.stat_result) -> int:
    """The size of a directory differs with its history."""
    return 0 if stat.S_ISDIR(status.st_mode) else status.st_size


def play(case: Case, function: Callable[..., Any], folder: Path) -> list[Any]:
    """What a call gives or raises, what its buffers hold, and what it leaves behind."""
    opened: list[int] = []

    def resolve(argument: Any) -> Any:
        if not isinstance(argument, Fd):
            return bytearray(argument) if isinstance(argument, bytearray) else argument
        opened.append(os.open(argument.path, argument.flags))
        return opened[-1]

    def outcome(*arguments: Any, **keywords: Any) -> Any:
        try:
            return "gave", comparable(function(*arguments, **keywords))
        except (OSError, TypeError, ValueError) as error:
            facts = [getattr(error, name, None) for name in ("errno", "strerror", "filename", "filename2")]
            return "raised", type(error), str(error), facts

    with tree(folder):
        before = descriptors()
        arguments = [
            [resolve(part) for part in argument] if isinstance(argument, list) else resolve(argument)
            for argument in case.arguments
        ]
        keywords = {name: resolve(argument) for name, argument in case.keywords.items()}
        result = outcome(*arguments, **keywords)
        positions = [position(fd) for fd in opened]
        for fd in opened:
            if case.name != "close":
                os.close(fd)
        assert descriptors() == before
        lists = [argument for argument in arguments if isinstance(argument, list)]
        return [result[0], repr(result).replace(str(folder), "HOME"), lists, positions, state()]


def position(fd: int) -> int | None:
    try:
        return os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return None


@pytest.mark.parametrize("case", [case for case in CASES if hasattr(os, case.name)], ids=str)
def test_a_call_gives_raises_and_leaves_behind_what_that_of_os_does(case: Case, tmp_path: Path) -> None:
    async def ours(*arguments: Any, **keywords: Any) -> Any:
        return await getattr(aiofile.os, case.name)(*arguments, **keywords)

    theirs = play(case, getattr(os, case.name), tmp_path / "theirs")
    assert play(case, lambda *args, **kwargs: run(ours(*args, **kwargs)), tmp_path / "ours") == theirs


def test_every_function_has_a_case_that_works_and_one_that_fails(tmp_path: Path) -> None:
    results: dict[str, set[str]] = {name: set() for name in CALLS}
    for number, case in enumerate(case for case in CASES if hasattr(os, case.name)):
        results[case.name].add(play(case, getattr(os, case.name), tmp_path / str(number))[0])
    assert {name for name, seen in results.items() if seen != {"gave", "raised"}} <= APART


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_a_coroutine_function_with_the_signature_of_its_namesake(name: str) -> None:
    function, namesake = getattr(aiofile.os, name), getattr(os, name)
    assert inspect.iscoroutinefunction(function)
    assert (function.__name__, function.__qualname__, function.__module__) == (name, name, "aiofile.os")
    assert function.__wrapped__ is namesake
    assert f"os.{name}" in function.__doc__
    *known, loop, executor = inspect.signature(function).parameters.values()
    assert [str(parameter) for parameter in (loop, executor)] == ["loop=None", "executor=None"]
    try:
        assert known == list(inspect.signature(namesake).parameters.values())
    except ValueError:
        # That of os cannot be read.
        assert name in {"chmod", "utime"}
        assert [parameter.name for parameter in known][-2:] == ["dir_fd", "follow_symlinks"]


def test_a_signature_can_be_changed_and_bound_like_any_other() -> None:
    signature = inspect.signature(aiofile.os.mkdir)
    assert str(signature) == "(path, mode=511, *, dir_fd=None, loop=None, executor=None)"
    assert signature.bind("new", executor=None).arguments == {"path": "new", "executor": None}
    (first, *_) = signature.parameters.values()
    assert str(signature.replace(parameters=[first])) == "(path)"


def test_what_changes_the_whole_process_is_not_there() -> None:
    for name in ("chdir", "fchdir", "chroot", "umask"):
        assert hasattr(os, name)
        assert not hasattr(aiofile.os, name)


def test_a_call_runs_in_the_executor_that_it_is_given() -> None:
    async def check() -> None:
        with CountingExecutor() as given, CountingExecutor() as default:
            asyncio.get_running_loop().set_default_executor(default)
            await aiofile.os.stat("/", executor=given)
            assert (given.submitted, default.submitted) == (1, 0)
            await aiofile.os.stat("/")
            await aiofile.os.stat("/", loop=asyncio.get_running_loop(), executor=None)
            assert (given.submitted, default.submitted) == (1, 2)

    run(check())


def test_a_function_is_looked_up_when_it_is_called() -> None:
    async def check() -> None:
        with mock.patch("os.readlink", return_value="patched") as patched:
            assert await aiofile.os.readlink("path", dir_fd=3) == "patched"
            patched.assert_called_once_with("path", dir_fd=3)
        with mock.patch("os.sync") as patched:
            await aiofile.os.sync()
            patched.assert_called_once_with()
        with mock.patch("os.close", side_effect=OSError(5, "no")), pytest.raises(OSError, match="no"):
            await aiofile.os.close(CLOSED)

    run(check())


def test_extended_attributes_are_those_of_os(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()

    def theirs() -> Iterator[Any]:
        os.setxattr(path, "user.colour", b"red")
        yield os.listxattr(path)
        yield os.getxattr(path, "user.colour")
        os.removexattr(path, "user.colour")

    async def ours() -> AsyncIterator[Any]:
        await aiofile.os.setxattr(path, "user.colour", b"red")
        yield await aiofile.os.listxattr(path)
        yield await aiofile.os.getxattr(path, "user.colour")
        await aiofile.os.removexattr(path, "user.colour")

    async def collect() -> list[Any]:
        return [result async for result in ours()]

    def outcome(play: Callable[[], list[Any]]) -> Any:
        try:
            return play()
        except OSError as error:
            # A file system without attributes says so in the same words.
            return str(error)

    assert outcome(lambda: run(collect())) == outcome(lambda: list(theirs()))


def test_a_descriptor_is_opened_written_read_and_closed(tmp_path: Path) -> None:
    async def check() -> None:
        fd = await aiofile.os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
        assert not os.get_inheritable(fd)
        assert await aiofile.os.write(fd, memoryview(b"text")) == 4
        assert await aiofile.os.pread(fd, 10, 1) == b"ext"
        await aiofile.os.close(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    before = descriptors()
    run(check())
    assert descriptors() == before


def test_the_descriptor_of_a_file_of_ours_is_one_to_call_with(tmp_path: Path) -> None:
    async def check() -> None:
        async with aiofile.open(tmp_path / "file", "w+b") as file:
            await file.write(b"0123456789")
            await file.flush()
            await aiofile.os.fsync(file.fileno())
            assert await aiofile.os.pread(file.fileno(), 3, 4) == b"456"
            assert (await aiofile.os.fstat(file.fileno())).st_size == 10
            assert await file.tell() == 10

    run(check())


class Held:
    """A function of os that does not return before it is let go."""

    def __init__(self, name: str) -> None:
        self._function = getattr(os, name)
        self._patch = mock.patch(f"os.{name}", self._call)
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def _call(self, *arguments: Any, **keywords: Any) -> Any:
        result = self._function(*arguments, **keywords)
        self.begun.set()
        assert self.let_go.wait(60)
        return result

    def __enter__(self) -> Held:
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._patch.stop()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_call_that_takes_long_does_not_hold_the_loop(tmp_path: Path) -> None:
    async def check() -> None:
        async with aiofile.open(tmp_path / "file", "wb") as file:
            with Held("fsync") as fsync:
                syncing = asyncio.create_task(aiofile.os.fsync(file.fileno()))
                await until(fsync.begun.is_set)
                assert await aiofile.os.path.exists(tmp_path)
                assert not syncing.done()
                fsync.let_go.set()
                await syncing

    run(check())


def test_a_cancelled_call_returns_at_once_and_goes_on_in_its_thread(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")

    async def check() -> None:
        with Held("truncate") as truncate:
            task = asyncio.create_task(aiofile.os.truncate(path, 3))
            await until(truncate.begun.is_set)
            await cancelled(task)
            assert not truncate.let_go.is_set()
        assert path.read_bytes() == b"012"

    run(check())


def test_a_call_that_was_cancelled_before_it_had_a_thread_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()

    async def check() -> None:
        with ThreadPoolExecutor(1) as one:
            free = threading.Event()
            one.submit(free.wait, 60)
            task = asyncio.create_task(aiofile.os.unlink(path, executor=one))
            await asyncio.sleep(0)
            await cancelled(task)
            free.set()
        assert path.exists()

    run(check())


def test_a_cancelled_close_still_closes() -> None:
    reader, writer = os.pipe()

    async def check() -> None:
        with ThreadPoolExecutor(1) as one:
            free = threading.Event()
            one.submit(free.wait, 60)
            task = asyncio.create_task(aiofile.os.close(reader, executor=one))
            await asyncio.sleep(0)
            await cancelled(task)
            free.set()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(reader)

    run(check())
    os.close(writer)


def test_a_descriptor_that_nobody_waits_for_any_more_is_closed(tmp_path: Path) -> None:
    async def check() -> None:
        before = descriptors()
        with Held("open") as held:
            task = asyncio.create_task(aiofile.os.open(tmp_path, os.O_RDONLY))
            await until(held.begun.is_set)
            assert descriptors() != before
            await cancelled(task)
        await until(lambda: descriptors() == before)

    run(check())


class AtOnce(Executor):
    """An executor whose work is done before it is waited for."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def test_a_descriptor_that_was_there_when_the_call_was_cancelled_is_closed(tmp_path: Path) -> None:
    async def check() -> None:
        before = descriptors()
        for turns in range(4):
            task = asyncio.create_task(aiofile.os.open(tmp_path, os.O_RDONLY, executor=AtOnce()))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                os.close(task.result())
            assert descriptors() == before
        dropped = aiofile.os.open(tmp_path, os.O_RDONLY, executor=AtOnce())
        dropped.send(None)
        dropped.close()
        assert descriptors() == before

    run(check())


def test_memory_of_the_callers_is_not_used_after_the_call() -> None:
    """A read into a buffer ends before its CancelledError; a write of bytes need not."""

    async def check() -> None:
        reader, writer = os.pipe()
        buffer = bytearray(5)
        with Held("readv") as readv:
            task = asyncio.create_task(aiofile.os.readv(reader, [buffer]))
            os.write(writer, b"12345")
            await until(readv.begun.is_set)
            task.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            assert not task.done()
            readv.let_go.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert buffer == b"12345"
        for data, ends in ((b"bytes", True), (bytearray(b"bytes"), False)):
            with Held("write") as write:
                task = asyncio.create_task(aiofile.os.write(writer, data))
                await until(write.begun.is_set)
                task.cancel()
                for _ in range(10):
                    await asyncio.sleep(0)
                assert task.done() == ends
                write.let_go.set()
                await asyncio.wait([task])
        os.close(reader)
        os.close(writer)

    run(check())


def test_a_pipe_is_spliced_into_a_file(tmp_path: Path) -> None:
    async def check() -> None:
        reader, writer = os.pipe()
        os.write(writer, b"12345")
        fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
        assert await aiofile.os.splice(reader, fd, 5) == 5
        assert await aiofile.os.pread(fd, 10, 0) == b"12345"
        for number in (reader, writer, fd):
            os.close(number)

    run(check())


def test_wrap_makes_a_coroutine_function_of_a_blocking_one() -> None:
    def join(first: str, *, second: str = "") -> str:
        """Joins."""
        return f"{first} {second} {threading.current_thread().name}"

    wrapped = aiofile.os.wrap(join)
    assert inspect.iscoroutinefunction(wrapped)
    assert (wrapped.__name__, wrapped.__doc__) == ("join", "Joins.")
    assert vars(wrapped)["__wrapped__"] is join

    async def check() -> None:
        with ThreadPoolExecutor(1, "mine") as executor:
            assert await wrapped("a", second="b", executor=executor) == "a b mine_0"
            loop = asyncio.get_running_loop()
            assert (await wrapped("a", loop=loop)).startswith("a  asyncio")

    run(check())


def test_the_module_is_imported_when_somebody_asks_for_it() -> None:
    output = succeed(
        child(
            """
            import sys
            import aiofile
            assert not {"aiofile.os", "aiofile.ospath"} & sys.modules.keys()
            assert {"os", "ospath", "tempfile", "open"} <= set(dir(aiofile))
            assert aiofile.tempfile is sys.modules["aiofile.tempfile"]
            assert aiofile.os.stat.__name__ == "stat"
            assert aiofile.os.path is aiofile.ospath is sys.modules["aiofile.os.path"]
            try:
                aiofile.nothing
            except AttributeError as error:
                print(error)
            """
        )
    )
    assert output == "module 'aiofile' has no attribute 'nothing'\n"


@pytest.mark.parametrize(
    "statement",
    [
        "import aiofile.os.path as path",
        "import aiofile.os; path = aiofile.os.path",
        "import aiofile.ospath as path",
        "from aiofile import ospath as path",
        "from aiofile.os import path",
        "import aiofile as aiofiles; path = aiofiles.os.path",
    ],
)
def test_the_functions_of_paths_can_be_imported_in_every_way(statement: str) -> None:
    succeed(child(f"{statement}\nfrom aiofile.os.path import exists\nassert path.exists is exists"))
