"""What programs written for aiofiles find here: its names, classes, hooks and ways."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import sys
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import aiofile as aiofiles
import aiofile.base
import aiofile.tempfile
import aiofile.threadpool
import aiofile.threadpool.binary
import aiofile.threadpool.text
import aiofile.threadpool.utils
from support import CountingExecutor, child, run

BUFFERED = (
    "close flush isatty read read1 readinto readline readlines seek seekable tell truncate writable write "
    "writelines"
)
RAW = (
    "close flush isatty read readall readinto readline readlines seek seekable tell truncate writable write "
    "writelines"
)
TEXT = BUFFERED.replace("read1 readinto ", "readable ")

#: Coroutine methods, methods and properties of each class of aiofiles.
CLASSES = {
    "binary.AsyncBufferedIOBase": (BUFFERED, "detach fileno readable", "closed raw name mode"),
    "binary.AsyncBufferedReader": (BUFFERED + " peek", "detach fileno readable", "closed raw name mode"),
    "binary.AsyncFileIO": (RAW, "fileno readable", "closed name mode"),
    "binary.AsyncIndirectBufferedIOBase": (BUFFERED, "detach fileno readable", "closed raw name mode"),
    "binary.AsyncIndirectBufferedReader": (
        BUFFERED + " peek",
        "detach fileno readable",
        "closed raw name mode",
    ),
    "binary.AsyncIndirectFileIO": (RAW, "fileno readable", "closed name mode"),
    "text.AsyncTextIOWrapper": (
        TEXT,
        "detach fileno",
        "buffer closed encoding errors line_buffering newlines name mode",
    ),
    "text.AsyncTextIndirectIOWrapper": (
        TEXT,
        "detach fileno",
        "buffer closed encoding errors line_buffering newlines name mode",
    ),
}

KINDS = {
    ("r", -1): aiofile.threadpool.text.AsyncTextIOWrapper,
    ("w+", -1): aiofile.threadpool.text.AsyncTextIOWrapper,
    ("rb", -1): aiofile.threadpool.binary.AsyncBufferedReader,
    ("rb+", -1): aiofile.threadpool.binary.AsyncBufferedReader,
    ("wb+", -1): aiofile.threadpool.binary.AsyncBufferedReader,
    ("wb", -1): aiofile.threadpool.binary.AsyncBufferedIOBase,
    ("ab", -1): aiofile.threadpool.binary.AsyncBufferedIOBase,
    ("rb", 0): aiofile.threadpool.binary.AsyncFileIO,
    ("wb", 0): aiofile.threadpool.binary.AsyncFileIO,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"first\nsecond\n")
    return file


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_the_members_that_aiofiles_gives_it(name: str) -> None:
    module, kind = name.split(".")
    cls = getattr(getattr(aiofile.threadpool, module), kind)
    coroutines, methods, properties = (words.split() for words in CLASSES[name])
    for each in coroutines:
        assert inspect.iscoroutinefunction(getattr(cls, each)), each
    for each in set(methods) - {"readable"}:
        assert callable(getattr(cls, each)), each
        assert not inspect.iscoroutinefunction(getattr(cls, each)), each
    for each in properties:
        assert inspect.isdatadescriptor(getattr(cls, each)), each


def test_the_names_that_programs_import_are_there(path: Path) -> None:
    from aiofile.threadpool import _open

    imported: dict[str, Any] = {}
    exec("from aiofile import *", imported)
    names = "open tempfile stdin stdout stderr stdin_bytes stdout_bytes stderr_bytes"
    assert set(names.split()) <= imported.keys()
    assert inspect.iscoroutinefunction(_open)

    async def check() -> None:
        file = await _open(path, "rb", buffering=0)
        assert isinstance(file, aiofile.threadpool.AsyncFileIO)
        assert await file.readline() == b"first\n"
        assert file._ref_loop is None
        await file.close()
        executor = CountingExecutor()
        async with await _open(path, executor=executor) as text:
            assert await text.readline() == "first\n"
        assert executor.submitted == 3

    run(check())


def test_what_is_typed_for_aiofiles_is_right_for_mypy_and_at_run_time(path: Path) -> None:
    async def lines_of(file: aiofile.base.AsyncBase[str]) -> list[str]:
        return [line async for line in file]

    async def check() -> None:
        binary: aiofile.threadpool.AsyncBufferedReader = await aiofiles.open(path, "rb")
        is_readable: bool = binary.readable()
        text: aiofile.threadpool.AsyncTextIOWrapper = await aiofiles.open(path)
        is_readable &= await text.readable()
        assert is_readable
        assert await lines_of(text) == ["first\n", "second\n"]
        opening: aiofile.base.AiofilesContextManager[aiofile.threadpool.AsyncTextIOWrapper]
        opening = aiofiles.open(path)
        async with opening as other:
            assert await lines_of(other) == ["first\n", "second\n"]
        await binary.close()
        await text.close()

    run(check())


def test_only_text_has_the_attributes_of_text(path: Path) -> None:
    async def check() -> None:
        async with aiofiles.open(path, "rb") as binary, aiofiles.open(path) as text:
            for name in ("newlines", "encoding", "errors", "buffer", "line_buffering"):
                assert not hasattr(binary, name), name
                assert hasattr(text, name), name
            await text.read()
            assert text.newlines == "\n"
            assert not hasattr(aiofile.threadpool.wrap(io.BytesIO()), "newlines")

    run(check())


@pytest.mark.parametrize(("mode", "buffering"), KINDS)
def test_the_mode_decides_on_the_class(path: Path, mode: Any, buffering: int) -> None:
    async def check() -> None:
        async with aiofiles.open(path, mode, buffering) as file:
            assert isinstance(file, KINDS[mode, buffering])
            assert isinstance(file, aiofile.base.AsyncBase)
            assert hasattr(file, "peek") == (("b" in mode and buffering and "r" in mode) or mode == "wb+")

    run(check())


@pytest.mark.parametrize("mode", ["r", "w", "rb", "wb", "r+b"])
@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("executor", [True, False])
def test_readable_is_answered_awaited_and_plain_of_text_and_a_bool_of_bytes(
    path: Path, mode: Any, buffering: int, executor: bool
) -> None:
    async def check() -> None:
        with ThreadPoolExecutor() as threads:
            threads_or_none = threads if executor else None
            if "b" in mode:
                async with aiofiles.open(path, mode, buffering, executor=threads_or_none) as binary:
                    assert binary.readable() is (mode[0] == "r")
                return
            async with aiofiles.open(path, mode, executor=threads_or_none) as file:
                assert bool(file.readable()) == (mode[0] == "r")
                assert await file.readable() == (mode[0] == "r")
                assert await asyncio.create_task(file.readable()) == (mode[0] == "r")

    run(check())


def test_what_open_returns_is_awaitable_and_a_context_manager_and_used_up_when_it_is_left(path: Path) -> None:
    async def check() -> None:
        opening = aiofiles.open(path)
        assert isinstance(opening, Awaitable)
        assert isinstance(opening, AbstractAsyncContextManager)
        assert isinstance(opening, aiofile.base.AiofilesContextManager)
        async with opening as file:
            assert opening._obj is file
            assert await opening is file
        assert file.closed
        assert opening._obj is None
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await opening

    run(check())


@pytest.mark.filterwarnings("default")
def test_an_open_that_is_never_awaited_warns(path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="never awaited"):
        aiofiles.open(path)


@pytest.mark.parametrize("mode", ["r+", "rb+"])
def test_with_an_executor_every_call_runs_in_it(path: Path, mode: Any) -> None:
    async def check() -> None:
        executor = CountingExecutor()
        calls = 0

        async def counted(awaitable: Awaitable[Any]) -> Any:
            nonlocal calls
            result = await awaitable
            calls += 1
            assert executor.submitted == calls, awaitable
            return result

        file = await counted(aiofiles.open(path, mode, executor=executor))
        assert await counted(file.readline()) in {"first\n", b"first\n"}
        await counted(file.seek(0))
        assert len(await counted(file.readlines())) == 2
        await counted(file.write("x" if mode == "r+" else b"x"))
        await counted(file.flush())
        assert await counted(file.tell()) == 14
        assert await counted(file.writable())
        if mode == "r+":
            assert await counted(file.readable())
            assert await counted(asyncio.create_task(file.readable()))
        assert file.readable()
        await counted(file.seek(0))
        lines = [line async for line in file]
        assert len(lines) == 3
        calls = executor.submitted
        await counted(file.close())
        assert file.closed

    run(check())


def test_a_replaced_sync_open_opens_every_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def opens(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments[0])
        return open(*arguments, **options)

    async def check() -> None:
        async with aiofiles.open(path) as native:
            assert not opened
            assert native._stack is None
        monkeypatch.setattr(aiofile.threadpool, "sync_open", opens)
        async with aiofiles.open(path, "rb") as file:
            assert await file.readline() == b"first\n"
        assert opened == [path]
        with pytest.raises(FileNotFoundError):
            await aiofiles.open(path.with_name("missing"))

    run(check())


@pytest.mark.parametrize("options", [{}, {"encoding": "utf-8"}, {"mode": "rb"}])
def test_a_replaced_sync_open_is_called_with_the_arguments_of_the_program(options: dict[str, Any]) -> None:
    async def check() -> None:
        async with aiofiles.open("filename", **options) as file:
            await file.read()

    with mock.patch("aiofile.threadpool.sync_open", return_value=io.StringIO()) as opens:
        run(check())
    defaults = {"mode": "r", "buffering": -1, "encoding": None, "errors": None, "newline": None}
    opens.assert_called_once_with("filename", **{**defaults, "closefd": True, "opener": None, **options})


def test_a_mocked_file_can_be_registered() -> None:
    chunks = iter([b"chunk 1", b"chunk 2", b""])
    stream = mock.MagicMock(read=lambda *_args, **_options: next(chunks))
    aiofile.threadpool.wrap.register(mock.MagicMock)(
        lambda *args, **options: aiofile.threadpool.AsyncBufferedIOBase(*args, **options)  # noqa: PLW0108
    )

    async def check() -> None:
        async with aiofiles.open("filename", "w") as file:
            await file.write("data")
            chunks_read: list[Any] = [await file.read(), await file.read(2)]
            assert chunks_read == [b"chunk 1", b"chunk 2"]

    with mock.patch("aiofile.threadpool.sync_open", return_value=stream) as opens:
        run(check())
    assert opens.call_args.args == ("filename",)
    assert opens.call_args.kwargs["mode"] == "w"
    stream.write.assert_called_once_with("data")
    stream.__exit__.assert_called_once_with(None, None, None)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: io.StringIO("a\nb\n"), "AsyncTextIOWrapper"),
        (lambda: io.BytesIO(b"a\nb\n"), "AsyncBufferedIOBase"),
        (lambda: io.BufferedReader(io.BytesIO(b"a\nb\n")), "AsyncBufferedReader"),
    ],
)
def test_files_of_io_are_wrapped_by_their_type(make: Any, kind: str) -> None:
    async def check() -> None:
        blocking = make()
        async with aiofile.threadpool.wrap(blocking) as file:
            assert isinstance(file, getattr(aiofile.threadpool, kind))
            assert type(file).__name__ == getattr(aiofile.threadpool, kind).__name__
            assert file._file is blocking
            assert len(await file.readline()) == 2
            assert await file.tell() == 2
            assert len([line async for line in file]) == 1
            assert await file.seekable()
        assert blocking.closed

    run(check())


@pytest.mark.parametrize("entity", [int, [1], io.FileIO, None])
def test_what_is_no_file_is_not_wrapped(entity: Any) -> None:
    with pytest.raises(TypeError, match="Unsupported io type"):
        aiofile.threadpool.wrap(entity)


def test_two_tasks_take_turns_at_a_blocking_file() -> None:
    class Slow(io.BytesIO):
        busy = False

        def write(self, data: Any) -> int:
            assert not self.busy
            self.busy = True
            count = sum(super(Slow, self).write(bytes([byte])) for byte in data)
            self.busy = False
            return count

    async def check() -> None:
        blocking = Slow()
        file = aiofile.threadpool.wrap(blocking)
        await asyncio.gather(*(file.write(bytes([number]) * 50) for number in range(50)))
        assert blocking.getvalue() == b"".join(bytes([number]) * 50 for number in range(50))

    run(check())


def test_the_files_inherit_from_async_base() -> None:
    for name in ("text.AsyncTextIOWrapper", "binary.AsyncBufferedReader", "binary.AsyncFileIO"):
        module, kind = name.split(".")
        cls = getattr(getattr(aiofile.threadpool, module), kind)
        assert aiofile.base.AsyncBase in cls.__mro__
        assert "__init__" in dir(cls)


def test_a_class_of_a_program_is_made_as_one_of_aiofiles() -> None:
    class Mixin:
        def hello(self) -> str:
            return "hello"

    class Plain(aiofile.threadpool.text.AsyncTextIOWrapper):
        pass

    class Counting(Mixin, aiofile.threadpool.text.AsyncTextIOWrapper):
        def __init__(self, file: Any, loop: Any, executor: Any) -> None:
            super().__init__(file, loop, executor)
            self.lines_read = 0

        async def readline(self, *arguments: Any, **options: Any) -> str:
            self.lines_read += 1
            return await super().readline(*arguments, **options)

    class Extended(aiofile.threadpool.binary.AsyncBufferedReader):
        def __init__(self, file: Any, loop: Any = None, executor: Any = None, extra: int = 5) -> None:
            super().__init__(file, loop=loop, executor=executor)
            self.extra = extra

    class Further(Extended):
        pass

    async def check() -> None:
        executor = CountingExecutor()
        file = Counting(io.StringIO("a\nb\n"), asyncio.get_running_loop(), executor)
        assert type(file) is Counting
        assert (file.hello(), file._executor, file._loop) == ("hello", executor, asyncio.get_running_loop())
        assert [line async for line in file] == ["a\n", "b\n"]
        assert file.lines_read == 3
        assert Further(io.BytesIO(), extra=7).extra == 7
        assert await Extended(io.BytesIO(b"abc"), None, None).read() == b"abc"
        plain = Plain(io.StringIO("x"), None, None)
        assert await plain.read() == "x"
        assert isinstance(plain, aiofile.base.AsyncBase)
        assert plain._ref_loop is None

    run(check())


#: What programs ask of a file, and what the blocking file must be asked for then.
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("read", (), {}),
    ("read", (-1,), {}),
    ("read", (None,), {}),
    ("read", (5,), {}),
    ("read", (), {"size": 3}),
    ("read", (3,), {"timeout": 2}),
    ("read1", (), {}),
    ("readline", (), {}),
    ("readline", (-1,), {}),
    ("readlines", (), {}),
    ("readlines", (-1,), {}),
    ("peek", (), {}),
    ("seek", (0,), {}),
    ("seek", (0, 2), {}),
    ("seek", (), {"offset": 1, "whence": 0}),
    ("tell", (), {}),
    ("truncate", (), {}),
    ("truncate", (None,), {}),
    ("write", (b"x",), {}),
    ("writelines", ([b"a", b"b"],), {}),
    ("writelines", ([],), {}),
    ("readinto", (bytearray(2),), {}),
    ("flush", (), {}),
    ("isatty", (), {}),
    ("seekable", (), {}),
    ("writable", (), {}),
    ("close", (), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), CALLS)
@pytest.mark.parametrize("subclass", [False, True])
def test_the_file_behind_is_called_as_the_program_called(
    name: str, arguments: tuple[Any, ...], options: dict[str, Any], subclass: bool
) -> None:
    class Own(aiofile.threadpool.AsyncBufferedReader):
        async def read(self, *args: Any, **kwargs: Any) -> Any:
            return await super().read(*args, **kwargs)

    async def check() -> None:
        blocking = mock.MagicMock()
        kind = Own if subclass else aiofile.threadpool.AsyncBufferedReader
        result = await getattr(kind(blocking, None, None), name)(*arguments, **options)
        assert blocking.method_calls == [getattr(mock.call, name)(*arguments, **options)]
        assert all(given is got for given, got in zip(arguments, blocking.method_calls[0].args, strict=True))
        assert name == "close" or result is getattr(blocking, name).return_value

    run(check())


def test_base_wrap_makes_a_coroutine_function_that_looks_like_the_function() -> None:
    wrapped = aiofile.base.wrap(max)
    assert inspect.iscoroutinefunction(wrapped)
    assert wrapped.__wrapped__ is max  # type: ignore[attr-defined]
    assert wrapped.__name__ == "max"
    executor = CountingExecutor()
    assert run(wrapped(3, 5, key=lambda number: -number, executor=executor)) == 3
    assert executor.submitted == 1


def test_a_class_is_built_with_the_decorators() -> None:
    @aiofile.threadpool.utils.delegate_to_executor("read", "readline")
    @aiofile.threadpool.utils.proxy_method_directly("getvalue")
    @aiofile.threadpool.utils.proxy_property_directly("closed")
    class Wrapped(aiofile.base.AsyncBase[Any]):
        pass

    async def check() -> None:
        executor = CountingExecutor()
        file: Any = Wrapped(io.BytesIO(b"a\nb\n"), None, executor)
        assert [line async for line in file] == [b"a\n", b"b\n"]
        assert executor.submitted == 3
        assert file.getvalue() == b"a\nb\n"
        assert not file.closed

        async def opens() -> Any:
            return file

        async with aiofile.base.AiofilesContextManager[Any](opens()) as entered:
            assert entered is file
        assert file.closed

    run(check())


def test_the_blocking_file_behind_is_there_for_those_who_reach_for_it(path: Path) -> None:
    async def check() -> None:
        file = await aiofiles.open(path, "rb")
        assert await file.read(3) == b"fir"
        assert file._file.read(3) == b"st\n"
        assert await file.read(3) == b"sec"
        await file.close()
        assert file._file.closed
        other = await aiofiles.open(path, "rb")
        await other.close()
        assert other._file.closed

    run(check())


def test_a_file_is_a_context_manager_itself(path: Path) -> None:
    async def check() -> None:
        file = await aiofiles.open(path)
        async with file as entered:
            assert entered is file
        assert file.closed
        with pytest.raises(ValueError, match="closed file"):
            await file.__aenter__()

    run(check())


def test_reconfigure_changes_how_text_is_written(path: Path) -> None:
    async def check() -> None:
        async with aiofiles.open(path, "w", encoding="ascii") as file:
            assert not file.write_through
            await file.write("a\n")
            await file.reconfigure(encoding="utf-16-le", newline="\r\n", line_buffering=True)
            assert (file.encoding, file.line_buffering) == ("utf-16-le", True)
            await file.write("é\n")
            assert path.read_bytes() == b"a\n" + "é\r\n".encode("utf-16-le")

    run(check())


@pytest.mark.parametrize("executor", [None, CountingExecutor])
def test_readinto1_reads_at_most_once(path: Path, executor: Any) -> None:
    async def check() -> None:
        async with aiofiles.open(path, "rb", executor=executor and executor()) as file:
            buffer = bytearray(8)
            assert await file.readinto1(buffer) == 8
            assert buffer == b"first\nse"
            assert await file.readinto1(buffer) == 5
            assert await file.readinto1(buffer) == 0

    run(check())


def test_a_task_can_be_made_of_the_next_line(path: Path) -> None:
    async def check() -> None:
        async with aiofiles.open(path) as file:
            first: Any = file.__anext__()
            assert await asyncio.create_task(first) == "first\n"
            second: Any = file.__anext__()
            assert await asyncio.wait_for(asyncio.create_task(second), 5) == "second\n"
            end: Any = file.__anext__()
            with pytest.raises(StopAsyncIteration):
                await end
            await file.seek(0)
            cancelled = asyncio.create_task(await_line(file))
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled

    async def await_line(file: Any) -> Any:
        return await file.__anext__()

    run(check())


def test_the_audit_events_of_open_are_those_of_io(path: Path) -> None:
    program = """
        import asyncio, os, sys
        import aiofile

        path, events = sys.argv[1], []
        sys.addaudithook(lambda event, arguments: events.append((event, *arguments)))

        def of(mode, file, **options):
            events.clear()
            opened = open(file, mode, **options)
            opened.close()
            return [event[:2] for event in events if event[0] == "open"]

        async def ours(mode, file, **options):
            events.clear()
            opened = await aiofile.open(file, mode, **options)
            found = [event[:2] for event in events if event[0] == "open"]
            await opened.close()
            return found

        async def main():
            fd = os.open(path, os.O_RDWR)
            for mode in ("rb", "r+", "r"):
                assert await ours(mode, fd, closefd=False) == of(mode, fd, closefd=False) == [("open", fd)]
                assert await ours(mode, path) == of(mode, path) == [("open", path)]
            # A codec that has to be imported for that.
            assert (await ours("r", fd, encoding="cp037", closefd=False))[0] == ("open", fd)
            assert of("r", fd, encoding="cp424", closefd=False)[0] == ("open", fd)
            assert (await ours("r", path, encoding="cp500"))[0] == ("open", path)

        asyncio.run(main())
    """
    done = child(program, str(path))
    assert done.returncode == 0, done.stderr


# Standard streams.


def test_the_standard_streams_are_looked_up_at_every_call(capsys: pytest.CaptureFixture[str]) -> None:
    async def check() -> None:
        await aiofiles.stdout.write("out")
        await aiofiles.stderr.write("err")
        assert capsys.readouterr() == ("out", "err")
        before, sys.stdout = sys.stdout, io.StringIO()
        try:
            await aiofiles.stdout.writelines(["a", "b"])
            assert sys.stdout.getvalue() == "ab"
            assert not aiofiles.stdout.closed
        finally:
            sys.stdout = before
        assert inspect.iscoroutinefunction(aiofiles.stdout.write)
        assert await aiofiles.stdout.writable()

    run(check())


def test_writes_and_prints_to_a_standard_stream_stay_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    async def check() -> None:
        await asyncio.gather(
            *(
                aiofiles.stdout.write(f"{number}\n") if number % 2 else aiofiles.print(number)
                for number in range(200)
            )
        )

    run(check())
    assert capsys.readouterr().out == "".join(f"{number}\n" for number in range(200))


def test_a_print_calls_the_write_that_a_program_put_on_its_file(tmp_path: Path) -> None:
    async def check() -> None:
        async with aiofiles.open(tmp_path / "f", "w") as file:
            written = []
            write = file.write

            async def recorded(text: str) -> int:
                written.append(text)
                return await write(text)

            file.write = recorded  # type: ignore[method-assign]
            await aiofiles.print(1, 2, file=file)
            await aiofiles.print(3, file=file, flush=True)
            assert written == ["1 2\n", "3\n"]
        assert (tmp_path / "f").read_text() == "1 2\n3\n"

    run(check())


@pytest.mark.parametrize("way", ["stdout", "stdout_bytes", "print"])
def test_a_cancelled_write_to_a_full_stream_lets_go_of_its_task_and_stays_in_order(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(text: str) -> None:
        if way == "stdout_bytes":
            await aiofiles.stdout_bytes.write(text.encode())
            await aiofiles.stdout_bytes.flush()
        elif way == "stdout":
            await aiofiles.stdout.write(text)
            await aiofiles.stdout.flush()
        else:
            await aiofiles.print(text, end="", flush=True)

    async def check() -> None:
        reading, writing = os.pipe()
        with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb", 0) as reader:
            monkeypatch.setattr(sys, "stdout", stream)
            full = "a" * 300_000
            for text in (full, "b"):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(write(text), 0.05)
            face: Any = aiofiles.stdout_bytes if way == "stdout_bytes" else aiofiles.stdout
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(face.writable(), 0.05)
            last = asyncio.ensure_future(write("c"))
            got = b""
            while not got.endswith(b"c"):
                got += await asyncio.to_thread(reader.read, 100_000)
            await last
            assert got == full.encode() + b"bc"

    run(check())


class Unhashable(io.StringIO):
    """Equal to whatever it is compared with."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


