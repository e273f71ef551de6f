#!/usr/bin/env python3
"""Write kcpfront/protobuf/data/facts.jsonl: number and type of every field of the built-in kinds in protobuf.

Usage: scripts/generate_protobuf_facts.py. Needs Go: `protobuf_facts/` prints what the published Go types say. Kept are
the kinds that kcpshard/definitions/data/builtin.jsonl serves, and what they are made of. One JSON value per line:

    {"kubernetes": "1.36.3"}
    {"resource": "v1/configmaps", "kind": "v1 ConfigMap"}  …
    {"message": "api/core/v1.ConfigMap", "kinds": ["v1 ConfigMap"], "fields": [[name, number, type, flags], …]}  …
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "kcpfront/protobuf/data/facts.jsonl"
BUILTIN = ROOT / "kcpshard/definitions/data/builtin.jsonl"
PROGRAM = Path(__file__).parent / "protobuf_facts"


def main() -> None:
    header, *rest = [json.loads(line) for line in BUILTIN.read_text().splitlines()]
    groups = [line for line in rest if "group" in line]
    served = {f"{group['group']}/{v['version']}".lstrip("/") for group in groups for v in group["versions"]}
    printed = subprocess.run(["go", "run", "."], cwd=PROGRAM, check=True, capture_output=True).stdout
    messages = {m["message"]: m for m in map(json.loads, printed.splitlines())}
    for message in messages.values():
        message["kinds"] = sorted(_shown_kinds(message, served))
    wanted = _reachable(messages, [name for name, m in messages.items() if m["kinds"]])
    lines = [{"kubernetes": header["kubernetes"]}, *resources(groups), *(messages[name] for name in sorted(wanted))]
    OUTPUT.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def _shown_kinds(message: dict[str, Any], served: set[str]) -> Iterator[str]:
    """Options and WatchEvent are registered in every group; naming them once is enough."""
    everywhere = message["message"].startswith("apimachinery/")
    for kind in message.get("kinds", ()):
        version = kind.partition(" ")[0]
        if version in ("v1", "meta.k8s.io/v1") if everywhere else version in served:
            yield kind


def _reachable(messages: dict[str, dict[str, Any]], roots: list[str]) -> set[str]:
    found: set[str] = set()
    while roots:
        name = roots.pop()
        if name in messages and name not in found:
            found.add(name)
            roots += [type_ for _, _, type_, _ in messages[name]["fields"]]
    return found


def resources(groups: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for group in groups:
        for version in group["versions"]:
            own = f"{group['group']}/{version['version']}".lstrip("/")
            for entry in version["resources"]:
                name = f"{own}/{entry['resource']}"
                yield {"resource": name, "kind": _kind(entry["responseKind"], own)}
                for sub in entry.get("subresources", ()):
                    yield {"resource": f"{name}/{sub['subresource']}", "kind": _kind(sub["responseKind"], own)}


def _kind(kind: dict[str, str], own: str) -> str:
    """A kind without a version is of the resource's own group and version."""
    version = f"{kind['group']}/{kind['version']}".lstrip("/") if kind["version"] else own
    return f"{version} {kind['kind']}"


if __name__ == "__main__":
    main()
