"""Benchmarks of `modelfetch` beside the tools people use today: `python -m benchmarks --help`."""
