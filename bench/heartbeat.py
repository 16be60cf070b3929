"""How long an event loop was held: the longest time between two ticks that were due a millisecond apart."""

from __future__ import annotations

import asyncio
import time

TICK_SECONDS = 0.001


class Heartbeat:
    """Ticks on the running loop from its creation until `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._worst_seconds = 0.0
        self._last = time.perf_counter()
        self._handle = self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._note()
        self._handle = self._loop.call_later(TICK_SECONDS, self._tick)

    def _note(self) -> None:
        now = time.perf_counter()
        self._worst_seconds = max(self._worst_seconds, now - self._last)
        self._last = now

    def stop(self) -> float:
        """The worst gap in seconds, the one since the last tick included."""
        self._handle.cancel()
        self._note()
        return self._worst_seconds
