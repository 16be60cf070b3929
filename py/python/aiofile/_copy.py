"""Whole jobs beside the loop: copying, sharing out and hashing files."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

from . import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: How often a progress callback is called, in seconds.
_PROGRESS_SECONDS = 0.1


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


def _place(file: Any) -> Any:
    """A path, or the number of an open file, as the native half takes it."""
    return file if isinstance(file, int) and not isinstance(file, bool) else native_path(file)


def _names(algorithms: str | Iterable[str] | None) -> list[str]:
    if algorithms is None:
        return []
    return [algorithms] if isinstance(algorithms, str) else list(algorithms)


@dataclass(frozen=True)
class TargetReport:
    """What became of one target of :func:`copy`.

    Attributes:
        outcome: ``"replaced"``, ``"in_place"``, ``"streamed"`` (an open file) or ``"skipped"``.
        reason: why it was written in place or skipped, in a sentence for people; None otherwise.
        verified: where its bytes were read back from, ``"device"`` or ``"cache"``; None if they were not.
        code: the reason for programs, as ``afx copy --json`` has it: in place ``"asked"``, ``"special"``,
            ``"hard_links"``, ``"mount_point"``, ``"directory"`` or ``"attributes"``; skipped ``"exists"`` or
            ``"not_older"``.
    """

    outcome: str
    reason: str | None
    verified: str | None
    code: str | None = None


@dataclass(frozen=True)
class CopyReport:
    """What :func:`copy` did.

    Attributes:
        bytes: length of each target; 0 if none was written.
        digest: the first digest of these bytes in hexadecimal, if one was asked for.
        digests: all of them, by the names of the algorithms.
        method: ``"clone"`` where the files share their blocks, ``"offload"`` where the file system's server
            copied them, ``"pipeline"`` where they were read and written, ``"none"`` where every target was
            skipped.
        in_place: why the first target that was written to was not replaced in one step, in a sentence for
            people (programs look at the ``code`` of the targets); None when all were.
        resumed_at: the offset that an earlier copy had come to, where it was gone on with.
        targets: what became of each target, in the order they were given.
    """

    bytes: int
    digest: str | None
    digests: dict[str, str]
    method: str
    in_place: str | None
    resumed_at: int | None
    targets: tuple[TargetReport, ...]


@dataclass(frozen=True)
class TeeReport:
    """What :func:`tee` did.

    Attributes:
        bytes: bytes read from the source.
        digests: digests of what was written, by the names of the algorithms.
        targets: bytes written to each target, in the order they were given, or why it has not all of them.
    """

    bytes: int
    digests: dict[str, str]
    targets: tuple[int | OSError, ...]


async def copy(
    source: Any,
    target: Any,
    *more_targets: Any,
    hash: str | Iterable[str] | None = None,
    compress: str | None = None,
    decompress: bool = False,
    verify: bool = False,
    durability: Literal["none", "data", "full"] = "none",
    reflink: Literal["auto", "always", "never"] = "auto",
    sparse: Literal["auto", "always", "never"] = "auto",
    preserve: bool = False,
    writing: Literal["auto", "atomic", "in_place"] = "auto",
    overwrite: Literal["always", "older", "never"] = "always",
    resume: bool = False,
    rate: int | None = None,
    drop_cache: bool = False,
    progress: Callable[[int], object] | None = None,
) -> CopyReport:
    """Copies the content of a file to another, or to several, in one pass and off the loop.

    Each target is replaced in one step when all are complete; whatever fails before that leaves the old
    targets whole. Their owner, permissions and attributes are kept; a new target gets the source's
    permissions. Links are followed. Holes stay holes.

    Args:
        source: path of the file to copy (str, bytes or PathLike), or the number of an open file, which is
            read from its own position.
        target: path to copy it to; not a directory. Or the number of an open file, which is written at its
            own position.
        more_targets: the same bytes go there as well.
        hash: an algorithm for the digest of the bytes of the target, such as ``"sha256"``, or several; None
            or an empty list for no digest.
        compress: ``"zstd"`` or ``"gzip"``, with a level as in ``"zstd:19"``.
        decompress: whether to restore what zstd or gzip compressed.
        verify: whether the targets are read back, past the page cache where that can be, before they take
            their names.
        durability: what a power loss may take. ``"none"``: anything. ``"data"``: the target is old or new
            afterwards. ``"full"``: it is new once this returns.
        reflink: whether target and source share blocks: where that can be, or else it fails, or never.
        sparse: whether holes stay, are made of all blocks of zeros, or are filled.
        preserve: whether the target gets the source's owner, mode, times, access control list and extended
            attributes.
        writing: ``"atomic"`` fails where a target cannot be replaced in one step; ``"in_place"`` writes to
            the file itself; ``"auto"`` replaces it, except where that would break something: other hard
            links, a device, a mount point, a directory that cannot be written.
        overwrite: ``"older"`` replaces a target only if the source was modified later, ``"never"`` none.
        resume: whether a copy that fails keeps what it did, for the next with ``resume`` to go on from.
        rate: the most bytes a second, on average; an integer above 0, None for no limit.
        drop_cache: whether nothing is left in the page cache that was not there before.
        progress: a plain function, called on the loop ten times a second with the bytes of the source done
            so far, and once at the end. What it raises goes to the loop's exception handler.

    Returns:
        What was done.

    Raises:
        OSError: something failed, with errno and the file's name. ``EBADMSG``: a compressed file is damaged
            or cut off. ``ENOTSUP``: the target cannot be replaced in one step and ``writing`` is
            ``"atomic"``, or it is no file that can be resumed or verified. ``ESTALE``: with ``resume``, the
            source has changed since the copy was begun. ``EIO``, besides what failed on the device: a
            target reads back differently.
        shutil.SameFileError: source and target are the same file.
        TypeError: an argument of another type, before anything is done; ``progress`` that cannot be called,
            or is a coroutine function.
        ValueError: an unknown algorithm or word, a ``rate`` that is not above 0, options that contradict each
            other, a target that is given twice, or a path with a null byte.

    Cancellation: the temporary files are removed (with ``resume`` they stay), then CancelledError is raised.
    Where the copy was complete in that moment, the target is the new one all the same: it is whole, old or
    new. A process that is killed (SIGKILL) leaves its temporary file, ``.afx-*`` beside the target, which the
    next copy to it removes.
    """
    asked: dict[str, Any] = {
        "hashes": _names(hash),
        "compress": compress,
        "decompress": decompress,
        "reflink": reflink,
        "sparse": sparse,
        "preserve": preserve,
        "writing": writing,
        "overwrite": overwrite,
        "durability": durability,
        "verify": verify,
        "resume": resume,
        "rate": _checked_rate(rate),
        "drop_cache": drop_cache,
    }
    _check(asked, progress)
    places = [_place(file) for file in (target, *more_targets)]
    counter = _native.Counter()
    operation = _native.copy(_place(source), places, asked, counter)
    bytes, pairs, method, resumed_at, outcomes = await _told(operation, counter, progress)
    digests = dict(pairs)
    targets = tuple(TargetReport(*outcome) for outcome in outcomes)
    in_place = next((report.reason for report in targets if report.outcome == "in_place"), None)
    digest = next(iter(digests.values()), None)
    return CopyReport(bytes, digest, digests, method, in_place, resumed_at, targets)


async def tee(
    source: Any,
    *targets: Any,
    append: bool = False,
    hash: str | Iterable[str] | None = None,
    compress: str | None = None,
    on_slow: Literal["wait", "detach"] = "wait",
    return_exceptions: bool = False,
    progress: Callable[[int], object] | None = None,
) -> TeeReport:
    """Writes what a file, pipe or terminal gives to many places as it comes, off the loop.

    Files are created or emptied first. Each target is for itself: where one cannot be opened or written, the
    others go on.

    Args:
        source: path, or the number of an open file, which is read from its own position to its end.
        targets: paths, or numbers of open files.
        append: whether files are written behind their end instead. With ``compress`` they are read first: one
            that was cut off, or is not of that format, is refused, for nothing behind it could be read.
        hash: an algorithm for the digest of what is written, or several; None or an empty list for no
            digest.
        compress: ``"zstd"`` or ``"gzip"``, with a level as in ``"zstd:19"``; readable whenever the source
            waits.
        on_slow: whether a target that takes nothing is waited for, or left behind after a second (with
            16 MiB on their way to all targets together); what it got is a prefix.
        return_exceptions: whether the errors of targets are in the report instead of being raised.
        progress: as for :func:`copy`.

    Returns:
        What was read and written.

    Raises:
        OSError: reading failed; or, once the source has ended, the first error of a target, with errno and
            its name (``EBADMSG``: with ``append`` and ``compress``, it was cut off; ``ETIMEDOUT``: it was
            left behind).
        shutil.SameFileError: so, where a target is the source; it is left as it is.
        TypeError, ValueError: as for :func:`copy`.

    Cancellation: the reading stops; each target has a prefix of what was read.
    """
    asked = {"append": append, "hashes": _names(hash), "compress": compress, "on_slow": on_slow}
    _check(asked, progress)
    counter = _native.Counter()
    operation = _native.tee(_place(source), [_place(file) for file in targets], asked, counter)
    bytes, pairs, written = await _told(operation, counter, progress)
    if not return_exceptions:
        for error in written:
            if isinstance(error, BaseException):
                raise error
    return TeeReport(bytes, dict(pairs), tuple(written))


#: Of the arguments that are words, those that may be left out.
_MAY_BE_NONE = {"compress"}

_A = {bool: "a bool", str: "a string"}

_FLAGS = {"append", "decompress", "drop_cache", "preserve", "resume", "verify"}


def _check(asked: dict[str, Any], progress: object) -> None:
    """Refuses arguments of another type, by their names."""
    for name, value in asked.items():
        if name in {"hashes", "rate"} or (value is None and name in _MAY_BE_NONE):
            continue
        wanted = bool if name in _FLAGS else str
        if not isinstance(value, wanted):
            raise TypeError(f"{name} must be {_A[wanted]}, not {type(value).__name__}")
    for algorithm in asked["hashes"]:
        if not isinstance(algorithm, str):
            raise TypeError(f"hash must be a string or several, not {type(algorithm).__name__}")
    if progress is None:
        return
    if not callable(progress):
        raise TypeError(f"progress must be a function, not {type(progress).__name__}")
    if iscoroutinefunction(progress) or iscoroutinefunction(type(progress).__call__):
        raise TypeError("progress must be a plain function, not a coroutine function: nobody would await it")


#: The most bytes a second that can be told from no limit.
_MOST_RATE = 2**63 - 1


def _checked_rate(rate: object) -> int | None:
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, SupportsIndex):
        raise TypeError(f"rate must be an integer, not {type(rate).__name__}")
    if (number := rate.__index__()) <= 0:
        raise ValueError(f"rate must be more than 0 bytes a second, not {number}")
    return min(number, _MOST_RATE)


async def _told(operation: Any, counter: _native.Counter, progress: Callable[[int], object] | None) -> Any:
    """The result of an operation that tells how far it is."""
    if progress is None:
        return await operation
    telling = _Telling(counter, progress)
    try:
        result = await operation
    finally:
        telling.stop()
    # Called by the loop like the others: what was done is not lost because of what it raises.
    await telling.once_more()
    return result


class _Telling:
    """Calls a function with a count, again and again, on the running loop."""

    def __init__(self, counter: _native.Counter, tell: Callable[[int], object]) -> None:
        self._counter = counter
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(_PROGRESS_SECONDS, self._tick)

    def _tick(self) -> None:
        self._handle = self._loop.call_later(_PROGRESS_SECONDS, self._tick)
        self._tell(self._counter.bytes)

    def stop(self) -> None:
        self._handle.cancel()

    async def once_more(self) -> None:
        """Returns when it was called."""
        called = self._loop.create_future()

        def call() -> None:
            if not called.done():
                called.set_result(None)
            self._tell(self._counter.bytes)

        self._loop.call_soon(call)
        await called


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
