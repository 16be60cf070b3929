"""What the guard says about counts, without counting any."""

from __future__ import annotations

import pytest
from bench.guard import compare, counting, workload


def compared(now: tuple[float, float], before: tuple[float, float] = (1000.0, 1000.0)) -> compare.Comparison:
    (one,) = compare.comparisons(
        [{"readline": now[0]}, {"readline": now[1]}], [{"readline": before[0]}, {"readline": before[1]}]
    )
    return one


def test_five_per_cent_more_instructions_fail() -> None:
    slower = compared((1050.0, 1050.0))
    assert slower.verdict == "SLOWER"
    assert compare.exit_status([compared((1000.0, 1000.0)), slower]) == 1


def test_less_than_five_per_cent_more_pass() -> None:
    assert compared((1049.0, 1049.0)).verdict == "ok"
    assert compare.exit_status([compared((1049.0, 1049.0))]) == 0


def test_fewer_instructions_pass() -> None:
    assert compare.exit_status([compared((500.0, 500.0))]) == 0


@pytest.mark.parametrize(
    ("now", "before"), [((1006.0, 1000.0), (1000.0,) * 2), ((1000.0,) * 2, (1000.0, 1006.0))]
)
def test_two_runs_of_one_tree_that_differ_are_no_verdict(
    now: tuple[float, float], before: tuple[float, float]
) -> None:
    assert compared(now, before).verdict == "UNSTEADY"
    assert compare.exit_status([compared(now, before)]) == 2


def test_a_case_that_is_slower_is_so_even_where_two_runs_differ() -> None:
    assert compare.exit_status([compared((1200.0, 1300.0))]) == 1


def test_the_table_shows_what_changed_and_by_how_much() -> None:
    (line,) = compare.table([compared((1100.0, 1111.0))]).rows
    assert line == ["readline", "1,000", "1,100", "+10.00%", "1.00%", "SLOWER"]


def test_the_least_repeat_counts_without_the_marks_and_without_the_first() -> None:
    totals = []
    for name in workload.NAMES:
        cost = 0 if name == "empty" else 7 * workload.OPERATIONS[name]
        repeats = [1, *([cost + 90] * (workload.REPEATS - 1)), cost + 50]
        for repeat in repeats:
            # What lies between two cases counts for none.
            totals += [123_456, 50 if name == "empty" else repeat]
    assert counting.per_operation(totals) == {name: 7 for name in workload.NAMES if name != "empty"}


def test_a_mark_that_is_missing_is_an_error() -> None:
    with pytest.raises(counting.CountingError):
        counting.per_operation([1, 2, 3])


@pytest.mark.parametrize(
    ("dump", "total"), [("x\nsummary: 12\n", 12), ("totals: 34\n", 34), ("events: Ir\n", 0)]
)
def test_a_dump_without_a_total_counted_nothing(dump: str, total: int) -> None:
    assert counting.total_of(dump) == total
