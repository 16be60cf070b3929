"""What the report makes of figures, without measuring any."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from bench import monoio, report
from bench.cases import BY_NAME
from bench.commands import AGAIN, COMMANDS, CommandRow, Peer
from bench.limits import Figure
from bench.runner import Column, Row


def row(**seconds: list[float]) -> Row:
    columns = {name.replace("_", "-"): Column(seconds=figures) for name, figures in seconds.items()}
    return Row(dataclasses.replace(BY_NAME["readline"], goal=2.0), columns)


def cells(table: report.Table) -> dict[str, str]:
    (line,) = table.rows
    return dict(zip(table.heading, line, strict=True))


def test_a_bar_in_a_name_ends_no_cell() -> None:
    table = report.Table(["command", "time"], [["`cat | openssl`", "1 s"]])
    assert table.markdown().splitlines()[-1] == r"| `cat \| openssl` |  1 s |"


def test_a_ratio_is_the_median_of_what_was_measured_in_the_same_round() -> None:
    measured = row(io=[1.0, 10.0, 2.0], ours=[2.0, 11.0, 3.0])
    assert measured.ratio("ours") == 1.5


def test_a_row_above_its_goal_is_not_met() -> None:
    measured = row(io=[1.0], io_again=[1.0], ours=[2.1])
    table = report.ratio_table([measured], list(measured.columns))
    assert cells(table)["met"] == "**no**"
    assert report.not_met([table]) == f"0 of 1 goals met; not met: {measured.case.title}."


def test_a_row_at_its_goal_is_met() -> None:
    measured = row(io=[1.0], io_again=[1.0], ours=[2.0])
    table = report.ratio_table([measured], list(measured.columns))
    assert cells(table)["met"] == "yes"
    assert report.not_met([table]) == "1 of 1 goals met."


def test_every_goal_that_a_table_says_yes_or_no_to_is_counted() -> None:
    seconds = {"io": [1.0], "io_again": [1.0], "ours": [2.0], "ours_threads": [3.1]}
    measured = row(**seconds, aiofiles=[9.0], ayafileio=[1.0])
    measured.control = [0.001]
    measured.columns["ours"].held_seconds = [0.005]
    figures = [Figure("f", "a figure", "ms", 1, {"ours": [2.0]}), Figure("g", "unknown", "ms", 1, {})]
    seconds_of_commands = {"cp": [1.0], f"cp{AGAIN}": [1.0], "cat": [1.0], "afx": [0.96]}
    command = dataclasses.replace(
        COMMANDS[0],
        peers=(Peer("cp", 'cp "$S" "$T"', 0.95), Peer("cat", 'cat "$S" > "$T"', 0.97)),
    )
    columns = list(measured.columns)
    tables = [
        report.ratio_table([measured], columns),
        report.threads_table([measured], columns),
        report.held_table([measured], columns),
        report.figure_table(figures),
        report.command_table([CommandRow(command, seconds_of_commands)]),
    ]
    title = measured.case.title
    assert [verdict for table in tables for verdict in table.verdicts()] == [
        (title, True),
        (f"{title}: ahead of all", False),
        (f"{title}: threads beside io_uring", False),
        (f"{title}: threads ahead of aiofiles", True),
        (f"{title}: threads ahead of ayafileio", False),
        (f"{title}: loop held", False),
        ("a figure", False),
        ("`afx copy` beside `cp`", False),
        ("`afx copy` beside `cat`", True),
    ]
    shown = "\n".join(table.markdown() for table in tables)
    assert report.not_met(tables).startswith("3 of 9 goals met; not met: ")
    assert (shown.count("yes"), shown.count("**no**")) == (3, 6)


def test_what_has_no_goal_and_what_is_level_is_not_counted() -> None:
    measured = row(
        io=[1.0], io_again=[1.05], ours=[2.0], ours_threads=[2.0], ayafileio=[1.95], aiofiles=[9.0]
    )
    measured.case = dataclasses.replace(measured.case, cold=True)
    columns = list(measured.columns)
    ratios, threads = report.ratio_table([measured], columns), report.threads_table([measured], columns)
    assert cells(ratios)["ahead of all"] == "level with ayafileio"
    measured.columns["ayafileio"].seconds = [1.0]
    threads = report.threads_table([measured], columns)
    assert cells(threads)["ahead of ayafileio"] == "**no**: ayafileio, 2.00 (no goal)"
    title = measured.case.title
    assert list(ratios.verdicts()) == [(title, True)]
    assert list(threads.verdicts()) == [(f"{title}: threads ahead of aiofiles", True)]


@pytest.mark.parametrize(
    ("rival", "said"), [(3.0, "yes"), (1.95, "level with ayafileio"), (1.0, "**no**: ayafileio, 2.00")]
)
def test_a_rival_is_ahead_only_by_more_than_io_differs_from_itself(rival: float, said: str) -> None:
    measured = row(io=[1.0], io_again=[1.05], ours=[2.0], aiofiles=[100.0], ayafileio=[rival])
    assert cells(report.ratio_table([measured], list(measured.columns)))["ahead of all"] == said


def test_a_row_without_rivals_says_nothing_about_them() -> None:
    measured = row(io=[1.0], io_again=[1.0], ours=[2.0])
    assert cells(report.ratio_table([measured], list(measured.columns)))["ahead of all"] == report.NOTHING


def test_threads_are_held_against_our_own_figures_with_io_uring() -> None:
    measured = row(io=[1.0], io_again=[1.0], ours=[2.0], ours_threads=[3.1], aiofiles=[9.0], ayafileio=[3.2])
    found = cells(report.threads_table([measured], list(measured.columns)))
    assert found["time / ours with io_uring"] == "1.55"
    assert found["≤ 1.5 if cached"] == "**no**"
    assert (found["ahead of aiofiles"], found["ahead of ayafileio"]) == ("yes", "yes")


def test_a_figure_is_met_only_if_it_is_on_every_engine() -> None:
    assert Figure("f", "f", "ms", 15, {"ours": [14.0], "ours-threads": [16.0]}).is_met() is False
    assert Figure("f", "f", "ms", 15, {"ours": [14.0], "ours-threads": [15.0]}).is_met() is True
    assert Figure("f", "f", "ms", 15, {}).is_met() is None


def test_a_hold_is_counted_above_what_a_bare_loop_suffers() -> None:
    measured = row(io=[1.0], ours=[1.0])
    measured.control = [0.001, 0.002, 0.009]
    measured.columns["ours"].held_seconds = [0.005, 0.0045, 0.050]
    found = cells(report.held_table([measured], list(measured.columns)))
    assert (found["ours"], found["≤ 2"]) == ("3.0", "**no**")


def test_the_table_is_markdown_with_cells_of_one_width() -> None:
    text = report.Table(["name", "figure"], [["a", "1"], ["long name", "12.5"]]).markdown()
    assert text.splitlines() == [
        "| name      | figure |",
        "| --------- | -----: |",
        "| a         |      1 |",
        "| long name |   12.5 |",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0"), (0.153, "0.15"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_a_figure_has_as_many_digits_as_say_something(value: float | None, text: str) -> None:
    assert report.number(value) == text


def test_the_csv_names_the_machine_in_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "bench.csv"
    report.write_csv(path, [row(io=[1.0])], [], [Figure("f", "f", "ms", 1, {"ours": [0.5]})], {"CPUs": "2"})
    assert path.read_text().splitlines() == [
        "# CPUs: 2",
        "case,library,quantity,round,value",
        'readline,io,"time per operation, s",0,1',
        "f,ours,ms,0,0.5",
    ]


def test_monoio_is_shown_beside_ours_where_it_was_measured() -> None:
    seconds = {"cp": [1.0], f"cp{AGAIN}": [1.0], "cat": [1.0], "afx": [0.5]}
    for more, shown in (({}, "-"), ({monoio.TITLE: [0.6]}, "1.20")):
        table = report.command_table([CommandRow(COMMANDS[0], seconds | more)])
        assert {line[table.heading.index("ours on monoio/ours")] for line in table.rows} == {shown}
