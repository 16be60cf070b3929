"""The classes of files of text, under the names of aiofiles."""

from __future__ import annotations

from .._indirect import AsyncTextIndirectIOWrapper
from .._text_file import TextFile as AsyncTextIOWrapper

__all__ = ["AsyncTextIOWrapper", "AsyncTextIndirectIOWrapper"]
