"""How the cost of one unit changes with what grows: file size, tasks, open files, line length.

`make bench-scaling` records docs/benchmarks/*.csv, `make bench-plots` draws them.
"""
