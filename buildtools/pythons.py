"""Prints every CPython here that the wheel supports, one `VERSION EXECUTABLE` per line, oldest first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

OLDEST = (3, 10)
ASK = "import sys; print(*sys.version_info[:3], sys.implementation.name, sys.executable)"


def candidates() -> list[Path]:
    """What looks like an interpreter, on PATH and among pyenv's versions."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    found = [path for folder in folders for path in sorted(folder.glob("python3*"))]
    return [*found, *sorted(pyenv.glob("versions/*/bin/python3"))]


def ask(executable: Path) -> tuple[tuple[int, ...], str] | None:
    """Its version and its own path, or None if it does not start, is too old or no CPython."""
    try:
        asked = subprocess.run(
            [executable, "-I", "-c", ASK], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    *version, name, path = asked.stdout.split(maxsplit=4)
    numbers = tuple(int(part) for part in version)
    return (numbers, path.strip()) if name == "cpython" and numbers >= OLDEST else None


def main() -> None:
    """One line per minor version: the newest patch of each."""
    newest: dict[tuple[int, ...], tuple[tuple[int, ...], str]] = {}
    for answer in filter(None, map(ask, candidates())):
        minor = answer[0][:2]
        if minor not in newest or newest[minor][0] < answer[0]:
            newest[minor] = answer
    for version, path in sorted(newest.values()):
        print(".".join(map(str, version)), path)


if __name__ == "__main__":
    main()
