"""A pytest plugin: whoever imports aiofiles gets aiofile."""

import importlib
import sys

SUBMODULES = (
    "base",
    "ospath",
    "os",
    "threadpool",
    "threadpool.utils",
    "threadpool.binary",
    "threadpool.text",
    "tempfile",
    "tempfile.temptypes",
)

sys.modules["aiofiles"] = importlib.import_module("aiofile")
for name in SUBMODULES:
    sys.modules[f"aiofiles.{name}"] = importlib.import_module(f"aiofile.{name}")
