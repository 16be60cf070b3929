"""The build back-end: maturin's, with the native command `afx` put into the wheel.

maturin packs an extension module or a binary, never both. Its `data` directory is copied into the
wheel as it stands, so the command is built first and laid there; everything else stays maturin's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import maturin
from maturin import (
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    Settings = Mapping[str, Any] | None

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

# `tool.maturin.data` of pyproject.toml; its `scripts` end up in the environment's bin directory.
DATA = Path("target/wheel-data")
SCRIPTS = DATA / "scripts"


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Builds the wheel with a fresh `afx` in it."""
    _lay_command(config_settings)
    name: str = maturin.build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Builds the editable wheel; its `afx` is a copy, as fresh as the last install."""
    _lay_command(config_settings)
    name: str = maturin.build_editable(wheel_directory, config_settings, metadata_directory)
    return name


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Packs what git tracks."""
    DATA.mkdir(parents=True, exist_ok=True)
    name: str = maturin.build_sdist(sdist_directory, config_settings)
    return name


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """Writes the metadata; maturin refuses to where its data directory is missing."""
    DATA.mkdir(parents=True, exist_ok=True)
    name: str = maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)
    return name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def _lay_command(config_settings: Settings) -> None:
    """Leaves exactly one file in `scripts`: the command, built now for the module's target and profile."""
    shutil.rmtree(SCRIPTS, ignore_errors=True)  # Never an older build, never another platform's.
    SCRIPTS.mkdir(parents=True)
    executable = _build_command(_cargo_options(config_settings))
    shutil.copy2(executable, SCRIPTS / executable.name)


def _cargo_options(config_settings: Settings) -> list[str]:
    """The options given to maturin that decide what kind of binary cargo builds."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--target", default=os.environ.get("CARGO_BUILD_TARGET"))
    parser.add_argument("--profile", default="release")
    given, _others = parser.parse_known_args(maturin.get_maturin_pep517_args(config_settings))
    return ["--profile", given.profile, *(["--target", given.target] if given.target else [])]


def _build_command(options: list[str]) -> Path:
    """Builds `afx` and returns the path that cargo reports: it knows the target directory and the suffix."""
    command = ["cargo", "build", "--locked", "--package=afx-cli", "--bin=afx", *options]
    built = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"], check=True, stdout=subprocess.PIPE, text=True
    )
    messages = (json.loads(line) for line in built.stdout.splitlines())
    executables = [message["executable"] for message in messages if message.get("executable")]
    if len(executables) != 1:
        raise RuntimeError(f"{' '.join(command)} reported {len(executables)} executables, not one")
    return Path(executables[0])
