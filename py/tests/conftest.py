"""Fixtures of several tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from differential.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Where a file of ours and one of `io` are played."""
    stage = Stage()
    yield stage
    stage.close()
