"""`kubectl get` without kubectl: the API server is asked for its table, and the table is set in columns.

Comes in: a client, a kind, a namespace. Goes out: the lines that kubectl would print, the wide columns on request.
"""

from dataclasses import dataclass

from modelfetch.kube.client import Kube, Object
from modelfetch.kube.objects import Resource

_AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_GAP = "   "


@dataclass(frozen=True)
class Table:
    """Column names and rows of text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def lines(self) -> list[str]:
        """Return the table as kubectl sets it: columns as wide as their widest cell."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        return [
            _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (self.head, *self.rows)
        ]


async def get_table(kube: Kube, resource: Resource, namespace: str, *, wide: bool = False) -> Table:
    """Return what `kubectl get` shows of a kind in a namespace; raises KubeError."""
    return read_table(await kube.raw(resource.path(namespace), accept=_AS_TABLE), wide=wide)


def read_table(body: Object, *, wide: bool) -> Table:
    """Return the API server's table with the columns that are shown."""
    columns = body["columnDefinitions"]
    shown = [n for n, column in enumerate(columns) if wide or not column.get("priority")]
    return Table(
        head=tuple(str(columns[n]["name"]).upper() for n in shown),
        rows=tuple(tuple(_text(row["cells"][n]) for n in shown) for row in body.get("rows") or ()),
    )


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)
