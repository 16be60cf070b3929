"""Says whether this process may use io_uring: exit status 0, or 1 and the reason on stdout.

It asks the kernel itself and shares no code with the toolkit, so that a toolkit which wrongly falls
back to threads fails its io_uring tests instead of having them skipped.
"""

from __future__ import annotations

import ctypes
import os
import sys

# The same on every architecture that Linux gained since 5.1, x86 and arm among them.
SYS_IO_URING_SETUP = 425
SYS_IO_URING_ENTER = 426
PARAMS_BYTES = 120  # sizeof(struct io_uring_params)


def denied() -> str | None:
    """What the kernel refuses, or None."""
    if not sys.platform.startswith("linux"):
        return f"io_uring belongs to Linux, this is {sys.platform}"
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(SYS_IO_URING_SETUP, 1, ctypes.create_string_buffer(PARAMS_BYTES))
    if ring < 0:
        return f"io_uring_setup: {os.strerror(ctypes.get_errno())}"
    # A filter may allow the set-up and refuse the rest.
    entered = libc.syscall(SYS_IO_URING_ENTER, ring, 0, 0, 0, None, 0)
    error = ctypes.get_errno()
    os.close(ring)
    return None if entered == 0 else f"io_uring_enter: {os.strerror(error)}"


if __name__ == "__main__":
    reason = denied()
    if reason is not None:
        print(reason)
    sys.exit(reason is not None)
