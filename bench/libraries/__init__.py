"""The same work done through each library. A library without a method for a case has no figure there."""

from __future__ import annotations

import importlib
from typing import Any

PLACES = {
    "io": ("bench.libraries.blocking", "Blocking"),
    "io-again": ("bench.libraries.blocking", "Blocking"),
    "ours": ("bench.libraries.ours", "Ours"),
    "ours-batches": ("bench.libraries.ours", "OursInBatches"),
    "ours-threads": ("bench.libraries.ours", "Ours"),
    "aiofiles": ("bench.libraries.rivals", "Aiofiles"),
    "aiofile": ("bench.libraries.rivals", "OlderAiofile"),
    "ayafileio": ("bench.libraries.rivals", "Ayafileio"),
    "anyio": ("bench.libraries.rivals", "Anyio"),
}


def load(name: str) -> Any:
    """The library's adapter; imports the library, so it must run in that library's environment."""
    module, adapter = PLACES[name]
    return getattr(importlib.import_module(module), adapter)()
