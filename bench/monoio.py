"""The command afx with the engine monoio, which no wheel has: built here, beside the ordinary one."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The name of its column; and where cargo builds it, so that the next ordinary build need not start anew.
TITLE = "afx on monoio"
FOLDER = "target/monoio"


def build(repository: Path) -> tuple[str | None, str | None]:
    """What replaces `"$AFX"` in a shell line, or why there is none."""
    if shutil.which("cargo") is None:
        return None, f"{TITLE}: cannot be built here: there is no cargo"
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--package", "afx-cli"]
    command += ["--features", "engine-monoio", "--target-dir", FOLDER]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines() or ["no message"]
        return None, f"{TITLE}: cannot be built here: {reason[-1]}"
    line = f"{shlex.quote(str(repository / FOLDER / 'release/afx'))} --engine monoio"
    # It may be denied where compio does without it.
    works = subprocess.run(["sh", "-c", f"{line} doctor"], capture_output=True, text=True, check=False)
    if works.returncode != 0:
        return None, f"{TITLE}: {works.stderr.strip()}"
    return line, None
