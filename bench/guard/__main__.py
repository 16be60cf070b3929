"""python -m bench.guard [--base REF]: exit status 1 when a case takes 5 % more instructions than before.

Before is the commit at which this tree left main; on main itself, where all is committed, the one before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.guard import compare, counting

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "target" / "guard"
# System calls by way of libc, where the shim meets them.
RUST_FLAGS = "--cfg=rustix_use_libc"


def git(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True, stderr=sys.stderr
    )
    return done.stdout.strip()


def find_base(wanted: str | None) -> str:
    """The commit to compare with: where this tree left main, or the one before if it is main as it stands."""
    if wanted:
        return git("rev-parse", "--verify", f"{wanted}^{{commit}}")
    head = git("rev-parse", "HEAD")
    branches = git("branch", "--all", "--list", "main", "*/main", "--format=%(refname)").splitlines()
    base = git("merge-base", branches[0], "HEAD") if branches else head
    is_changed = bool(git("status", "--porcelain", "--untracked-files=no"))
    return git("rev-parse", "HEAD~") if base == head and not is_changed else base


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A working tree of the commit, removed afterwards."""
    tree = FOLDER / "before"
    if tree.exists():  # A run that was killed left it.
        git("worktree", "remove", "--force", tree)
    git("worktree", "add", "--quiet", "--detach", tree, commit)
    try:
        yield tree
    finally:
        git("worktree", "remove", "--force", tree)


def build(tree: Path, name: str) -> Path:
    """A folder that holds the tree's package with its native module."""
    print(f"building {name} …", flush=True)
    target = FOLDER / f"build-{name}"
    environment = {
        **os.environ,
        "RUSTFLAGS": RUST_FLAGS,
        "CARGO_TARGET_DIR": str(target),
        "PYO3_PYTHON": sys.executable,
    }
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--package", "afx-py"]
    subprocess.run(command, cwd=tree, env=environment, check=True)
    # Names of one length: where memory lies, and so how it is copied, depends on what was put there before.
    package = FOLDER / f"package-{name:_<6}"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(tree / "py" / "python", package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy2(target / "release" / "lib_native.so", package / "aiofile" / "_native.so")
    return package


def build_shim() -> Path:
    shim = FOLDER / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", shim, source], check=True)
    return shim


def counter(package: Path, shim: Path, name: str) -> Callable[[], compare.Run]:
    """Counts what is in the folder `package`, saying so, whenever it is called."""

    def count() -> compare.Run:
        print(f"counting {name} …", flush=True)
        return counting.count(sys.executable, package, shim)

    return count


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.guard", description="Count instructions against a commit.")
    parser.add_argument("--base", metavar="REF", help="a commit, instead of where this tree left main")
    chosen = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("bench-guard needs valgrind (Debian's package is called valgrind)", file=sys.stderr)
        return 3
    base = find_base(chosen.base or None)
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"this tree against {git('log', '-1', '--format=%h %s', base)}", flush=True)
    shim = build_shim()
    with checked_out(base) as tree:
        before = build(tree, "before")
    now = build(REPOSITORY, "now")
    compared = compare.settled(counter(now, shim, "now"), counter(before, shim, "before"))
    print(f"\n{compare.table(compared).markdown()}\n\n{compare.summary(compared)}")
    return compare.exit_status(compared)


if __name__ == "__main__":
    sys.exit(main())
