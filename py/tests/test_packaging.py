"""What an install leaves behind: the package, its native module, and the command as a native binary."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from importlib import metadata
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NATIVE_MAGIC = {
    "linux": (b"\x7fELF",),
    "darwin": (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"),
    "win32": (b"MZ",),
}[sys.platform]
COMMAND = "afx.exe" if sys.platform == "win32" else "afx"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `make test` built and installed, or one built now."""
    built = os.environ.get("AFX_WHEEL")
    return Path(built) if built else build(REPOSITORY, tmp_path_factory.mktemp("wheel"))


def build(source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source)
    (built,) = folder.glob("afxio-*.whl")
    return built


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{command} exited {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def install_into_empty_venv(folder: Path, what: Path) -> Path:
    """A venv that holds nothing but what is installed; returns its directory of executables."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", what)
    return python.parent


def assert_both_faces_work(executables: Path, away: Path) -> None:
    command = executables / COMMAND
    assert command.read_bytes().startswith(NATIVE_MAGIC)
    version = metadata.version("afxio")
    assert run(command, "--version") == f"afx {version}\n"
    # `-I` and a foreign working directory: only what was installed can be imported.
    ask = "import aiofile._native as native; print(native.__file__)"
    imported = run(executables / "python", "-I", "-c", ask, cwd=away)
    assert Path(imported.strip()).is_relative_to(executables.parent)


def test_the_installed_command_is_a_native_binary_and_not_a_script() -> None:
    files = metadata.files("afxio") or []
    (command,) = [Path(str(file.locate())) for file in files if file.name == COMMAND]
    assert command.read_bytes().startswith(NATIVE_MAGIC)
    assert not metadata.entry_points(group="console_scripts").select(name="afx")


def test_the_wheel_holds_the_package_with_its_types_and_nothing_beside_it() -> None:
    names = [file.as_posix() for file in metadata.files("afxio") or []]
    assert "aiofile/py.typed" in names
    assert "aiofile/_native.pyi" in names
    tops = {name.split("/")[0] for name in names if not name.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"aiofile"}


def test_the_licences_are_installed() -> None:
    names = {file.name for file in metadata.files("afxio") or []}
    assert {"LICENSE-MIT", "LICENSE-APACHE"} <= names


def test_the_wheel_works_in_an_empty_venv(wheel: Path, tmp_path: Path) -> None:
    assert_both_faces_work(install_into_empty_venv(tmp_path / "venv", wheel), tmp_path)


@pytest.mark.slow
def test_the_source_distribution_works_in_an_empty_venv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, REPOSITORY)
    (sdist,) = tmp_path.glob("afxio-*.tar.gz")
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"Cargo.lock", "cli/src/main.rs", "core/src/lib.rs", "buildtools/backend.py"} <= names
    # A target directory of its own: a build from elsewhere must not replace this checkout's binaries.
    monkeypatch.setenv("CARGO_TARGET_DIR", str(REPOSITORY / "target" / "sdist"))
    wheel = build(sdist, tmp_path / "wheel")
    assert_both_faces_work(install_into_empty_venv(tmp_path / "venv", wheel), tmp_path)
