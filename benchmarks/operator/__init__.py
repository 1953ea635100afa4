"""The operator beside plain Kopf handlers on a real API server: `python -m benchmarks.operator --help`."""
