"""The functions of :mod:`os.path` that touch the file system, as coroutine functions.

Each takes the arguments of its namesake, and ``loop`` and ``executor`` as keywords: it runs in that executor,
by default the event loop's. Functions that only take paths apart and put them together (``join``, ``split``,
``normpath``, ``expandvars``) never wait: call those of ``os.path``.
"""

from __future__ import annotations

from ._calls import coroutine_functions

_LINES = {
    "abspath": "Makes a path absolute; a relative one begins at the working directory.",
    "exists": "Tells whether a path leads to something.",
    "expanduser": "Replaces ``~`` and ``~user`` by a home directory, from the password database if need be.",
    "getatime": "Tells when a file was last read.",
    "getctime": "Tells when the attributes of a file last changed.",
    "getmtime": "Tells when a file was last written.",
    "getsize": "Tells the size of a file in bytes.",
    "isdevdrive": "Tells whether a path is on a Dev Drive of Windows.",
    "isdir": "Tells whether a path leads to a directory.",
    "isfile": "Tells whether a path leads to a regular file.",
    "isjunction": "Tells whether a path is a junction of Windows.",
    "islink": "Tells whether a path is a symbolic link.",
    "ismount": "Tells whether a path is a mount point.",
    "lexists": "Tells whether a path is there, be it a symbolic link that leads nowhere.",
    "realpath": "Follows all symbolic links of a path.",
    "relpath": "Makes a path relative to a directory, by default the working directory.",
    "samefile": "Tells whether two paths lead to the same file.",
    "sameopenfile": "Tells whether two descriptors are of the same file.",
}

_made = coroutine_functions("os.path", __name__, _LINES, {})
globals().update(_made)

__all__ = list(_made)
