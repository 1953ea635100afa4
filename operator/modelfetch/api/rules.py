"""Rules that are CEL and Python at once, and the unsafe characters and tokens that no text may hold.

A `Rule` stands on a model (in `RULES`) or on a text (in `Annotated`); the CRD gets its `cel` through api/schema.py,
pydantic runs its `holds`, and a test asks the real API server and pydantic for the same verdict on its examples.
The regular expressions of Python, pydantic and the API server differ in `\\s`, `\\d`, `\\b` and `$`: the patterns of
this package use none of the first three, and `$` only where it ends the whole pattern of a StringConstraints.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

CEL_KEY = "x-kubernetes-validations"

_TURNING = "\u202a-\u202e\u2066-\u2069"  # bidirectional overrides and isolates
_UNSEEN = (
    "\\x00-\\x1f\\x7f-\\x9f"  # control characters
    "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # spaces that are not U+0020, ends of lines
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2064"  # nothing to see
    "\u3164\ufe00-\ufe0f\ufeff\uffa0"
    f"{_TURNING}\u206a-\u206f"
    "\ufff0-\uffff\U000e0000-\U000e0fff"  # specials and tags
)
_UNSEEN_IN_TEXT = f"\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f{_TURNING}"

TOKEN_PATTERN = (
    "hf_[A-Za-z0-9]{16}|gh[opsur]_[A-Za-z0-9]{16}|github_pat_[A-Za-z0-9_]{16}|glpat-[A-Za-z0-9_-]{16}"
    "|xox[abeoprs]-[A-Za-z0-9-]{16}|AKIA[A-Z0-9]{16}|eyJ[A-Za-z0-9_-]{8,}[.][A-Za-z0-9_-]{8,}"
    "|-----BEGIN [A-Z ]{0,32}PRIVATE KEY"
)
"""What looks like a secret. Sixteen characters and more, so that words such as hf_transfer stay allowed."""


@dataclass(frozen=True)
class Rule:
    """A rule about one object or text, once for the API server and once for Python.

    `cel` and `holds` mean the same. `accepted` and `refused` are values that the rule stands on, as written in YAML,
    one of each at least. A rule whose `cel` names `oldSelf` compares with the stored value: its examples are pairs
    (stored, new), and `holds` takes (new, stored) and runs only in `check_change`.
    """

    cel: str
    message: str
    holds: Callable[..., bool]
    accepted: tuple[Any, ...]
    refused: tuple[Any, ...]

    @property
    def is_transition(self) -> bool:
        """True for a rule that compares with the stored object."""
        return "oldSelf" in self.cel

    def as_validation(self) -> dict[str, str]:
        """Return the rule as an entry of x-kubernetes-validations."""
        return {"rule": self.cel, "message": self.message}

    def check(self, value: Any) -> Any:
        """Return `value`; raises ValueError when it breaks the rule."""
        if not self.holds(value):
            raise ValueError(self.message)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Run the rule after the type it annotates."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Write the rule into the JSON schema of the type it annotates."""
        schema = handler(core)
        return schema | {CEL_KEY: [*schema.get(CEL_KEY, []), self.as_validation()]}


def matching(pattern: str, message: str, accepted: tuple[str, ...], refused: tuple[str, ...]) -> Rule:
    """Return the rule that a text matches `^...$`: instead of `pattern`, where the message is to be readable."""
    # Compiled (and kept by `re`) when it is first needed: a fetch meets few of the rules.
    return Rule(
        f"self.matches(r'{pattern}')", message, lambda t: re.fullmatch(pattern, t) is not None, accepted, refused
    )


NO_TOKEN = Rule(
    cel=f"!self.matches('{TOKEN_PATTERN}')",
    message="must not hold what looks like a token or key: put it into a Secret and name that in spec.auth.secretRef",
    holds=lambda text: re.search(TOKEN_PATTERN, text) is None,
    accepted=("hf_transfer",),
    refused=("hf_" + "a" * 34,),
)


def _in_ascii(characters: str) -> str:
    # Server-side apply (Helm, Flux, kubectl) sends JSON that the API server reads as YAML, which refuses a raw U+FFFF.
    return "".join(c if c.isascii() else f"\\x{{{ord(c):x}}}" for c in characters)


VISIBLE = Rule(
    cel=f"!self.matches(r'[{_in_ascii(_UNSEEN)}]')",
    message="must not hold control characters, characters that nobody sees, or spaces other than ' '",
    holds=lambda text: re.search(f"[{_UNSEEN}]", text) is None,
    accepted=("modèle", "模型"),
    refused=tuple(f"a{character}b" for character in "\0\n\r\t\x7f\x85\u00a0\u200b\u202e\u2066\u2028\ufeff\U000e0041"),
)
VISIBLE_TEXT = Rule(
    cel=f"!self.matches(r'[{_in_ascii(_UNSEEN_IN_TEXT)}]')",
    message="must not hold control characters or characters that turn the text around",
    holds=lambda text: re.search(f"[{_UNSEEN_IN_TEXT}]", text) is None,
    accepted=("two\nlines", "\u2764\ufe0f", ""),
    refused=("\0", "a\x1b[31m", "\u202eabc"),
)
