"""Where each library runs: the interpreter it is installed for, and the environment it starts with."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# The older aiofile owns the import name too, so it cannot share an environment with ours.
RIVALS = {
    "aiofiles": ("rivals", "aiofiles==25.1.0"),
    "aiofile": ("older-aiofile", "aiofile==3.12.3"),
    "ayafileio": ("rivals", "ayafileio==2.0.0"),
    "anyio": ("rivals", "anyio>=4.16"),
}


class ChildError(Exception):
    """What a child answered instead of a figure."""


@dataclass(frozen=True)
class Library:
    """One column of the table."""

    name: str
    python: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def blocking(self) -> bool:
        return self.name in ("io", "io-again")


def own_engines(engine: str) -> dict[str, dict[str, str]]:
    """Ours by name with what to set: the engine that is used here, and threads where that is another."""
    engines = {"ours": {"AFX_ENGINE": engine} if engine else {}}
    return engines if engine == "threads" else engines | {"ours-threads": {"AFX_ENGINE": "threads"}}


def own_libraries(engine: str) -> list[Library]:
    """`io`, `io` once more, and ours on every engine."""
    python = Path(sys.executable)
    ours = [Library(name, python, environment) for name, environment in own_engines(engine).items()]
    return [Library("io", python), Library("io-again", python), *ours]


def rivals(folder: Path) -> tuple[list[Library], list[str]]:
    """The other libraries in venvs below the folder, and one line for each that cannot be installed here."""
    found, missing = [], []
    for name, (venv, requirement) in RIVALS.items():
        python = folder / venv / "bin" / "python"
        try:
            _install(folder / venv, python, requirement)
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or "").strip().splitlines() or ["no message"]
            missing.append(f"{name}: cannot be installed here: {reason[-1]}")
        else:
            found.append(Library(name, python))
    return found, missing


def _install(venv: Path, python: Path, requirement: str) -> None:
    version = sys.version.split()[0]
    stamp = venv / f"{requirement} on {version}"
    if stamp.exists():
        return
    if not any(venv.glob(f"* on {version}")):
        _run(sys.executable, "-m", "venv", "--clear", venv)
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement)
    stamp.touch()


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def start(library: Library, arguments: list[str], repository: Path) -> subprocess.Popen[str]:
    """A child process of bench.child in the library's environment."""
    environment = {key: value for key, value in os.environ.items() if key != "AFX_ENGINE"}
    environment |= {"PYTHONPATH": str(repository), **library.environment}
    return subprocess.Popen(
        [library.python, "-m", "bench.child", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
