"""Whole jobs beside the loop: copying and hashing files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from . import _native

if TYPE_CHECKING:
    from collections.abc import Iterable


def native_path(path: Any) -> str:
    """A path (str, bytes or PathLike) as the native half takes it.

    Raises:
        TypeError: path is no path.
        ValueError: there is a null byte in it.
    """
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError("embedded null byte")
    return name


@dataclass(frozen=True)
class CopyReport:
    """What :func:`copy` did."""

    bytes: int
    """Length of the target."""
    digest: str | None
    """Digest of these bytes in hexadecimal, if it was asked for."""
    method: str
    """``"clone"`` where the files share their blocks, ``"pipeline"`` where they were read and written."""
    in_place: str | None
    """Why the target was written to instead of being replaced in one step; None when it was replaced."""


async def copy(source: Any, target: Any, *, hash: str | None = None) -> CopyReport:
    """Copies the content of a file to another, hashing it on the way if asked.

    The target is replaced in one step when the copy is complete; whatever fails before that leaves
    the old target whole. Its owner, permissions and attributes are kept; a new target gets the
    source's permissions. Links are followed. Holes stay holes.

    Args:
        source: path of the file to copy (str, bytes or PathLike).
        target: path to copy it to; not a directory.
        hash: an algorithm for the digest of the bytes, such as ``"sha256"``; none by default.

    Returns:
        What was done: bytes, digest, method.

    Raises:
        OSError: something failed, with the file's name.
        shutil.SameFileError: source and target are the same file.
        ValueError: an unknown algorithm, or a path with a null byte.

    Cancellation: the temporary file is removed, then CancelledError is raised. Where the copy was complete
    in that moment, the target is the new one all the same: it is whole, old or new. A process that is
    killed (SIGKILL) leaves its temporary file, ``.afx-*`` beside the target, which may be deleted.
    """
    operation = _native.copy(native_path(source), native_path(target), hash)
    return CopyReport(*await operation)


@overload
async def hash(path: Any, algorithm: str = "sha256") -> str: ...


@overload
async def hash(path: Any, algorithm: Iterable[str]) -> dict[str, str]: ...


async def hash(path: Any, algorithm: str | Iterable[str] = "sha256") -> str | dict[str, str]:
    """Hashes a file from its start to its end, whatever it is: regular, pipe, device, ``/proc``.

    Several algorithms read the file once. BLAKE3 alone uses all CPUs for a large file.

    Args:
        path: path of the file (str, bytes or PathLike).
        algorithm: ``"md5"``, ``"sha1"``, ``"sha224"``, ``"sha256"``, ``"sha384"``, ``"sha512"``,
            ``"blake3"``, ``"xxh3"``, ``"xxh128"`` or ``"crc32c"``; or several of them.

    Returns:
        The digest in hexadecimal, as ``sha256sum``, ``b3sum`` and ``xxhsum`` print it; a CRC-32C as eight
        digits, the most significant first. Of several algorithms, a dictionary: the digests by these names.

    Raises:
        OSError: opening or reading failed.
        ValueError: an unknown algorithm, or none, or a path with a null byte.

    Cancellation: the hashing stops at the next chunk.
    """
    names = [algorithm] if isinstance(algorithm, str) else list(algorithm)
    if not names:
        raise ValueError("at least one algorithm is wanted")
    digests: dict[str, str] = await _native.hash(native_path(path), names)
    return next(iter(digests.values())) if isinstance(algorithm, str) else digests
