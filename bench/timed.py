"""Work that times itself, since not all that it does is to be measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Timed:
    """What such work returns instead of a count: figures that replace the child's own."""

    figures: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Measures what is inside."""
        cpu, began = time.process_time(), time.perf_counter()
        yield
        self.figures["seconds"] = time.perf_counter() - began
        self.figures["cpu_seconds"] = time.process_time() - cpu
