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


def engine() -> str:
    """The one that ours runs on here, and why."""
    try:
        import aiofile

        info = aiofile.backend_info()
    except (ImportError, AttributeError) as error:
        return f"unknown: {error}"
    return f"{info['engine']}: {info['reason']}"


def description() -> dict[str, str]:
    """What the report's heading names."""
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "CPUs": f"{os.cpu_count()} x {processor()}",
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
        "transparent huge pages": huge_pages(),
        "engine": engine(),
    }
