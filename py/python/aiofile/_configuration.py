"""What a program may set, in force for the whole process."""

from __future__ import annotations

import io
import threading
from operator import index
from typing import NamedTuple

from . import _native


class Configuration(NamedTuple):
    """The settings in force. ``aiofile.configure(**settings._asdict())`` goes back to them."""

    buffering: int = -1
    """Bytes of the write buffer of a file that is opened without ``buffering``; -1 for the file system's
    block size."""
    queue_depth: int = 256
    """Entries of a ring, and operations that one ``pread_many`` has in flight."""
    buffer_bytes: int = 7 * 1024 * 1024
    """Bytes of buffers in use above which files read ahead no more than 8 KiB each."""
    idle_bytes: int = 6 * 1024 * 1024
    """Bytes of unused buffers that are kept for the next file."""


#: The least and the most of each setting.
_BOUNDS = {
    "buffering": (2, 1 << 30),
    "queue_depth": (8, 32_768),
    "buffer_bytes": (0, 1 << 40),
    "idle_bytes": (0, 1 << 40),
}

_changing = threading.Lock()


class _InForce:
    """Where the settings are found."""

    settings = Configuration()


def default_buffering(block_bytes: int) -> int:
    """Bytes of the write buffer of a file that is opened without ``buffering``.

    Args:
        block_bytes: of the file system, or 1 where it has none.
    """
    buffering = _InForce.settings.buffering
    if buffering > 0:
        return buffering
    return block_bytes if block_bytes > 1 else io.DEFAULT_BUFFER_SIZE


def configure(
    *,
    buffering: int | None = None,
    queue_depth: int | None = None,
    buffer_bytes: int | None = None,
    idle_bytes: int | None = None,
) -> Configuration:
    """Changes settings of the whole process, of which none need be touched, and tells those in force.

    It may be called at any time, on any thread. What is left out, or None, stays as it is.

    Args:
        buffering: bytes of the write buffer (2 to 1 GiB) of files that are opened later without a
            ``buffering`` of their own; -1, the default, for the file system's block size. A killed process
            loses that much of each file. Files with ``executor=``, or of a replaced ``open``, keep theirs.
        queue_depth: entries (8 to 32,768) of rings that are made later, one in each thread when it first
            waits for a device: 256 by default, some 25 KiB. More are of use to a program that has more
            operations in flight than that, all the time.
        buffer_bytes: how much all buffers together (from 0) may hold before files read ahead no more than
            8 KiB each and ``read_many`` begins no more. As much may be filled by those reads of one loop
            that wait for a device; the others begin as these end. 7 MiB by default. What is read into the
            program's own memory, and what a call has returned, does not count.
        idle_bytes: unused buffers (from 0) that are kept for the next file: 6 MiB by default.

    Returns:
        The settings in force now.

    Raises:
        TypeError: a setting that is no integer.
        ValueError: a setting out of its bounds. Nothing is changed then.

    Example:
        >>> aiofile.configure(buffering=1 << 20, queue_depth=1024).buffer_bytes
        7340032
    """
    asked = {
        "buffering": buffering,
        "queue_depth": queue_depth,
        "buffer_bytes": buffer_bytes,
        "idle_bytes": idle_bytes,
    }
    changes = {name: _checked(name, value) for name, value in asked.items() if value is not None}
    with _changing:
        settings = _InForce.settings._replace(**changes)
        if changes:
            _native.configure(*settings[1:])
            _InForce.settings = settings
    return settings


def _checked(name: str, value: object) -> int:
    try:
        number = index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}") from None
    least, most = _BOUNDS[name]
    if not (least <= number <= most or (name == "buffering" and number == -1)):
        or_default = ", or -1 for the block size" if name == "buffering" else ""
        raise ValueError(f"{name} must be between {least} and {most}{or_default}, not {number}")
    return number
