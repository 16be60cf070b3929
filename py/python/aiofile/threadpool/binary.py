"""The classes of files of bytes, under the names of aiofiles."""

from __future__ import annotations

from .._binary_file import AsyncBufferedIOBase, AsyncBufferedReader, AsyncFileIO
from .._indirect import AsyncIndirectBufferedIOBase, AsyncIndirectBufferedReader, AsyncIndirectFileIO

__all__ = [
    "AsyncBufferedIOBase",
    "AsyncBufferedReader",
    "AsyncFileIO",
    "AsyncIndirectBufferedIOBase",
    "AsyncIndirectBufferedReader",
    "AsyncIndirectFileIO",
]
