"""Plays a case on both, and compares after every action."""

from __future__ import annotations

from pathlib import Path

from .case import Action, Case, brief, shown
from .ours import Ours
from .theirs import Theirs


async def compare(case: Case, folder: Path) -> None:
    """Fails unless every action has the same outcome on `io` and on our files.

    The files are left in ``folder``, where there may be those of the case before.
    """
    their_path, our_path = pair = folder / "theirs", folder / "ours"
    for path in pair:
        if case.content is not None:
            path.write_bytes(case.content)
        else:
            path.unlink(missing_ok=True)
    theirs, ours = Theirs(their_path, case), Ours(our_path, case)
    try:
        await ours.open()
        await theirs.open()
        assert ours.note == theirs.note, differs(("open",), ours, theirs)
        if theirs.file is not None:
            await play(case, ours, theirs)
    finally:
        for player in (ours, theirs):
            await player.finish()


async def play(case: Case, ours: Ours, theirs: Theirs) -> None:
    # After the closing, files of io that cannot be read say only that.
    after = [("flush",), ("tell",), ("read", 0), ("close",)][:: 1 if "r" in case.mode else 3]
    for action in [*case.actions, ("close",), *after]:
        if (whence := await theirs.detour(action, ours)) is not None:
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
