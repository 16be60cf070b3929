"""What the README and the guides show is run as it stands."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CONTENT = "first line\nsecond line, with ERROR in it\n"


def python_block(page: str) -> str:
    """The first program of a page."""
    found = re.search(r"```python\n(import asyncio\n.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def run(program: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_readme_example_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "myfile").write_text(CONTENT)
    printed = run(python_block("README.md"), tmp_path)
    digest = hashlib.sha256(CONTENT.encode()).hexdigest()
    assert printed == f"example\nfirst line\n{digest} {len(CONTENT)}\n"
    assert (tmp_path / "backup").read_text() == CONTENT


def test_the_first_program_of_the_guide_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "service.log").write_text(CONTENT)
    printed = run(python_block("docs/guides/getting-started.md"), tmp_path)
    assert printed == "second line, with ERROR in it\n"


def test_the_program_of_the_guide_to_directories_runs_as_it_stands(tmp_path: Path) -> None:
    for folder in ("src/lib", "src/.git"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("src/main.c", "src/lib/part.c", "src/.git/config"):
        (tmp_path / file).write_text(CONTENT)
    printed = run(python_block("docs/guides/os.md"), tmp_path)
    size = len(CONTENT)
    assert printed == f"{size}\nsrc ['main.c']\nsrc/lib ['part.c']\nmain.c {size}\n"


def test_the_program_of_the_guide_to_batches_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[server]\nport = 8080\n")
    (tmp_path / "pages").mkdir()
    for name, content in {"a": "<p>done</p>", "b": "<p>TODO</p>"}.items():
        (tmp_path / "pages" / f"{name}.html").write_text(content)
    (tmp_path / "data.bin").write_bytes(b"head".ljust(996, b"\0") + b"tail")
    printed = run(python_block("docs/guides/batches.md"), tmp_path)
    assert printed == "22 bytes in 2 pages\nb.html\nb'head' b'tail'\n50 samples\n"
    assert (tmp_path / "settings.bak").read_text() == (tmp_path / "settings.toml").read_text()


def test_the_program_of_the_guide_to_settings_runs_as_it_stands(tmp_path: Path) -> None:
    printed = run(python_block("docs/guides/settings.md"), tmp_path)
    assert printed == "-1 256 7340032 6291456\n"
    assert (tmp_path / "log.txt").read_text() == "a line\n"


def test_the_program_of_the_guide_to_compression_runs_as_it_stands(tmp_path: Path) -> None:
    printed = run(python_block("docs/guides/compression.md"), tmp_path)
    assert printed == "request 0\nrequest 1\nrequest 2\n"
    assert (tmp_path / "summary.txt").read_text() == "3 requests\n"
    assert gzip.decompress((tmp_path / "numbers.gz").read_bytes()) == bytes(1000)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_way_out_after_a_crash_that_the_guide_to_compression_shows_runs(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/guides/compression.md").read_text()
    _, program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    run(program, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cut-off.log.zst"]


def test_the_guide_to_web_services_shows_what_the_examples_run() -> None:
    examples = [path.read_text() for path in (REPOSITORY / "examples" / "python").glob("*_files.py")]
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/guides/web.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert any(block in example for example in examples), block
