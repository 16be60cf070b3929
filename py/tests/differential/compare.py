"""Plays a case on both, and compares after every action."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .case import Action, Case, brief, shown
from .players import Ours, Theirs

#: A file system that never promises not to wait: every read goes to the ring, or to a thread.
_WAITING = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextmanager
def twins(case: Case) -> Iterator[tuple[Path, Path]]:
    """Two paths with the same content, or two where no file is."""
    folder = tempfile.mkdtemp(dir=_WAITING if case.waits else None)
    try:
        pair = Path(folder, "theirs"), Path(folder, "ours")
        if case.content is not None:
            for path in pair:
                path.write_bytes(case.content)
        yield pair
    finally:
        shutil.rmtree(folder)


async def compare(case: Case) -> None:
    """Fails unless every action has the same outcome on `io` and on our files."""
    with twins(case) as (their_path, our_path):
        theirs, ours = Theirs(their_path, case), Ours(our_path, case)
        try:
            await ours.open()
            await theirs.open()
            assert ours.note == theirs.note, differs(("open",), ours, theirs)
            if theirs.file is not None:
                await play(case, ours, theirs)
        finally:
            for player in (ours, theirs):
                if player.file is not None:
                    await player.call("close")


async def play(case: Case, ours: Ours, theirs: Theirs) -> None:
    # After the closing, files of io that cannot be read say only that.
    after = [("flush",), ("tell",), ("read", 0), ("close",)][:: 1 if "r" in case.mode else 3]
    for action in [*case.actions, ("close",), *after]:
        if (whence := await theirs.detour(action)) is not None:
            await ours.go(whence)
            await theirs.go(whence)
        await ours.play(action, theirs)
        await theirs.play(action, ours)
        if theirs.is_not_decoded():
            # `io` has gone past its chunk; what ours could not decode is still to be read.
            if action[0] not in ("seek_cookie", "tell"):
                await ours.reads_on_to(theirs.note)
            return
        assert ours.note == theirs.note, differs(action, ours, theirs)
        if theirs.lost_its_mark():
            await ours.go(0)
            await theirs.go(0)


def differs(action: Action, ours: Ours, theirs: Theirs) -> str:
    notes = [shown(note) if isinstance(note, tuple) else brief(note) for note in (ours.note, theirs.note)]
    return f"{shown(action)}: ours {notes[0][:500]}, theirs {notes[1][:500]}"
