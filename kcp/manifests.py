"""Manifests as kubectl's users write them: files, directories and standard input → objects, each with where it came
from. YAML with several documents, JSON, and lists of objects.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kcp.output import Refused, os_sentence

Object = dict[str, Any]
_SUFFIXES = (".json", ".yaml", ".yml")
# What others stand on comes first; otherwise the order is that of the files.
_FIRST = (("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition"))


class Manifest(NamedTuple):
    source: str  # "dir/web.yaml", "<stdin>"
    object: Object


def read_manifests(paths: Sequence[str], recursive: bool = False) -> list[Manifest]:
    """In the order in which they can be applied. Raises Refused."""
    found = [manifest for path in paths for manifest in _read(path, recursive)]
    if not found:
        raise Refused("there is no object in what was given")
    return sorted(found, key=_rank)


def _rank(manifest: Manifest) -> int:
    obj = manifest.object
    kind = (str(obj["apiVersion"]).rpartition("/")[0], obj["kind"])
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def _read(path: str, recursive: bool) -> Iterator[Manifest]:
    if path == "-":
        yield from parse("<stdin>", sys.stdin.buffer.read())
        return
    place = Path(path)
    try:
        if place.is_dir():
            for file in sorted(place.rglob("*") if recursive else place.iterdir()):
                if file.suffix in _SUFFIXES and file.is_file():
                    yield from parse(str(file), file.read_bytes())
        else:
            yield from parse(path, place.read_bytes())
    except OSError as error:
        raise Refused(os_sentence("cannot read", error)) from error


def parse(source: str, text: bytes) -> Iterator[Manifest]:
    """Raises Refused for what is no object."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = list(yaml.load_all(text, Loader=loader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"cannot read {source}: {error}") from error
    for document in documents:
        if document is not None:
            yield from _flat(source, document)


def _flat(source: str, document: Any) -> Iterator[Manifest]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str) or not document.get("apiVersion"):
        raise Refused(f"cannot read {source}: an object needs apiVersion and kind")
    items = document.get("items")
    if document["kind"].endswith("List") and isinstance(items, list):
        for item in items:
            yield from _flat(source, item)
        return
    if not isinstance(document.get("metadata"), dict):
        raise Refused(f"cannot read {source}: a {document['kind']} needs metadata")
    yield Manifest(source, document)
