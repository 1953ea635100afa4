"""The command `modelfetch-fetcher`, also as `python -m modelfetch.fetcher`."""

from modelfetch import program


def run() -> None:
    """Run the program."""
    program.refuse_plugins()
    program.share_heap()
    with program.importing():
        from modelfetch.fetcher.main import main
    with program.ending():
        main()


if __name__ == "__main__":
    run()
