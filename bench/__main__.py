"""python -m bench [--only NAMES] [--rounds N] [--libraries NAMES] [--no-loop] [--list]."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import commands, environments, footprint, machine, report, runner
from bench.cases import BY_NAME, CASES

if TYPE_CHECKING:
    from bench.commands import CommandRow
    from bench.environments import Library
    from bench.runner import Row

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / ".bench"
COMMAND_NAMES = [command.name for command in commands.COMMANDS]
ALL_NAMES = [*BY_NAME, *(item.name for item in footprint.FOOTPRINTS), *COMMAND_NAMES]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measure against io and the other libraries.")
    parser.add_argument("--only", type=names, default=ALL_NAMES, metavar="NAMES")
    parser.add_argument("--libraries", type=names, metavar="NAMES", help="besides io, e.g. ours,ayafileio")
    parser.add_argument("--rounds", type=int, help="instead of 5, or 11 where files are written")
    parser.add_argument("--no-loop", action="store_true", help="leave out how long the loop is held")
    parser.add_argument("--list", action="store_true", help="print the names of all cases")
    chosen = parser.parse_args()
    unknown = set(chosen.only) - {*ALL_NAMES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; --list shows them")
    return chosen


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def find_libraries(wanted: list[str] | None) -> list[Library]:
    """Those that can be had here; one line for each that cannot."""
    rivals, missing = environments.rivals(FOLDER)
    for line in missing:
        print(line)
    found = environments.own_libraries() + rivals
    always = {"io", "io-again"}
    return [library for library in found if wanted is None or library.name in always | set(wanted)]


def describe() -> dict[str, str]:
    """The machine and the engine that `ours` runs on."""
    about = machine.description()
    try:
        import aiofile

        info = aiofile.backend_info()
        about["engine"] = f"{info['engine']}: {info['reason']}"
    except (ImportError, AttributeError) as error:
        about["engine"] = f"unknown: {error}"
    return about


def measure(chosen: argparse.Namespace, libraries: list[Library]) -> list[Row]:
    """Prints each row when it is there, for those who wait."""
    rows = []
    for case in (case for case in CASES if case.name in chosen.only):
        print(f"measuring {case.title} …", flush=True)
        rows.append(
            runner.run_case(case, libraries, FOLDER / "data", REPOSITORY, chosen.rounds, not chosen.no_loop)
        )
    return rows


def print_libraries(rows: list[Row], libraries: list[Library], out: list[str]) -> None:
    columns = [library.name for library in libraries]
    tables = [report.ratio_table(rows, columns)]
    if any(row.control for row in rows):
        tables.append(report.held_table(rows, columns))
    for table in tables:
        print("\n" + table.text())
        out.append(table.markdown())
    for row in rows:
        if row.case.name == "each-line":
            out.append(report.timeout_line(row))
            print("\n" + out[-1])
    for line in report.error_lines(rows):
        print(line)


def print_commands(rows: list[CommandRow], out: list[str]) -> None:
    measured = [row for row in rows if row.error is None]
    if measured:
        table = report.command_table(measured)
        print("\n" + table.text())
        out.append(table.markdown())
    for row in rows:
        if row.error is not None:
            print(f"{row.command.title}: {row.error}")


def main() -> None:
    chosen = parse()
    if chosen.list:
        print("\n".join(ALL_NAMES))
        return
    FOLDER.mkdir(exist_ok=True)
    about = describe()
    print("\n".join(f"{name}: {value}" for name, value in about.items()), flush=True)
    libraries = find_libraries(chosen.libraries)
    rows = measure(chosen, libraries)
    wanted = [name for name in COMMAND_NAMES if name in chosen.only]
    if wanted:
        print("measuring the commands …", flush=True)
    command_rows = commands.run_commands(wanted, FOLDER / "data", chosen.rounds)
    out = ["\n".join(f"- {name}: {value}" for name, value in about.items())]
    if rows:
        print_libraries(rows, libraries, out)
    for item in footprint.FOOTPRINTS:
        if item.name in chosen.only:
            out.append(footprint.measure(item))
            print(out[-1])
    print_commands(command_rows, out)
    stamp = datetime.datetime.now(tz=datetime.timezone.utc).strftime("%Y-%m-%dT%H%M%SZ")
    report.write_csv(FOLDER / f"{stamp}.csv", rows, command_rows, about)
    (FOLDER / f"{stamp}.md").write_text("\n\n".join(out) + "\n", encoding="utf-8")
    print(f"\nevery round: .bench/{stamp}.csv; as Markdown: .bench/{stamp}.md")


if __name__ == "__main__":
    main()
