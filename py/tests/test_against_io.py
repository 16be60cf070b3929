"""The same actions on a file of `io` and on ours: same results, same errors, same bytes on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings

import aiofile
from differential.case import Case
from differential.pipes import Reading, Writing
from differential.sequences import KINDS
from differential.stage import Stage
from support import PROPERTY, run

#: Sequences of each kind: 2,000 in all, or four times what is asked for.
SEQUENCES = settings(
    PROPERTY, max_examples=int(os.environ.get("AFX_PROPERTY_CASES", "500")) * 4 // len(KINDS)
)


@settings(SEQUENCES)
@given(case=KINDS["bytes"])
def test_binary_files_do_what_io_does(stage: Stage, case: Case) -> None:
    stage.play(case)


@settings(SEQUENCES)
@given(case=KINDS["unbuffered"])
def test_unbuffered_files_do_what_io_does(stage: Stage, case: Case) -> None:
    stage.play(case)


@settings(SEQUENCES)
@given(case=KINDS["text"])
def test_text_files_do_what_io_does(stage: Stage, case: Case) -> None:
    event(f"newline {case.options['newline']!r}")
    stage.play(case)


@settings(SEQUENCES)
@given(case=KINDS["codecs"])
def test_text_files_in_other_encodings_do_what_io_does(stage: Stage, case: Case) -> None:
    event(case.options["encoding"])
    stage.play(case)


@settings(SEQUENCES)
@given(case=KINDS["bytes otherwise"])
def test_binary_files_opened_otherwise_do_what_io_does(stage: Stage, case: Case) -> None:
    stage.play(case)


@settings(SEQUENCES)
@given(case=KINDS["text otherwise"])
def test_text_files_opened_otherwise_do_what_io_does(stage: Stage, case: Case) -> None:
    event(case.options["encoding"])
    stage.play(case)


@settings(SEQUENCES)
@given(case=KINDS["two tasks"])
def test_what_two_tasks_ask_of_a_file_is_done_in_that_order(stage: Stage, case: Case) -> None:
    stage.play(case)


@settings(SEQUENCES)
@given(case=KINDS["pipes"])
def test_pipes_and_sockets_do_what_io_does(stage: Stage, case: Reading | Writing) -> None:
    stage.play(case)


ATTRIBUTES = ["name", "mode", "closed", "encoding", "errors", "line_buffering", "newlines"]


@pytest.mark.parametrize("kind", ["", "b"])
@pytest.mark.parametrize("mode", ["r", "r+", "w", "w+", "a", "a+", "x", "x+"])
def test_files_have_the_attributes_that_files_of_io_have(tmp_path: Path, mode: Any, kind: str) -> None:
    def of(file: Any) -> list[Any]:
        return [getattr(file, name, None) for name in ATTRIBUTES]

    async def main() -> list[Any]:
        async with aiofile.open(path, mode + kind) as file:
            return of(file)

    path = tmp_path / "f"
    if "x" not in mode:
        path.write_bytes(b"")
    with open(path, mode + kind) as file:
        expected = of(file)
    if "x" in mode:
        path.unlink()
    assert run(main()) == expected


@pytest.mark.parametrize("how", ["read", "readlines", "readline", "async for"])
@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
@pytest.mark.parametrize("content", [b"", b"a\nb\n", b"a\r\nb", b"a\rb\nc\r\n", b"a\r", b"\r\r\n\n"])
def test_line_ends_are_found_and_reported_as_io_does(
    tmp_path: Path, content: bytes, newline: str | None, how: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)

    async def main() -> Any:
        async with aiofile.open(path, newline=newline) as file:
            if how == "read":
                return await file.read(), file.newlines
            if how == "readlines":
                return "".join(await file.readlines()), file.newlines
            if how == "async for":
                return "".join([line async for line in file]), file.newlines
            text = ""
            while line := await file.readline():
                text += line
            return text, file.newlines

    with open(path, newline=newline) as file:
        assert run(main()) == (file.read(), file.newlines)
