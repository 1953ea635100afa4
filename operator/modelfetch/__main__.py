"""`python -m modelfetch` is the command `modelfetch`."""

from modelfetch.cli.main import main

main(prog_name="modelfetch")
