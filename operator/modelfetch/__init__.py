"""modelfetch: say which model you need, get its verified bytes on a volume.

The package holds four programs (operator, fetcher, command line, embedded cluster) on one set of layers;
docs/architecture.md draws the map. The version below is the only place that says it.
"""

__version__ = "0.1.0"
