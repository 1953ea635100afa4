"""The command `modelfetch`, also as `python -m modelfetch`."""

import signal

from modelfetch import program


def run() -> None:
    """Run the command. Ctrl-C before there is anything to stop ends it as it ends other programs: without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    program.refuse_plugins()
    # Here, not above: importing takes a while, and people are quick.
    with program.importing():
        from modelfetch.cli.main import main
    with program.ending():
        main(prog_name="modelfetch")


if __name__ == "__main__":
    run()
