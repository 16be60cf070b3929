"""In which order the competitors of a round run."""

from __future__ import annotations


def of_round(names: list[str], number: int) -> list[str]:
    """One later at the start every round, and backwards in every second one: nobody keeps a neighbour."""
    start = number % len(names)
    rotated = names[start:] + names[:start]
    return rotated if number % 2 == 0 else rotated[::-1]
