"""The command line: `wann-search` and `wann`. The only place that prints."""