class Slotted:
    """Has no size to be asked for, and nothing can refer to it weakly."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines = ["b\n", "a\n"]

    def readline(self) -> str:
        return self.lines.pop()

    def read(self) -> str:
        return "".join(reversed(self.lines))

    def readlines(self) -> list[str]:
        return list(reversed(self.lines))


class Knowing:
    """Takes more than a size."""

    def read(self, n: int = -1, timeout: Any = None) -> str:
        return f"{n} {timeout}"


@pytest.mark.parametrize("executor", [None, CountingExecutor])
def test_stdin_may_be_replaced_by_anything_that_reads(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = aiofile.threadpool.AsyncTextIndirectIOWrapper(
        "", None, executor and executor(), lambda: sys.stdin
    )

    async def check() -> None:
        for replaced in (Unhashable("a\nb\n"), Unhashable("a\nb\n"), Slotted(), Slotted()):
            monkeypatch.setattr(sys, "stdin", replaced)
            assert await stdin.readline() == "a\n"
            assert await stdin.readlines() == ["b\n"]
        monkeypatch.setattr(sys, "stdin", Slotted())
        assert await stdin.read() == "a\nb\n"
        faces: Any = stdin
        monkeypatch.setattr(sys, "stdin", Knowing())
        assert await faces.read(timeout=3) == "-1 3"
        assert await faces.read(n=2) == "2 None"
        mocked = mock.MagicMock()
        monkeypatch.setattr(sys, "stdin", mocked)
        for name, arguments, options in CALLS:
            if name in {"read", "readline", "readlines", "seek", "tell", "write", "writelines", "flush"}:
                mocked.reset_mock()
                await getattr(faces, name)(*arguments, **options)
                assert getattr(mock.call, name)(*arguments, **options) in mocked.method_calls

    run(check())


def test_the_bytes_of_stdin_may_be_replaced_by_anything_that_reads() -> None:
    async def check() -> None:
        mocked = mock.MagicMock()
        face: Any = aiofile.threadpool.AsyncIndirectBufferedIOBase("", None, None, lambda: mocked)
        memory = bytearray(3)
        await face.readinto(memory)
        await face.read1()
        assert mocked.method_calls == [mock.call.fileno(), mock.call.readinto(memory), mock.call.read1()]
        assert mocked.method_calls[1].args[0] is memory

    run(check())


STDIN = """
    import asyncio, os, sys
    import aiofile

    reading, writing = os.pipe()
    os.dup2(reading, 0)

    async def cancelled(call):
        try:
            await asyncio.wait_for(call, 0.05)
        except asyncio.TimeoutError:
            return
        raise AssertionError("it was not cancelled")

    async def main():
