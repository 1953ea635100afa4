"""The token of the source, read from a mounted Secret or a file of the user; its value goes nowhere but into requests.

Comes in: a path. Goes out: the token without its line end, or FetchError(SecretKeyMissing) that says what is wrong with
the file, never what is in it.
"""

from pathlib import Path

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

TOKEN_LIMIT = 4096
"""Characters; the longest in use, JSON Web Tokens, take about 2,000."""


def read_token(path: Path) -> str:
    """Return the token in the file `path`; raises FetchError(SecretKeyMissing)."""
    try:
        with path.open("rb") as file:
            data = file.read(TOKEN_LIMIT + 3)
    except OSError as error:
        raise _missing(f"expected a token in '{path.name}', got no readable file ({error.strerror})") from None
    return parse_token(data, f"'{path.name}'")


def parse_token(data: bytes, where: str) -> str:
    """Return the token in `data`; `where` names its place in messages. Raises FetchError(SecretKeyMissing)."""
    text = data.removesuffix(b"\n").removesuffix(b"\r")
    if not text.strip():
        raise _missing(f"expected a token in {where}, got an empty text")
    if len(text) > TOKEN_LIMIT:
        raise _missing(f"expected a token of at most {TOKEN_LIMIT} characters in {where}, got more")
    if not all(0x21 <= byte <= 0x7E for byte in text):
        raise _missing(f"expected a token of printable characters in {where}, got spaces, line ends or binary content")
    return text.decode("ascii")


def _missing(message: str) -> FetchError:
    return FetchError(Reason.SECRET_KEY_MISSING, message)
