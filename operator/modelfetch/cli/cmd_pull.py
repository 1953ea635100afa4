"""The command line of `modelfetch pull SOURCE STORE`: options and help, nothing else, so that help is quick.

Comes in: arguments. Goes out: the exit code that pulling.py returns.
"""

import sys
from typing import Any

import click

from modelfetch import program

EXAMPLES = """\b
Examples:
  modelfetch pull hf://sentence-transformers/all-MiniLM-L6-v2 ~/models
  modelfetch pull hf://org/name@v1.0 ~/models --include '*.safetensors' --include '*.json'
  modelfetch pull hf://datasets/org/name ~/models --token-file ~/hf-token
  modelfetch pull https://host.example/model.gguf ~/models --checksum model.gguf=sha256:9f86d0...
  modelfetch pull hf://org/name ~/models --endpoint http://127.0.0.1:8080 \\
      --allow-http --allow-port 8080 --allow-network 127.0.0.0/8

\b
Run it again at any time: what is verified stays, only what is missing is fetched.

\b
Exit codes:
  0        published: every file is verified and durable
  2        the command line was not understood
  10-19    source or options: 10 SpecInvalid, 11 SourceUnsupported, 12 URLNotAllowed,
           13 RedirectRejected, 14 TLSVerificationFailed, 15 SourceNotFound,
           16 RevisionNotFound, 17 SourceUnauthorized, 18 SourceForbidden,
           19 GatedAccessRequired
  20-29    source, may pass: 20 RateLimited, 21 SourceUnavailable, 22 SourceChanged,
           23 SourceStalled
  30-39    bytes: 30 ChecksumMismatch, 31 SizeMismatch, 32 SizeLimitExceeded,
           33 TooManyFiles, 34 PathRejected, 35 LinkRejected, 36 FormatNotAllowed
  40-49    store: 40 InsufficientStorage, 42 StorageReadOnly, 43 StorageIOError,
           44 StorageUnsuitable, 45 StoreCorrupt, 46 QuotaExceeded,
           47 StorageUnavailable
  51       the token is empty or not text
  58, 59   deadline exceeded; stopped by Ctrl-C or SIGTERM (a second one ends it at once)
  61, 70   a newer store; a defect of modelfetch"""


@click.command(epilog=EXAMPLES)
@click.argument("source")
@click.argument("store")
@click.option("--name", metavar="N", help="Name of the model in the store.  [default: last part of SOURCE]")
@click.option("--revision", metavar="R", help="Branch, tag or commit of an hf:// source.  [default: main]")
@click.option("--include", multiple=True, metavar="G", help="Fetch only files that match; '*' also matches '/'.")
@click.option("--exclude", multiple=True, metavar="G", help="Leave these files out; applied after --include.")
@click.option(
    "--checksum", multiple=True, metavar="PATH=sha256:HEX", help="Digest that a file must have; wins over the source's."
)
@click.option(
    "--endpoint", metavar="URL", help="Address of the hub.  [default: $HF_ENDPOINT or https://huggingface.co]"
)
@click.option(
    "--token-file",
    metavar="F",
    help="File with a token, - for standard input; sent to the source's own address only.  "
    "[default: $HF_TOKEN for hf:// sources]",
)
@click.option("--max-file-size", metavar="S", help="Largest file: bytes, or a number with KB MB GB KiB MiB GiB.")
@click.option("--max-total-size", metavar="S", help="All files together, in the same form.")
@click.option("--max-files", metavar="N", help="Number of files.  [default: 10000]")
@click.option(
    "--allow-network", multiple=True, metavar="CIDR", help="Private, loopback or link-local network to allow."
)
@click.option("--allow-port", multiple=True, metavar="N", help="Port to allow beside 80 and 443, or any.")
@click.option("--allow-http", is_flag=True, help="Allow plain http://.")
@click.option("--ca-file", metavar="F", help="Certificates (PEM) to trust instead of the system's.")
@click.option(
    "--connections", metavar="N", default="16", show_default=True,
    help="Connections at most, over all files: 1 to 64; a file starts with one, more are kept while they help.",
)  # fmt: skip
@click.option("--limit-rate", metavar="S", help="Bytes per second, over all connections, in the same form as sizes.")
@click.option(
    "--retries", metavar="N", default="5", show_default=True, help="Further tries of a failed request: 0 to 100."
)
@click.option("--deadline", metavar="D", default="24h", show_default=True, help="Time for all of it: 25s, 1h30m.")
@click.option(
    "--output", type=click.Choice(["human", "json", "quiet"]), default="human", show_default=True,
    help="json: a report a line, the last one is the result; quiet: only the path.",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show where a defect of modelfetch happened.")
def pull(source: str, store: str, output: str, verbose: bool, **options: Any) -> None:
    """Put the verified files of SOURCE into the folder STORE.

    SOURCE is hf://[datasets/]org/name[@revision][/path] or the https:// address of one file. STORE is made if it is
    missing, and can hold any number of models: files that two of them share are kept and fetched once. The model is
    then at STORE/models/local/NAME/current.

    Every file is compared with the digest of --checksum, else with that of the hub's listing. Private, loopback and
    link-local addresses, plain http and ports other than 80 and 443 are refused unless allowed.
    """
    program.share_heap()
    # Here, not above: models, libcurl and the store's code are needed only now.
    with program.importing():
        from modelfetch.cli.pulling import pull as run

    sys.exit(run(source, store, output, verbose, options))
