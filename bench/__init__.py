"""Measures aiofile against `io` and the other libraries, and afx against the usual commands.

Every figure is a ratio of two measurements of the same round. `make bench ARGS="--help"` lists the options.
"""
