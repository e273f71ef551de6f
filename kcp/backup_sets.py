"""What a backup consists of: one manifest for each set, files named by their content. Pure.

sets/20261130T120000Z.json      when, of which installation, and of each shard the files with name, size and SHA-256
files/ab/ab12…                  the content with that SHA-256; shared by all sets that have it
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

FORMAT = 1
SETS, FILES = "sets/", "files/"
INSTALLATION = 0  # in the place of a shard's number: the installation's own files


class DamagedSet(Exception):
    """The manifest cannot be read; the text is a sentence for the operator."""


class StoredFile(NamedTuple):
    name: str  # relative to the shard's data, or to the installation
    size: int
    sha256: str


class ShardPart(NamedTuple):
    number: int
    revision: int
    files: tuple[StoredFile, ...]


class BackupSet(NamedTuple):
    id: str
    time: datetime
    installation: str
    initial_shards: int
    shards: int  # on the machine of the supervisor; others have joined
    map_epoch: int
    software: str
    parts: tuple[ShardPart, ...]

    @property
    def files(self) -> Iterator[StoredFile]:
        for part in self.parts:
            yield from part.files

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def set_id(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def set_key(id_: str) -> str:
    return f"{SETS}{id_}.json"


def file_key(sha256: str) -> str:
    return f"{FILES}{sha256[:2]}/{sha256}"


def encode(made: BackupSet) -> bytes:
    document: dict[str, Any] = {
        "format": FORMAT,
        **made._asdict(),
        "time": made.time.astimezone(UTC).isoformat(),
        "parts": [{**part._asdict(), "files": [file._asdict() for file in part.files]} for part in made.parts],
    }
    return json.dumps({**document, "sha256": _digest(document)}, indent=1).encode() + b"\n"


def decode(key: str, raw: bytes) -> BackupSet:
    """Raises DamagedSet."""
    try:
        document = json.loads(raw)
        digest = document.pop("sha256")
        if document["format"] > FORMAT:
            raise DamagedSet(f"{key} was made by a newer kcp (format {document['format']}, this one knows {FORMAT})")
        if digest != _digest(document):
            raise DamagedSet(f"{key} is damaged: it is not what was written")
        parts = tuple(
            ShardPart(part["number"], part["revision"], tuple(StoredFile(**file) for file in part["files"]))
            for part in document["parts"]
        )
        members = {name: document[name] for name in BackupSet._fields if name not in ("time", "parts")}
        return BackupSet(**members, time=datetime.fromisoformat(document["time"]), parts=parts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedSet(f"{key} is damaged: {error}") from error


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def outlived(sets: Sequence[BackupSet], now: datetime, keep: int | None, keep_for: timedelta | None) -> list[BackupSet]:
    """Those that no rule keeps, oldest first; the newest one is always kept. Without rules: none."""
    if keep is None and keep_for is None:
        return []
    newest_first = sorted(sets, key=lambda each: each.time, reverse=True)
    kept = set()
    for position, each in enumerate(newest_first):
        by_number = keep is not None and position < keep
        by_age = keep_for is not None and now - each.time <= keep_for
        if position == 0 or by_number or by_age:
            kept.add(each.id)
    return [each for each in reversed(newest_first) if each.id not in kept]


def unused(stored: Iterable[str], sets: Iterable[BackupSet]) -> list[str]:
    """Keys of files that no set names."""
    used = {file_key(file.sha256) for each in sets for file in each.files}
    return [key for key in stored if key not in used]
