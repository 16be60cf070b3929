"""What a figure depends on besides the code."""

from __future__ import annotations

import os
import platform
from pathlib import Path

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
CPU_INFO = Path("/proc/cpuinfo")


def huge_pages() -> str:
    """The setting in brackets: always, madvise or never."""
    try:
        setting = HUGE_PAGES.read_text()
    except OSError:
        return "unknown"
    return setting.partition("[")[2].partition("]")[0]


def processor() -> str:
    """The name that the kernel gives it."""
    try:
        names = [line for line in CPU_INFO.read_text().splitlines() if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def description() -> dict[str, str]:
    """One entry per line of the report's heading."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "cpus": f"{os.cpu_count()} x {processor()}",
        "transparent huge pages": huge_pages(),
    }
