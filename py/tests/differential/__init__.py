"""One sequence of actions, played on a file of `io` and on one of ours."""
