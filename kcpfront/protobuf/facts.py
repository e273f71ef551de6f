"""What the published API types say about their protobuf form: read from data/facts.jsonl, field by field on demand.

`scripts/generate_protobuf_facts.py` writes the file. Messages stay encoded until a kind is used for the first time.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

DATA = Path(__file__).parent / "data/facts.jsonl"

META = "apimachinery/pkg/apis/meta/v1."
# Registered in every group version, so that a client names them with whatever group it talks to; and discovery, where
# `/api` names no version at all.
_EVERYWHERE = {
    kind: f"{META}{kind}"
    for kind in (
        "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "CreateOptions", "DeleteOptions", "GetOptions",
        "ListOptions", "PatchOptions", "Status", "UpdateOptions",
    )
}  # fmt: skip


class Field(NamedTuple):
    """One field. `type` is string, bytes, int, bool, double or a message's name."""

    name: str  # in JSON; "" where inline
    number: int
    type: str
    inline: bool  # a message of its own in protobuf, its fields part of the parent in JSON
    map: bool  # of strings to `type`
    repeated: bool  # of a map: its values are lists, which no published type has
    omits_zero: bool  # JSON leaves the zero value out: an explicit zero on the wire means unset
    omits_empty: bool  # … also an empty struct


class ResourceKind(NamedTuple):
    api_version: str
    kind: str


@cache
def _lines() -> tuple[dict[str, bytes], dict[str, str], dict[str, ResourceKind]]:
    messages: dict[str, bytes] = {}
    kinds: dict[str, str] = {}
    resources: dict[str, ResourceKind] = {}
    for line in DATA.read_bytes().splitlines():
        if line.startswith(b'{"message"'):
            document = orjson.loads(line)
            messages[document["message"]] = line
            kinds.update(dict.fromkeys(document["kinds"], document["message"]))
        elif line.startswith(b'{"resource"'):
            document = orjson.loads(line)
            version, _, kind = document["kind"].partition(" ")
            resources[document["resource"]] = ResourceKind(version, kind)
    # Kinds without a message are left to JSON.
    sent = {name: kind for name, kind in resources.items() if f"{kind.api_version} {kind.kind}" in kinds}
    return messages, kinds, sent


def fields(message: str) -> list[Field]:
    found = []
    for name, number, type_, flags in orjson.loads(_lines()[0][message])["fields"]:
        is_value = "p" not in flags and "m" not in flags and "r" not in flags
        omits = is_value and "o" in flags
        found.append(Field(name, number, type_, "i" in flags, "m" in flags, "r" in flags, omits, "z" in flags))
    return found


def is_list(message: str) -> bool:
    """Whether the message is a Go list, which stands in JSON for its field `items`."""
    return b'"list":true' in _lines()[0][message]


def kinds() -> dict[str, str]:
    """The message of each "apiVersion Kind"."""
    return _lines()[1]


def message_of(api_version: str, kind: str) -> str:
    """The message of a kind, "" if it has none."""
    if found := _lines()[1].get(f"{api_version} {kind}"):
        return found
    if api_version == "meta.k8s.io/v1beta1":
        return _lines()[1].get(f"meta.k8s.io/v1 {kind}", "")
    return _EVERYWHERE.get(kind, "")


def resource_kind(group: str, version: str, resource: str, subresource: str) -> ResourceKind | None:
    """What a built-in resource or subresource is sent as; None if it has no protobuf form."""
    name = f"{group}/{version}/{resource}" if group else f"{version}/{resource}"
    return _lines()[2].get(f"{name}/{subresource}" if subresource else name)
