"""What this module runs on."""

from __future__ import annotations

from typing import Any

from . import _native


def backend_info() -> dict[str, Any]:
    """Says which engine does the I/O of this process, and why.

    Returns:
        A dictionary with ``engine`` (``"uring"`` or ``"threads"``; that of this thread, if it did any
        I/O), ``reason`` (which also tells when io_uring cannot be had for now), ``version`` of this
        package, ``python``, ``kernel``, and ``foreign``: the older distribution ``aiofile``, whose
        package has the same name as this one, if it is installed beside it (None otherwise).

    Raises:
        OSError: AFX_ENGINE asks for an engine that does not work here.
        ValueError: AFX_ENGINE names no engine.
    """
    import platform

    return {
        **_native.backend(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "foreign": _foreign(),
    }


def _foreign() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"aiofile {version('aiofile')}"
    except PackageNotFoundError:
        return None
