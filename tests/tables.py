"""Tables of documents that promise tests: what goes wrong, its reasons, what is told, and the tests that show it.

In: a document with lines `| row | what | reasons | what is told | tests |`. Out: its rows, and answers about the tests
that they name.
"""

import ast
import re
from collections.abc import Container
from dataclasses import dataclass

from modelfetch.reasons import Reason
from tests.tree import ROOT

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    id: str
    what: str
    reasons: list[str]
    told: str
    tests: list[str]

    def is_true(self, beside: Container[str]) -> tuple[list[str], list[str], list[str]]:
        """Return reasons of no list (`beside` has others that count), tests that are missing, reasons nobody shows."""
        ours = [reason for reason in self.reasons if reason not in beside]
        known = {reason.value for reason in Reason}
        missing = [test for test in self.tests if not is_there(test)]
        there = [test for test in self.tests if test not in missing]
        unshown = [
            reason for reason in ours if reason in known and not any(shows(Reason(reason), test) for test in there)
        ]
        return [reason for reason in ours if reason not in known], missing, unshown


def rows(document: str, form: str) -> list[Row]:
    """Return the lines of the tables in `docs/<document>` whose first cell has this form."""
    cells = re.compile(rf"^\| ({form}) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
    found = cells.findall((ROOT / "docs" / document).read_text())
    return [
        Row(name, what, _CODE.findall(reasons), told, _CODE.findall(tests))
        for name, what, reasons, told, tests in found
    ]


def is_there(test: str) -> bool:
    """Return whether there is a test of the name `path::function`."""
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    body = ast.parse((ROOT / path).read_text()).body
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in body)


def shows(reason: Reason, test: str) -> bool:
    """Return whether the file of a test expects this reason."""
    text = (ROOT / test.partition("::")[0]).read_text()
    return f"Reason.{reason.name}" in text or f'"{reason.value}"' in text
