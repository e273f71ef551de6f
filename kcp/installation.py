"""What an installation is on disk: which directory is one, which is damaged, newer or somebody else's.

`installation.json` is written last: a directory without it is empty or the leftover of an interrupted first start,
which is simply done again. What lies in `pki` and the files made from it belong to `credentials`.
"""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kcp.files import make_private_directory, write_private
from kcp.output import Refused, os_sentence

FORMAT = 1
AUTHORITIES = ("serving-ca", "client-ca", "internal-ca")
MAX_SHARDS = 999  # as many as a revision has digits for
# The longest name a unix socket can have is 107 bytes (sun_path); this much of it is ours.
_SOCKET_TAIL = len("/shard-999/front.sock")
_MAX_SOCKET = 107
_FIRST_START_LEFTOVERS = {"lock", "pki", "run", "tls", "tokens.csv", "admin.kubeconfig", "controllers.kubeconfig"}


@dataclass(frozen=True)
class Installation:
    """The content of installation.json, and where it lies."""

    root: Path
    id: str
    initial_shards: int  # the slots were divided among these
    shards: int
    internal_listen: str = ""  # host:port where processes of other machines join; "": they cannot
    removed: tuple[int, ...] = ()  # numbers of shards that were drained and taken out

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the shards that this machine runs."""
        return tuple(number for number in range(1, self.shards + 1) if number not in self.removed)

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def controllers_kubeconfig(self) -> Path:
        return self.root / "controllers.kubeconfig"

    @property
    def token_file(self) -> Path:
        return self.root / "tokens.csv"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "admin.kubeconfig"

    def tls_directory(self, name: str) -> Path:
        """What the process of that name needs to talk TLS inside the installation."""
        return self.root / "tls" / name

    def shard_directory(self, number: int) -> Path:
        return self.root / f"shard-{number}"

    @property
    def run_directory(self) -> Path:
        """Where the sockets are: below the root, or in a short private place if their names would be too long."""
        ours = self.root / "run"
        if len(os.fsencode(ours)) + _SOCKET_TAIL <= _MAX_SOCKET:
            return ours
        place = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(place) / f"kcp-{os.getuid()}-{self.id[:13]}"


@contextmanager
def first_start_undone(root: Path, complete: str = "installation.json") -> Iterator[None]:
    """If the body fails, take away a directory that did not exist before, unless it holds the file `complete`.

    File errors become one sentence.
    """
    existed = root.exists()
    try:
        make_private_directory(root)
        yield
    except BaseException as fault:
        if not existed and not (root / complete).exists():
            shutil.rmtree(root, ignore_errors=True)
        if isinstance(fault, OSError):
            raise Refused(os_sentence("cannot write", fault)) from fault
        raise


def load(root: Path) -> Installation | None:
    """The installation in `root`; None if there is none yet. Refuses what is damaged, newer or somebody else's."""
    path = root / "installation.json"
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        _check_nothing_foreign(root)
        return None
    except (ValueError, UnicodeDecodeError):
        raise Refused(f"{path} is damaged: it is not JSON; restore it from a backup") from None
    found = _parse(root, path, document)
    for needed in (*_key_files(found), found.token_file):
        if not needed.exists():
            raise Refused(f"{root} is damaged: {needed} is missing; restore it from a backup")
    return found


def plan(root: Path, shards: int, internal_listen: str = "") -> Installation:
    """A new installation; it exists once `save` has been called, after everything else was written."""
    return Installation(root, str(uuid.uuid4()), shards, shards, internal_listen)


def adapt(present: Installation, shards: int, internal_listen: str) -> Installation:
    """Record a higher number of shards, before any of them can hold data, and where others join. Fewer are refused."""
    count = len(present.numbers)
    if shards < count:
        raise Refused(
            f"{present.root} has {count} shards, which hold its objects: it cannot start with {shards}; "
            f"start it with {count} or more, or take some out first: kcp shards drain, kcp shards remove"
        )
    adapted = replace(present, shards=present.shards + shards - count, internal_listen=internal_listen)
    if adapted != present:
        save(adapted)
    return adapted


def without(present: Installation, number: int) -> Installation:
    """Record that a shard has been taken out. Its number is not given again: its data directory is still there."""
    changed = replace(present, removed=tuple(sorted({*present.removed, number})))
    save(changed)
    return changed


def save(made: Installation) -> None:
    document = {"format": FORMAT, **{key: value for key, value in asdict(made).items() if key != "root"}}
    write_private(made.root / "installation.json", json.dumps(document, indent=2).encode() + b"\n")


def _parse(root: Path, path: Path, document: object) -> Installation:
    match document:
        case {"format": int(number)} if number > FORMAT:
            raise Refused(f"{root} was made by a newer kcp (format {number}, this one knows {FORMAT})")
        case {
            "format": 1,
            "id": str(id_),
            "initial_shards": int(initial),
            "shards": int(shards),
            "internal_listen": str(internal),
            **rest,
        } if 1 <= initial <= shards <= MAX_SHARDS:
            removed = rest.get("removed", [])
            if isinstance(removed, list) and all(isinstance(n, int) and 1 < n <= shards for n in removed):
                return Installation(root, id_, initial, shards, internal, tuple(removed))
    raise Refused(f"{path} is damaged: a field is missing or wrong; restore it from a backup")


def _check_nothing_foreign(root: Path) -> None:
    for entry in sorted(root.iterdir()):
        if entry.name.startswith("shard-"):
            raise Refused(
                f"{root} is damaged: it holds {entry.name} but no installation.json; restore it from a backup"
            )
        if entry.name not in _FIRST_START_LEFTOVERS and not entry.name.startswith("."):
            raise Refused(f"{root} is not empty and not an installation of kcp ({entry.name} lies in it)")


def _key_files(made: Installation) -> Iterator[Path]:
    for name in AUTHORITIES:
        yield made.pki / f"{name}.crt"
        yield made.pki / f"{name}.key"
