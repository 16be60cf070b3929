"""python -m bench [--only NAMES] [--rounds N] [--libraries NAMES] [--no-loop] [--csv DIR] [--list]."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import commands, environments, limits, machine, monoio, report, runner
from bench.cases import BY_NAME, CASES
from bench.data import Data

if TYPE_CHECKING:
    from bench.commands import CommandRow
    from bench.environments import Library
    from bench.limits import Figure
    from bench.runner import Row

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / ".bench"
COMMAND_NAMES = [command.name for command in commands.COMMANDS]
LIMIT_NAMES = [limit.name for limit in limits.LIMITS]
ALL_NAMES = [*BY_NAME, *LIMIT_NAMES, *COMMAND_NAMES]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measure against io and the other libraries.")
    parser.add_argument("--only", type=names, default=ALL_NAMES, metavar="NAMES")
    parser.add_argument("--libraries", type=names, metavar="NAMES", help="besides io, e.g. ours,ayafileio")
    parser.add_argument("--rounds", type=int, help="instead of 5, or 11 where files are written")
    parser.add_argument("--no-loop", action="store_true", help="leave out how long the loop is held")
    parser.add_argument("--csv", type=Path, metavar="DIR", help="write bench.csv and bench.md there")
    parser.add_argument("--list", action="store_true", help="print the names of all cases")
    chosen = parser.parse_args()
    unknown = set(chosen.only) - {*ALL_NAMES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; --list shows them")
    return chosen


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def find_libraries(wanted: list[str] | None, engine: str) -> list[Library]:
    """Those that can be had here; one line for each that cannot."""
    rivals, missing = environments.rivals(FOLDER)
    for line in missing:
        print(line)
    found = environments.own_libraries(engine) + rivals
    always = {"io", "io-again"}
    return [library for library in found if wanted is None or library.name in always | set(wanted)]


def measure_rows(chosen: argparse.Namespace, libraries: list[Library]) -> list[Row]:
    """Says what it does, for those who wait."""
    rows = []
    for case in (case for case in CASES if case.name in chosen.only):
        progress(f"measuring {case.title}")
        rows.append(
            runner.run_case(case, libraries, FOLDER / "data", REPOSITORY, chosen.rounds, not chosen.no_loop)
        )
    return rows


def measure_limits(chosen: argparse.Namespace, libraries: list[Library], engine: str) -> list[Figure]:
    engines = environments.own_engines(engine)
    wanted = {name: engines[name] for name in engines if name in {library.name for library in libraries}}
    figures = []
    for limit in (limit for limit in limits.LIMITS if limit.name in chosen.only and wanted):
        progress(f"measuring {limit.title}")
        Data(FOLDER / "data").big()
        figures.append(limits.measure(limit, wanted, FOLDER / "data"))
    return figures


def measure_commands(chosen: argparse.Namespace) -> list[CommandRow]:
    names = [name for name in COMMAND_NAMES if name in chosen.only]
    if not names:
        return []
    progress("building afx with monoio")
    on_monoio, missing = monoio.build(REPOSITORY)
    if missing is not None:
        print(missing)
    progress("measuring the commands")
    return commands.run_commands(names, FOLDER / "data", chosen.rounds, on_monoio)


def progress(text: str) -> None:
    now = datetime.datetime.now(tz=datetime.timezone.utc)
    print(f"{now:%H:%M:%S} {text} …", flush=True)


def tables(rows: list[Row], figures: list[Figure], command_rows: list[CommandRow]) -> list[str]:
    """The report as Markdown, one piece per table."""
    columns = list(dict.fromkeys(name for row in rows for name in row.columns))
    found = []
    if rows:
        found += [report.ratio_table(rows, columns), report.threads_table(rows, columns)]
        found.append(report.held_table(rows, columns))
    found.append(report.figure_table(figures))
    found.append(report.command_table([row for row in command_rows if row.error is None]))
    out = [table.markdown() for table in found if table.rows]
    out += [report.timeout_line(row) for row in rows if row.case.name == "each-line"]
    return [*filter(None, out), report.not_met(found)]


def main() -> None:
    chosen = parse()
    if chosen.list:
        print("\n".join(ALL_NAMES))
        return
    FOLDER.mkdir(exist_ok=True)
    about = machine.description()
    engine = about["engine"].partition(":")[0]
    print("\n".join(f"{name}: {value}" for name, value in about.items()), flush=True)
    libraries = find_libraries(chosen.libraries, engine)
    rows = measure_rows(chosen, libraries)
    figures = report.figures_of(rows) + measure_limits(chosen, libraries, engine)
    command_rows = measure_commands(chosen)
    errors = report.error_lines(rows)
    errors += [f"{row.command.title}: {row.error}" for row in command_rows if row.error is not None]
    heading = ", ".join(f"{name}: {value}" for name, value in about.items())
    out = [f"{heading}.", *tables(rows, figures, command_rows), *errors]
    print("\n" + "\n\n".join(out))
    stamp = datetime.datetime.now(tz=datetime.timezone.utc).strftime("%Y-%m-%dT%H%M%SZ")
    stem = FOLDER / stamp if chosen.csv is None else chosen.csv / "bench"
    stem.parent.mkdir(parents=True, exist_ok=True)
    report.write_csv(stem.with_suffix(".csv"), rows, command_rows, figures, about)
    stem.with_suffix(".md").write_text("\n\n".join(out) + "\n", encoding="utf-8")
    shown = stem.relative_to(REPOSITORY) if stem.is_relative_to(REPOSITORY) else stem
    print(f"\nevery round: {shown}.csv; as above: {shown}.md")


if __name__ == "__main__":
    main()
