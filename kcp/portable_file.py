"""One logical cluster in one file: gzip of JSON lines. The first line says what it is, each further one has an object
in the form in which the server gave it, the last one tells that the file is whole.

    {"kcp": "logical cluster", "format": 1, "cluster": "root:a", "resourceVersion": "…", "time": "…"}
    {"type": "configmaps", "apiVersion": "v1", "kind": "ConfigMap", "namespaced": true, "status": false, "object": {…}}
    {"end": true, "objects": 1, "sha256": "…"}
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kcp.output import Refused, os_sentence

FORMAT = 1
_KIND = "logical cluster"


class Header(NamedTuple):
    cluster: str  # its path, or the server of a cluster that is none of kcp's
    resource_version: str
    time: str


class Entry(NamedTuple):
    """`type` is the plural with its group; `status`: the type has a subresource of that name."""

    type: str
    api_version: str
    kind: str
    namespaced: bool
    status: bool
    object: dict[str, Any]


def write_file(path: Path, header: Header, entries: Iterable[Entry]) -> int:
    """The number of objects. A file that could not be finished is not left behind. Mode 0600: secrets are in it."""
    temporary = path.with_name(f".{path.name}.new")
    digest, count = hashlib.sha256(), 0
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
            file.write(_line({"kcp": _KIND, "format": FORMAT, **_camel(header)}, digest))
            for entry in entries:
                file.write(_line(_camel(entry), digest))
                count += 1
            file.write(_line({"end": True, "objects": count, "sha256": digest.hexdigest()}, digest))
            file.close()
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Refused(os_sentence("cannot write", error)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return count


def read_file(path: Path) -> tuple[Header, list[Entry]]:
    """Raises Refused for anything but a whole file."""
    try:
        with gzip.open(path, "rb") as file:
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        raise Refused(f"there is no file {path}") from None
    except (OSError, EOFError) as error:
        raise Refused(f"{path} is damaged or no export of kcp: {error}") from error
    try:
        first, last = json.loads(lines[0]), json.loads(lines[-1])
        if first.get("kcp") != _KIND:
            raise Refused(f"{path} is no export of a logical cluster")
        if first["format"] > FORMAT:
            raise Refused(f"{path} was made by a newer kcp (format {first['format']}, this one knows {FORMAT})")
        whole = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
        if not last.get("end") or last["objects"] != len(lines) - 2 or last["sha256"] != whole:
            raise Refused(f"{path} is damaged: it is not what was written")
        header = Header(first["cluster"], first["resourceVersion"], first["time"])
        return header, [_entry(json.loads(line)) for line in lines[1:-1]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Refused(f"{path} is damaged or no export of kcp: {error}") from error


def _line(document: Any, digest: Any) -> bytes:
    line = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    digest.update(line)
    return line


_NAMES = {"resource_version": "resourceVersion", "api_version": "apiVersion"}


def _camel(value: Header | Entry) -> dict[str, Any]:
    return {_NAMES.get(name, name): item for name, item in value._asdict().items()}


def _entry(document: dict[str, Any]) -> Entry:
    return Entry(*(document[_NAMES.get(name, name)] for name in Entry._fields))


def entries_by_type(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.type, []).append(entry)
    yield from found.items()
