"""Asynchronous files: io_uring where the kernel has it, good threads elsewhere.

``open`` takes the arguments of the built-in and gives a file whose methods are coroutines::

    import aiofile

    async with aiofile.open("notes.txt") as file:
        async for line in file:
            await aiofile.print(line, end="")
"""

from __future__ import annotations

import importlib as _importlib
import os as _os
import sys as _sys
from typing import TYPE_CHECKING

from . import _native
from ._atomic_write import AtomicWrite, atomic_write
from ._backend import backend_info
from ._binary_file import AsyncBufferedIOBase, AsyncBufferedReader, AsyncFileIO, BinaryFile
from ._configuration import Configuration, configure
from ._copy import CopyReport, TargetReport, TeeReport, copy, hash, tee
from ._file import File
from ._line_batches import LineBatches
from ._many_files import FileContents, read_each, read_many
from ._open import open
from ._print import print
from ._tail import Tail, tail
from ._text_file import TextFile
from ._whole import read_bytes, read_text, write_bytes, write_text
from .threadpool import stderr, stderr_bytes, stdin, stdin_bytes, stdout, stdout_bytes

__version__: str = _native.VERSION

__all__ = [
    "AsyncBufferedIOBase",
    "AsyncBufferedReader",
    "AsyncFileIO",
    "AtomicWrite",
    "BinaryFile",
    "Configuration",
    "CopyReport",
    "File",
    "FileContents",
    "LineBatches",
    "Tail",
    "TargetReport",
    "TeeReport",
    "TextFile",
    "atomic_write",
    "backend_info",
    "configure",
    "copy",
    "hash",
    "open",
    "print",
    "read_bytes",
    "read_each",
    "read_many",
    "read_text",
    "stderr",
    "stderr_bytes",
    "stdin",
    "stdin_bytes",
    "stdout",
    "stdout_bytes",
    "tail",
    "tee",
    "tempfile",
    "write_bytes",
    "write_text",
]

if TYPE_CHECKING:
    from . import os as os
    from . import ospath as ospath
    from . import tempfile as tempfile

#: Modules that are imported when somebody asks for them.
_LATER = {"os", "ospath", "tempfile"}

#: In a tuple, out of the reach of what replaces the modules that a module names.
_REAL = (_os,)


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _importlib.import_module(f"{__name__}.{name}")
    if _sys.modules["os"] is not _REAL[0]:
        # A test has put another in its place, as pyfakefs does, and this module has got that one for good:
        # it is not kept here, and imported again once the test has taken it out of sys.modules.
        for later in _LATER:
            globals().pop(later, None)
    return module


def __dir__() -> list[str]:
    return sorted(globals().keys() | _LATER)
