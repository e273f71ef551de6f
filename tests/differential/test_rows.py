"""Rows are a real kube-apiserver's, cell by cell (tests/golden/rows.jsonl); what tells an age is masked."""

import json
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from kcpfront.printers.builtin import PRINTERS

ROWS = [json.loads(line) for line in (Path(__file__).parents[1] / "golden" / "rows.jsonl").read_text().splitlines()]
_AGES = ("Age", "Last Schedule", "Duration")
_AGO = re.compile(r"\([0-9dhmsy]+ ago\)")
NOW = 1.9e9


def masked(cells: list[Any], columns: list[list[Any]]) -> list[Any]:
    found = []
    # IPAddress has one cell more than columns.
    for cell, (name, *_) in zip_longest(cells, columns, fillvalue=["Age"]):
        is_age = name in _AGES and cell not in ("", "<none>")
        found.append("AGE" if is_age else _AGO.sub("AGO", cell) if isinstance(cell, str) else cell)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['resource']} {row['object']['metadata']['name'][12:]}")
def test_rows_are_kube_apiservers(row: Any) -> None:
    printer = PRINTERS[row["group"], row["resource"]]
    assert [[c.name, c.type, c.format, c.priority] for c in printer.columns] == row["columns"]
    obj = row["object"]
    assert masked(printer.cells(obj, NOW), row["columns"]) == masked(row["cells"], row["columns"])
    conditions = printer.conditions(obj) if printer.conditions else []
    assert conditions == row.get("conditions", [])


def test_every_kind_with_a_printer_of_its_own_is_among_them() -> None:
    old = {"configmaps", "events", "namespaces", "resourcequotas", "secrets", "serviceaccounts", "apiservices"}
    old |= {"certificatesigningrequests", "leases", "clusterrolebindings", "rolebindings", "componentstatuses"}
    assert {resource for _, resource in PRINTERS} - old == {row["resource"] for row in ROWS}
