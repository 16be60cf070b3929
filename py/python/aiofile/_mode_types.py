"""The mode strings that type checkers know to open text or bytes."""

from __future__ import annotations

from typing import Literal, TypeAlias

TextMode: TypeAlias = Literal[
    "r",
    "+r",
    "r+",
    "rt",
    "tr",
    "+rt",
    "+tr",
    "r+t",
    "rt+",
    "t+r",
    "tr+",
    "w",
    "+w",
    "tw",
    "w+",
    "wt",
    "+tw",
    "+wt",
    "t+w",
    "tw+",
    "w+t",
    "wt+",
    "a",
    "+a",
    "a+",
    "at",
    "ta",
    "+at",
    "+ta",
    "a+t",
    "at+",
    "t+a",
    "ta+",
    "x",
    "+x",
    "tx",
    "x+",
    "xt",
    "+tx",
    "+xt",
    "t+x",
    "tx+",
    "x+t",
    "xt+",
]

#: Bytes that are only read.
ReadingMode: TypeAlias = Literal[
    "br",
    "rb",
]

#: Bytes that are only written.
WritingMode: TypeAlias = Literal[
    "bw",
    "wb",
    "ab",
    "ba",
    "bx",
    "xb",
]

#: Bytes that are both.
UpdatingMode: TypeAlias = Literal[
    "+br",
    "+rb",
    "b+r",
    "br+",
    "r+b",
    "rb+",
    "+bw",
    "+wb",
    "b+w",
    "bw+",
    "w+b",
    "wb+",
    "+ab",
    "+ba",
    "a+b",
    "ab+",
    "b+a",
    "ba+",
    "+bx",
    "+xb",
    "b+x",
    "bx+",
    "x+b",
    "xb+",
]

BinaryMode: TypeAlias = ReadingMode | WritingMode | UpdatingMode
