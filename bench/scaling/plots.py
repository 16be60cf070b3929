"""python -m bench.scaling.plots [DIR]: draws DIR/*.svg from DIR/*.csv, as `bench.scaling` records them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.scaling.records import RECORDS, Reading, load

KIB = 1024
MIB = 1024 * KIB
# The palette of Okabe and Ito, which colour-blind people can tell apart; ours are the two blues.
STYLES = {
    "io": ("io (blocking)", "#000000", "o", "--"),
    "ours": ("ours, io_uring", "#0072B2", "s", "-"),
    "ours-threads": ("ours, threads", "#56B4E9", "D", "-"),
    "ours-batches": ("ours, lines(batch=512)", "#0072B2", "P", ":"),
    "aiofiles": ("aiofiles", "#E69F00", "^", "-"),
    "aiofile": ("aiofile (caio)", "#D55E00", "v", "-"),
    "ayafileio": ("ayafileio", "#009E73", "X", "-"),
    "anyio": ("anyio", "#CC79A7", "*", "-"),
}


@dataclass(frozen=True)
class Panel:
    """One pair of axes: what is drawn of which record."""

    record: str
    title: str
    x_label: str
    y_label: str
    y: Callable[[Reading], float | None]
    bytes_on_x: bool = False
    base: int = 10
    linear: bool = False


@dataclass(frozen=True)
class Picture:
    name: str
    title: str
    panels: tuple[Panel, ...]


def milliseconds(reading: Reading) -> float:
    return reading.median * 1e3


def microseconds_per_mib(reading: Reading) -> float:
    return reading.median * 1e6 / (reading.x / MIB)


def per_second(reading: Reading) -> float:
    return 1 / reading.median


def microseconds(reading: Reading) -> float:
    return reading.median * 1e6


def kib(reading: Reading) -> float | None:
    """Below a hundred files the allocator's pages are all that is seen."""
    return reading.bytes / KIB if reading.bytes is not None and reading.x >= 100 else None


def mib_per_second(reading: Reading) -> float:
    return reading.x / MIB / reading.median


def size_panels(record: str) -> tuple[Panel, ...]:
    return (
        Panel(record, "Time", "file size", "ms per file", milliseconds, bytes_on_x=True),
        Panel(record, "Time per MiB", "file size", "µs per MiB", microseconds_per_mib, bytes_on_x=True),
    )


PICTURES = [
    Picture("size-whole", "A file read by one read(), page cache", size_panels("size-whole")),
    Picture("size-sequential", "A file read 64 KiB at a time, page cache", size_panels("size-sequential")),
    Picture(
        "tasks",
        "pread of 4 KiB by many tasks at once",
        (
            Panel("tasks-cached", "Page cache", "tasks in flight", "reads per second", per_second, base=4),
            Panel("tasks-cold", "Cold", "tasks in flight", "reads per second", per_second, base=4),
        ),
    ),
    Picture(
        "open-files",
        "Files that stay open, each having read a byte",
        (
            Panel("open-files", "Time", "open files", "µs per file", microseconds),
            Panel("open-files", "Memory", "open files", "KiB per file", kib, linear=True),
        ),
    ),
    Picture(
        "line-length",
        "async for line in f, text, page cache",
        (
            Panel("line-length", "Lines", "bytes per line", "lines per second", per_second, bytes_on_x=True),
            Panel("line-length", "Bytes", "bytes per line", "MiB/s", mib_per_second, bytes_on_x=True),
        ),
    ),
]


def size_text(value: float) -> str:
    """4096 is 4 KiB."""
    for unit, size in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", KIB)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


def plain_text(value: float) -> str:
    """0.01, 10, 10 k, 10 M."""
    for unit, size in ((" M", 1e6), (" k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def draw_panel(axes: Any, panel: Panel, folder: Path) -> None:
    for library, readings in sorted(
        load(folder / f"{panel.record}.csv").items(), key=lambda item: [*STYLES].index(item[0])
    ):
        label, colour, marker, line = STYLES[library]
        shown = [(reading.x, panel.y(reading)) for reading in readings]
        points = [(x, y) for x, y in shown if y is not None]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        ours = library.startswith("ours")
        axes.plot(
            *(xs, ys),
            label=label,
            color=colour,
            marker=marker,
            linestyle=line,
            linewidth=2.2 if ours else 1.4,
            markersize=6,
            zorder=3 if ours else 2,
        )
    axes.set_title(panel.title, fontsize=11)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.set_xscale("log", base=4 if panel.bytes_on_x else panel.base)
    axes.xaxis.set_major_locator(LogLocator(base=4 if panel.bytes_on_x else panel.base, numticks=20))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: size_text(value) if panel.bytes_on_x else f"{value:,.0f}")
    )
    if not panel.linear:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plain_text(value)))
    else:
        axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", labelrotation=45 if panel.bytes_on_x else 0)
    axes.grid(visible=True, color="#d9d9d9", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(picture: Picture, folder: Path, suffix: str = ".svg") -> Path:
    """One picture of two panels, the legend below them, on white whatever the page's own colour is."""
    figure, all_axes = pyplot.subplots(1, len(picture.panels), figsize=(11, 5), facecolor="white")
    for axes, panel in zip(all_axes, picture.panels, strict=True):
        draw_panel(axes, panel, folder)
    figure.suptitle(picture.title, fontsize=13)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    path = folder / f"{picture.name}{suffix}"
    figure.savefig(path, metadata={"Date": None} if suffix == ".svg" else None)
    pyplot.close(figure)
    return path


def main(folder: Path = RECORDS, suffix: str = ".svg") -> None:
    # The same record gives the same file.
    mpl.rcParams["svg.hashsalt"] = "bench"
    for picture in PICTURES:
        if all((folder / f"{panel.record}.csv").exists() for panel in picture.panels):
            print(draw(picture, folder, suffix))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDS, *sys.argv[2:3])
