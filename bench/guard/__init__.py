"""`make bench-guard`: what rungs 1 and 2 cost in instructions, against the commit that this tree grew from.

A clock is too noisy for a few per cent; instructions are not. Both trees are built and counted here and now.
"""
