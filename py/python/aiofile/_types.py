"""What type checkers know of arguments; the module that defines it is not there when a program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["FileDescriptorOrPath", "ReadableBuffer", "StrOrBytesPath", "WriteableBuffer"]

if TYPE_CHECKING:
    from _typeshed import FileDescriptorOrPath, ReadableBuffer, StrOrBytesPath, WriteableBuffer
else:
    FileDescriptorOrPath = ReadableBuffer = StrOrBytesPath = WriteableBuffer = Any
