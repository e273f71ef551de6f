#!/usr/bin/env python3
"""Write kcpshard/definitions/data/go_fields.jsonl: where the Go types say more than the published schemas.

Usage: scripts/generate_go_fields.py. Reads what scripts/generate_protobuf_facts.py wrote (which fields are pointers,
which are left out when empty) and names, by definition, the fields whose JSON differs from what their schema suggests:
values (optional numbers and booleans, dropped when 0), pointers (optional strings, kept though empty), nulls (written
as null when nobody set them). One JSON value per line:

    {"definition": "io.k8s.api.apps.v1.DeploymentSpec", "nulls": ["selector"], "values": ["minReadySeconds", "paused"]}
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "kcpfront/protobuf/data/facts.jsonl"
OUTPUT = ROOT / "kcpshard/definitions/data/go_fields.jsonl"
BUILTIN = ROOT / "kcpshard/definitions/data/builtin.jsonl"
TIMES = ("apimachinery/pkg/apis/meta/v1.Time", "apimachinery/pkg/apis/meta/v1.MicroTime")


def main() -> None:
    known = {json.loads(line).get("definition") for line in BUILTIN.read_text().splitlines()}
    lines = []
    for line in SOURCE.read_text().splitlines():
        message = json.loads(line)
        name = "io.k8s." + message.get("message", "").replace("/", ".")
        if name in known:
            found: dict[str, Any] = {}
            for member, table in sorted(_particular(message["fields"])):
                found.setdefault(table, []).append(member)
            if found:
                lines.append(json.dumps({"definition": name, **found}, separators=(",", ":")) + "\n")
    OUTPUT.write_text("".join(sorted(lines)))


def _particular(fields: list[Any]) -> Iterator[tuple[str, str]]:
    for member, _, type_, flags in fields:
        if member in ("", "-"):
            continue
        if "p" in flags:
            if "o" not in flags and "r" not in flags and "m" not in flags:
                yield member, "nulls"
            elif type_ == "string":
                yield member, "pointers"
        elif "m" in flags or "r" in flags or type_ == "bytes":
            if "o" not in flags:
                yield member, "nulls"
        elif type_ in ("int", "bool", "double"):
            if "o" in flags:
                yield member, "values"
        elif type_ in TIMES and "z" not in flags and member != "creationTimestamp":
            yield member, "nulls"


if __name__ == "__main__":
    main()
