"""A process that joined an installation from another machine: what it keeps in its own directory.

`member.json` is written last, as `installation.json` is: without it the process has not joined.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kcp.files import write_private
from kcp.output import Refused

FORMAT = 1


@dataclass(frozen=True)
class Member:
    root: Path
    role: str  # "shard" or "front"
    name: str
    number: int  # of a shard
    listen: str
    shards: tuple[str, ...]  # addresses of the shards known when it joined: admin ones for a shard, else for fronts

    @property
    def tls_directory(self) -> Path:
        return self.root / "tls"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def token_file(self) -> Path:
        return self.root / "tokens.csv"


def load(root: Path, role: str) -> Member | None:
    """None if nothing has joined in this directory yet. Refuses another role's, a damaged or a newer one."""
    path = root / "member.json"
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        if (root / "installation.json").exists():
            raise Refused(f"{root} is an installation of its own: choose another --root-directory") from None
        return None
    except ValueError:
        raise Refused(f"{path} is damaged: it is not JSON; restore it from a backup") from None
    found = _parse(root, path, document)
    if found.role != role:
        raise Refused(f"{root} belongs to a {found.role}: start it with kcp {found.role}")
    return found


def save(member: Member) -> None:
    document = {"format": FORMAT, **{key: value for key, value in asdict(member).items() if key != "root"}}
    write_private(member.root / "member.json", json.dumps(document, indent=2).encode() + b"\n")


def _parse(root: Path, path: Path, document: object) -> Member:
    match document:
        case {"format": int(number)} if number > FORMAT:
            raise Refused(f"{root} was made by a newer kcp (format {number}, this one knows {FORMAT})")
        case {
            "format": 1,
            "role": "shard" | "front" as role,
            "name": str(name),
            "number": int(number),
            "listen": str(listen),
            "shards": [*shards],
        }:
            return Member(root, role, name, number, listen, tuple(map(str, shards)))
    raise Refused(f"{path} is damaged: a field is missing or wrong; restore it from a backup")