"""


def test_a_cancelled_read_of_stdin_leaves_its_bytes_to_the_next_one() -> None:
    program = (
        STDIN
        + """
        await cancelled(aiofile.stdin.readline())
        os.write(writing, b"one\\ntwo\\nthr")
        assert await aiofile.stdin.readline() == "one\\n"
        assert await aiofile.stdin.readline() == "two\\n"
        await cancelled(aiofile.stdin.read(5))
        os.write(writing, b"ee\\nfour\\nfive\\n")
        assert await aiofile.stdin.read(2) == "th"
        assert await aiofile.stdin.readline() == "ree\\n"
        os.close(writing)
        assert [line async for line in aiofile.stdin] == ["four\\n", "five\\n"]

    asyncio.run(main())
    """
    )
    done = child(program)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "stream", ["stdin.readline", "stdin.read", "stdin_bytes.read1", "stdin_bytes.readline"]
)
def test_a_blocked_read_of_stdin_does_not_keep_the_interpreter_from_exiting(stream: str) -> None:
    program = (
        STDIN
        + f"""
        await cancelled(aiofile.{stream}())

    asyncio.run(main())
    print("ended")
    """
    )
    done = child(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_what_was_read_ahead_of_stdin_comes_first() -> None:
    program = (
        STDIN
        + """
        os.write(writing, b"one\\ntwo\\n")
        assert sys.stdin.readline() == "one\\n"
        assert await aiofile.stdin.readline() == "two\\n"

    asyncio.run(main())
    """
    )
    done = child(program)
    assert done.returncode == 0, done.stderr
