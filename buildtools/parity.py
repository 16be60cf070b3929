"""Runs the tests of aiofiles, as they are, on this package: parity.py FOLDER ENGINE...

They are downloaded to FOLDER and are no part of this repository. Python's own pip must reach a package index.
Exit status: 0 enough pass, 1 too few do, 3 they cannot be downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from xml.etree import ElementTree

AIOFILES = "aiofiles==25.1.0"
UNAVAILABLE = 3

#: Passed and skipped of aiofiles itself: by its own rules some tests are for some versions of Python only.
EXPECTED = (215, 4) if sys.version_info >= (3, 12) else (211, 8)

#: Root may read and write everything, which their test of access() does not expect.
CAPABILITIES = "-dac_override,-dac_read_search"


def download(folder: Path) -> Path | None:
    """The unpacked source distribution; None when it is not to be had."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.tar.gz")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        arguments = ["--no-deps", "--no-binary", ":all:", "--dest", str(folder), AIOFILES]
        if subprocess.run([*pip, *arguments], check=False).returncode != 0:
            return None
    unpacked = folder / AIOFILES.replace("==", "-")
    shutil.rmtree(unpacked, ignore_errors=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    return unpacked


def run(sources: Path, engine: str) -> tuple[int, int, int]:
    """Passed, skipped and failed tests."""
    report = sources.parent / f"{engine}.xml"
    pytest = [sys.executable, "-m", "pytest", "--quiet", "-p", "aiofiles_alias", "-c", os.devnull]
    options = [
        "--rootdir",
        ".",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ]
    environment = {**os.environ, "AFX_ENGINE": engine, "PYTHONPATH": str(Path(__file__).parent)}
    command = [*pytest, *options, "-p", "no:cacheprovider", f"--junitxml={report.resolve()}", "./tests"]
    if os.geteuid() == 0 and shutil.which("setpriv"):
        command = ["setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}", *command]
    subprocess.run(command, cwd=sources, env=environment, check=False, stdin=subprocess.DEVNULL)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return total - skipped - failed, skipped, failed


def main() -> int:
    """Runs them on each engine."""
    folder, *engines = sys.argv[1:]
    sources = download(Path(folder))
    if sources is None:
        print(f"parity: {AIOFILES} cannot be downloaded here")
        return UNAVAILABLE
    enough = True
    for engine in engines:
        passed, skipped, failed = run(sources, engine)
        print(f"parity with {AIOFILES}, engine {engine}: {passed} passed, {skipped} skipped, {failed} failed")
        enough &= failed == 0 and passed >= EXPECTED[0] and skipped <= EXPECTED[1]
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
