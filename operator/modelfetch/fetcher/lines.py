"""Lines of output, written at once. Where nobody reads any more, or a full disk takes no more, the work goes on."""

import os
from typing import TextIO


def write_line(stream: TextIO, line: str) -> None:
    """Write `line` and flush it; after an error (the reader has gone), everything written to `stream` is dropped."""
    try:
        stream.write(f"{line}\n")
        stream.flush()
    except OSError:
        # What is still buffered would fail once more when Python closes the stream at its end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
