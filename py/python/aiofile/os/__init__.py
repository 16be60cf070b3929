"""The functions of :mod:`os` that touch the file system, as coroutine functions.

Each takes the arguments of its namesake, and ``loop`` and ``executor`` as keywords: it runs in that executor,
by default the event loop's. What it returns and raises is what ``os`` returns and raises.

Beside them, :func:`walk`, :func:`fwalk` and :func:`scandir` are asynchronous iterators. What changes the
whole process (``chdir``, ``umask``, ``chroot``) is not here: no task could count on it across an ``await``.
"""

from __future__ import annotations

import os as _os
import sys as _sys

from .. import ospath as path
from .._calls import acquiring_descriptor, coroutine_functions, lending, unstoppable
from ..base import wrap as wrap
from ._scandir import DirEntry as DirEntry
from ._scandir import scandir as scandir
from ._walk import walk as walk

_LINES = {
    "access": "Tells whether this process may use a file; access(2).",
    "chflags": "Sets the flags of a file; chflags(2).",
    "chmod": "Sets the permissions of a file; chmod(2).",
    "chown": "Sets the owner and group of a file; chown(2).",
    "close": "Closes a descriptor; close(2).",
    "copy_file_range": "Copies from descriptor to descriptor inside the kernel; copy_file_range(2).",
    "fchmod": "Sets the permissions of an open file; fchmod(2).",
    "fchown": "Sets the owner and group of an open file; fchown(2).",
    "fdatasync": "Brings the data of an open file to the device; fdatasync(2).",
    "fpathconf": "Tells a limit of an open file; fpathconf(3).",
    "fstat": "Tells the attributes of an open file; fstat(2).",
    "fstatvfs": "Tells the state of an open file's file system; fstatvfs(3).",
    "fsync": "Brings an open file to the device; fsync(2).",
    "ftruncate": "Sets the size of an open file; ftruncate(2).",
    "getcwd": "Tells the working directory; getcwd(3).",
    "getcwdb": "Tells the working directory as bytes; getcwd(3).",
    "getxattr": "Reads an extended attribute; getxattr(2).",
    "lchflags": "Sets the flags of a file or link; lchflags(2).",
    "lchmod": "Sets the permissions of a file or link; lchmod(2).",
    "lchown": "Sets the owner and group of a file or link; lchown(2).",
    "link": "Gives a file another name; link(2).",
    "listdir": "Lists the names in a directory; getdents64(2).",
    "listdrives": "Lists the drives.",
    "listmounts": "Lists the mount points of a volume.",
    "listvolumes": "Lists the volumes.",
    "listxattr": "Lists the extended attributes of a file; listxattr(2).",
    "lockf": "Locks or unlocks a part of an open file; lockf(3).",
    "lseek": "Sets the position of an open file; lseek(2).",
    "lstat": "Tells the attributes of a file or link; lstat(2).",
    "makedirs": "Makes a directory, and those above it that are missing; mkdir(2).",
    "mkdir": "Makes a directory; mkdir(2).",
    "mkfifo": "Makes a FIFO; mkfifo(3).",
    "mknod": "Makes a file, device or FIFO; mknod(2).",
    "open": "Opens a file as a descriptor, which is the caller's to close; open(2).",
    "pathconf": "Tells a limit of a file; pathconf(3).",
    "posix_fadvise": "Announces how an open file will be read; posix_fadvise(2).",
    "posix_fallocate": "Takes space for an open file; posix_fallocate(3).",
    "pread": "Reads at an offset; pread(2).",
    "preadv": "Reads at an offset into buffers; preadv2(2).",
    "pwrite": "Writes at an offset; pwrite(2).",
    "pwritev": "Writes buffers at an offset; pwritev2(2).",
    "read": "Reads from a descriptor; read(2). What a cancelled call reads from a pipe is lost.",
    "readinto": "Reads from a descriptor into a buffer; read(2).",
    "readlink": "Tells where a symbolic link leads; readlink(2).",
    "readv": "Reads from a descriptor into buffers; readv(2).",
    "remove": "Removes a file; unlink(2).",
    "removedirs": "Removes a directory, and those above it that are then empty; rmdir(2).",
    "removexattr": "Removes an extended attribute; removexattr(2).",
    "rename": "Renames a file or directory; rename(2).",
    "renames": "Renames, making and removing the directories above as needed; rename(2).",
    "replace": "Renames a file or directory, replacing what has the name; rename(2).",
    "rmdir": "Removes an empty directory; rmdir(2).",
    "sendfile": "Copies from a file to a descriptor inside the kernel; sendfile(2).",
    "setxattr": "Sets an extended attribute; setxattr(2).",
    "splice": "Moves data between a pipe and a descriptor; splice(2).",
    "stat": "Tells the attributes of a file; stat(2).",
    "statvfs": "Tells the state of a file system; statvfs(3).",
    "statx": "Tells the attributes of a file that are asked for; statx(2).",
    "symlink": "Makes a symbolic link; symlink(2).",
    "sync": "Brings everything to the devices; sync(2).",
    "truncate": "Sets the size of a file; truncate(2).",
    "unlink": "Removes a file; unlink(2).",
    "utime": "Sets the times of a file; utimensat(2).",
    "write": "Writes to a descriptor; write(2).",
    "writev": "Writes buffers to a descriptor; writev(2).",
}

_WAYS = {
    "close": unstoppable,
    "open": acquiring_descriptor,
    **dict.fromkeys(
        ("preadv", "pwrite", "pwritev", "readinto", "readv", "setxattr", "write", "writev"), lending
    ),
}

_made = coroutine_functions("os", __name__, _LINES, _WAYS)
globals().update(_made)

__all__ = ["DirEntry", "path", "scandir", "walk", "wrap"]
__all__ += list(_made)

if hasattr(_os, "fwalk"):
    from ._walk import fwalk as fwalk

    __all__ += ["fwalk"]

# As in `import os.path`.
_sys.modules[f"{__name__}.path"] = path
