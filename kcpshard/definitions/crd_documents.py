"""What the catalogue needs of a stored CustomResourceDefinition, without its schemas: a `Summary`.

It is made when a definition is written and kept, as text, in the header of the stored value: an index over hundreds of
definitions is built from headers, in microseconds each. Two definitions with equal digests serve the same, so what
is compiled from one is shared by all of them. Pure.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from kcpshard.definitions.contract import Object

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
GROUP = "apiextensions.k8s.io"
FIELD = "kcp.io/definition"  # in the envelope's fields; not a label of any field selector
_FORM = 3  # of the text; another one is made again from the document
_DIGITS = 32  # of a digest: what it compiles to
ESTABLISHED, TERMINATING, NAMES_ACCEPTED = "Established", "Terminating", "NamesAccepted"


class Names(NamedTuple):
    """status.acceptedNames: what is served, and what no other definition of the group may use."""

    plural: str
    singular: str
    kind: str
    list_kind: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]


class Version(NamedTuple):
    """One version of spec.versions. `warning` is what a client of a deprecated version is told."""

    name: str
    served: bool
    status: bool
    scale: bool
    warning: str


class Summary(NamedTuple):
    name: str
    digest: str
    group: str
    names: Names
    namespaced: bool
    accepted: bool  # all names that it wants
    established: bool
    terminating: bool
    storage: str  # name of the storage version
    versions: tuple[Version, ...]
    webhook: bool  # converts between versions: what is made of it belongs to one logical cluster

    @property
    def content(self) -> str:
        """Equal for definitions that compile to the same, one of which may be terminating."""
        return self.digest[:_DIGITS]


def summary(obj: Object) -> Summary:
    """Of a definition as it is stored."""
    spec, status = obj["spec"], obj.get("status") or {}
    versions = tuple(_version(spec, version) for version in spec.get("versions") or ())
    storage = next((v["name"] for v in spec.get("versions") or () if v["storage"]), "")
    names = names_of(status.get("acceptedNames") or {})
    terminating = condition(obj, TERMINATING) == "True"
    established = condition(obj, ESTABLISHED) == "True"
    accepted = condition(obj, NAMES_ACCEPTED) == "True"
    parts = (spec["group"], names, spec["scope"], spec.get("versions"), spec.get("conversion"))
    digest = hashlib.sha256(orjson.dumps(parts, list, orjson.OPT_SORT_KEYS)).hexdigest()[:_DIGITS]
    digest += "t" if terminating else ""
    return Summary(
        obj["metadata"]["name"], digest, spec["group"], names, spec["scope"] == "Namespaced", accepted, established,
        terminating, storage, versions, (spec.get("conversion") or {}).get("strategy") == "Webhook",
    )  # fmt: skip


def names_of(raw: Mapping[str, Any]) -> Names:
    return Names(
        raw.get("plural") or "",
        raw.get("singular") or "",
        raw.get("kind") or "",
        raw.get("listKind") or "",
        tuple(raw.get("shortNames") or ()),
        tuple(raw.get("categories") or ()),
    )


def condition(obj: Object, type_: str) -> str:
    """The status of a condition; "" if there is none of that type."""
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found["type"] == type_:
            return str(found["status"])
    return ""


def _version(spec: Object, version: Object) -> Version:
    subresources = version.get("subresources") or {}
    warning = ""
    if version.get("deprecated"):
        warning = version.get("deprecationWarning") or ""
        warning = warning or f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
    has_scale = subresources.get("scale") is not None
    return Version(version["name"], bool(version["served"]), subresources.get("status") is not None, has_scale, warning)


# --- as a text in the header


def header_fields(obj: Object) -> Mapping[str, str]:
    """What a definition's stored value carries in its header."""
    return {FIELD: orjson.dumps([_FORM, *summary(obj)], list).decode()}


def read_header(fields: Mapping[str, str]) -> Summary | None:
    """The summary that `header_fields` wrote; None if it has to be made from the document."""
    text = fields.get(FIELD)
    if text is None:
        return None
    form, *rest = orjson.loads(text)
    return _decoded(rest) if form == _FORM else None


def _decoded(rest: Sequence[Any]) -> Summary:
    name, digest, group, names, namespaced, accepted, established, terminating, storage, versions, webhook = rest
    plural, singular, kind, list_kind, short_names, categories = names
    served = Names(plural, singular, kind, list_kind, tuple(short_names), tuple(categories))
    found = tuple(Version(*version) for version in versions)
    return Summary(name, digest, group, served, namespaced, accepted, established, terminating, storage, found, webhook)
