"""The command line of `modelfetch store`: options and help, nothing else, so that help is quick.

Comes in: arguments. Goes out: the exit code that storing.py returns.
"""

import sys
from collections.abc import Callable
from typing import Any

import click

from modelfetch import program

Command = Callable[..., None]

VERIFY_HELP = """\b
How it looks:
  quick     large blobs by the BLAKE3 sums beside them (about ten times as fast as SHA-256),
            small ones, and those without sums, by SHA-256; missing sums are then written
  --full    every blob by SHA-256, sums as well

\b
Examples:
  modelfetch store verify ~/models
  modelfetch store verify ~/models --full --subset 3/7     a seventh each day of the week
  modelfetch store verify ~/models --resume                go on where the last one was stopped
  modelfetch store verify /mnt/models -o json | jq '.findings[] | select(.kind == "corrupt")'

\b
Exit codes, which add up where there are findings of several kinds:
  0    everything that was read is what it should be
  1    corrupt, wrong-size, swapped: content that must not be used
  4    missing: something refers to it
  8    unreadable: the storage gave an error
  16   wrong-link, wrong-mode
  64   extra, wrong-hint: of no use, in nobody's way
Other ends, never a sum of these:
  2        the command line was not understood
  10       an option's value; 43 StorageIOError; 44 no store; 45 store.json is unreadable
  59       stopped; 61 a newer store; 70 a defect of modelfetch"""

GC_HELP = """\b
Kept is whatever a published revision, a pin or an attempt at work refers to. What nothing refers
to goes once it is older than --grace: private files of dead attempts, manifests without a
revision, blobs without a manifest; then hints of blobs that are gone, and the trash.
Nothing goes while a manifest is unreadable or lost, on a newer store, or where there is no store.

\b
Examples:
  modelfetch store gc ~/models --dry-run
  modelfetch store gc ~/models --yes --grace 24h

\b
Exit codes:
  0        done, or nothing to do
  2        the command line was not understood: --dry-run or --yes is needed
  10       an option's value; 42 StorageReadOnly; 43 StorageIOError
  44       no store; 45 a manifest or store.json is unreadable; 61 a newer store"""

EXAMPLES = """\b
Examples:
  modelfetch store ls ~/models                what is published
  modelfetch store du ~/models                what takes the room
  modelfetch store verify ~/models            whether it is what it should be
  modelfetch store gc ~/models --dry-run      what could go

\b
STORE is the folder with store.json: that of `modelfetch pull`, or spec.path on the volume of a
ModelStore. verify, ls and du work while fetches run, and on read-only volumes."""

LS_HELP = """\b
-o wide adds policy, license, source, commit and manifest. -o name: NAMESPACE/NAME/REVISION.
A value that the store does not tell, because a manifest or record is unreadable, is -."""

DU_HELP = """\b
APPARENT counts each file of each revision. UNIQUE is what only this model has and would free.
SHARED is what other models have, too. Below: blobs that no manifest lists, private files of
attempts, trash, and what is free on the volume."""


def _output(*formats: str) -> Callable[[Command], Command]:
    return click.option(
        "-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help="How to show it."
    )


@click.group(epilog=EXAMPLES)
def store() -> None:
    """Look after a store: list it, measure it, verify it, free its room."""


@store.command(epilog=VERIFY_HELP)
@click.argument("store")
@click.option("--full", "is_full", is_flag=True, help="Read every blob by SHA-256.")
@click.option(
    "--subset", metavar="N/T", help="Read the N-th of T parts of the blobs; names and links are all looked at."
)
@click.option("--threads", metavar="N", help="Blobs or segments read at once.  [default: the processors it may use]")
@click.option("--resume", is_flag=True, help="Go on where the last look of this kind was stopped.")
@click.option(
    "--state",
    metavar="FILE",
    help="Where it is kept which blobs are intact.  [default: verify/ in $MODELFETCH_CACHE, else ~/.cache/modelfetch]",
)
@click.option("--repair", is_flag=True, help="Set damaged blobs aside, so that the next fetch brings them again.")
@_output("table", "json")
@click.option("-v", "--verbose", is_flag=True, help="Show where a defect of modelfetch happened.")
def verify(store: str, output: str, verbose: bool, **options: Any) -> None:
    """Compare everything in STORE with what it should be.

    Every manifest, record, link, mode and name is looked at, and blobs are read. Nothing is changed but sums, and with
    --repair damaged blobs, which go to trash/.
    """
    # Here, not above: models and the store's code are needed only now.
    with program.importing():
        from modelfetch.cli.storing import verify as run

    sys.exit(run(store, output, verbose, options))


@store.command(epilog=LS_HELP)
@click.argument("store")
@_output("table", "wide", "json", "name")
@click.option("-v", "--verbose", is_flag=True, help="Show where a defect of modelfetch happened.")
def ls(store: str, output: str, verbose: bool) -> None:
    """List the published revisions in STORE."""
    with program.importing():
        from modelfetch.cli.storing import ls as run

    sys.exit(run(store, output, verbose))


@store.command(epilog=DU_HELP)
@click.argument("store")
@_output("table", "json")
@click.option("-v", "--verbose", is_flag=True, help="Show where a defect of modelfetch happened.")
def du(store: str, output: str, verbose: bool) -> None:
    """Show what takes the room in STORE."""
    with program.importing():
        from modelfetch.cli.storing import du as run

    sys.exit(run(store, output, verbose))


@store.command(epilog=GC_HELP)
@click.argument("store")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show the plan only.")
@click.option("--yes", "is_sure", is_flag=True, help="Show the plan and carry it out.")
@click.option(
    "--grace", metavar="D", default="168h", show_default=True, help="How long unused things are kept: 90m, 24h."
)
@_output("table", "json")
@click.option("-v", "--verbose", is_flag=True, help="Show where a defect of modelfetch happened.")
def gc(store: str, output: str, verbose: bool, is_dry: bool, is_sure: bool, grace: str) -> None:
    """Free the room in STORE that nothing needs.

    The plan is shown first. What it names is moved to trash/, then everything is looked at once more: what has found a
    use goes back, the rest is deleted.
    """
    if is_dry == is_sure:
        raise click.UsageError("Give one of --dry-run (show the plan) and --yes (carry it out).")
    with program.importing():
        from modelfetch.cli.storing import gc as run

    sys.exit(run(store, output, verbose, is_dry, grace))
