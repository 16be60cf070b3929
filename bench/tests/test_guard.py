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
def test_of_runs_of_one_tree_that_differ_nothing_can_be_said_and_that_is_no_failure(
    now: tuple[float, float], before: tuple[float, float]
) -> None:
    unsteady = compared(now, before)
    assert unsteady.verdict == "nothing can be said"
    assert compare.exit_status([unsteady]) == 0
    assert "Nothing can be said about readline:" in compare.summary([unsteady])


def test_a_case_that_is_slower_in_every_run_is_so_even_where_they_differ() -> None:
    slower = compared((1200.0, 1300.0))
    assert compare.exit_status([slower]) == 1
    assert compare.summary([slower]) == "5% more instructions than before, or more than that: readline."


def test_a_case_that_is_slower_only_than_some_runs_of_before_is_not_shown_to_be() -> None:
    assert compared((1060.0, 1100.0), (1000.0, 1020.0)).verdict == "nothing can be said"


def test_the_two_least_runs_say_whether_a_tree_is_steady() -> None:
    one = compare.Comparison("readline", (1300.0, 1000.0, 1001.0), (1000.0, 1250.0, 1000.0))
    assert (one.verdict, round(one.change, 9), round(one.spread, 9)) == ("ok", 0, 0.001)


def test_trees_are_counted_again_until_they_are_steady() -> None:
    now, before = iter([1400.0, 1200.0, 1001.0, 1000.0]), iter([1000.0] * 4)
    (one,) = compare.settled(lambda: {"readline": next(now)}, lambda: {"readline": next(before)})
    assert (one.verdict, len(one.now), len(one.before)) == ("ok", 4, 4)


def test_trees_that_are_steady_are_counted_twice() -> None:
    now, before = iter([1050.0] * 2), iter([1000.0] * 2)
    (one,) = compare.settled(lambda: {"readline": next(now)}, lambda: {"readline": next(before)})
    assert one.verdict == "SLOWER"


def test_a_tree_that_is_never_steady_is_given_up() -> None:
    now, before = iter([1000.0 * 1.1**number for number in range(9)]), iter([1000.0] * 9)
    (one,) = compare.settled(lambda: {"readline": next(now)}, lambda: {"readline": next(before)})
    assert (one.verdict, len(one.now)) == ("nothing can be said", compare.MOST_RUNS)


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
