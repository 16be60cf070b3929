"""Runs a command as a container does: with io_uring denied by a seccomp filter.

    python3 deny_uring.py ERRNO CALL[,CALL...] COMMAND [ARGUMENT...]

CALL is setup, enter or register; each fails with ERRNO (EPERM, ENOSYS, ...) for the command and all
its children. Works on x86_64 and aarch64, without privileges.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NoReturn

# The same numbers on every architecture: they are newer than the common table.
CALLS = {"setup": 425, "enter": 426, "register": 427}

# <linux/audit.h>: system call numbers mean something only together with these.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# <linux/filter.h>: load a word, jump if equal, return.
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06

# <linux/seccomp.h>: where the word lies in struct seccomp_data, and what a filter answers.
NUMBER_AT, ARCHITECTURE_AT = 0, 4
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

# <linux/prctl.h>
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One struct sock_filter."""
    return struct.pack("HBBI", code, if_true, if_false, value)


def build(calls: list[int], error: int) -> bytes:
    """A filter that fails ``calls`` with ``error`` and allows everything else.

    Args:
        calls: System call numbers, at most 255.
        error: The errno that they fail with.

    Returns:
        The instructions. The last two allow and deny; jumps are counted from the one behind them.
    """
    architecture = ARCHITECTURES[platform.machine()]
    program = [
        instruction(LOAD, ARCHITECTURE_AT),
        instruction(JUMP_IF_EQUAL, architecture, if_false=len(calls) + 1),
        instruction(LOAD, NUMBER_AT),
    ]
    for index, call in enumerate(calls):
        program.append(instruction(JUMP_IF_EQUAL, call, if_true=len(calls) - index))
    program.append(instruction(RETURN, ALLOW))
    program.append(instruction(RETURN, ERRNO | error))
    return b"".join(program)


def install(program: bytes) -> None:
    """Puts the filter on this process, for good.

    Raises:
        OSError: The kernel takes no filters.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    memory = ctypes.create_string_buffer(program, len(program))
    described = Program(len(program) // 8, ctypes.cast(memory, ctypes.c_void_p))
    # Without this, only root may install one.
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(described), 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def main(arguments: list[str]) -> NoReturn:
    """Installs the filter and becomes the command."""
    if len(arguments) < 3:
        sys.exit(__doc__)
    name, calls, *command = arguments
    install(build([CALLS[call] for call in calls.split(",")], getattr(errno, name)))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
