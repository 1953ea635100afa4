"""The command line: `modelfetch pull` and its relatives."""
