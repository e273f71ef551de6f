"""`kcp backup`: all shards of a running installation as one set, incremental, verified, restored."""

import asyncio
import hashlib
import io
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from kcp import backup_sets
from kcp.backup_sets import INSTALLATION, BackupSet, DamagedSet, ShardPart, StoredFile
from kcp.backup_stores import BackupStore, Missing, open_store
from kcp.current_map import current_map, dialler
from kcp.files import make_private_directory, write_private
from kcp.installation import Installation, first_start_undone
from kcp.output import Refused, os_sentence, output_option, render
from kcp.shards import installed
from kcp.start import root_option

if TYPE_CHECKING:
    from kcpshard.rpc import shard_pb2 as pb

_ATTEMPTS, _PAUSE_S = 5, 1.0  # to find the map unchanged while checkpoints are made
_RETRY = timedelta(minutes=5)  # after a set that could not be made
_GRACE = timedelta(days=1)  # a file that no set names yet may belong to one that is being made
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MANIFEST = "installation.json"


class Duration(click.ParamType[timedelta]):
    """`90s`, `30m`, `6h`, `7d`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(str(value))
        if found is None or int(found[1]) == 0:
            self.fail(f"{value!r} is no duration such as 30m, 6h or 7d", param, ctx)
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


place_option = click.option("--place", required=True, metavar="PLACE", help="A directory, or s3://BUCKET/PREFIX.")
keep_option = click.option("--keep", type=click.IntRange(1), metavar="N", help="Keep the newest N sets.")
keep_for_option = click.option("--keep-for", type=Duration(), metavar="TIME", help="Keep sets for so long: 7d.")


@click.group()
def backup() -> None:
    """Back up, verify and restore the shards of an installation."""


# --- create


@backup.command()
@root_option
@place_option
@click.option("--every", type=Duration(), metavar="TIME", help="Go on, one set each time: 30m, 6h, 1d.")
@keep_option
@keep_for_option
@click.option("--supervised", is_flag=True, hidden=True)
def create(
    root: Path, place: str, every: timedelta | None, keep: int | None, keep_for: timedelta | None, supervised: bool
) -> None:
    """Make a set of all shards while they serve.

    Only content that PLACE does not have yet is sent there. Older sets that --keep and --keep-for do not keep are
    deleted afterwards. What is sealed on the shards' disks is sealed in the backup; the installation's keys and token
    file are part of it, so treat it as you treat them.
    """
    store = open_store(place)
    if every is None:
        _create(installed(root), store, keep, keep_for)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if supervised:
        click.echo("ready")
        sys.stdout.flush()
    while True:
        try:
            time.sleep(due_s(read_sets(store), datetime.now(UTC), every))
            _create(installed(root), store, keep, keep_for)
        except Refused as refusal:
            click.echo(f"kcp: {refusal.message}; it is tried again", err=True)
            time.sleep(min(_RETRY, every).total_seconds())


def _create(made: Installation, store: BackupStore, keep: int | None, keep_for: timedelta | None) -> None:
    found = asyncio.run(make_set(made, store, datetime.now(UTC)))
    click.echo(f"{found.id}: {len(found.parts) - 1} shards, {_size(found.size)}")
    for each in delete_outlived(store, datetime.now(UTC), keep, keep_for):
        click.echo(f"{each.id}: deleted")


def due_s(sets: Sequence[BackupSet], now: datetime, every: timedelta) -> float:
    """Until the next set is to be made: a restart makes none before its time."""
    if not sets:
        return 0.0
    return max(0.0, (sets[-1].time + every - now).total_seconds())


async def make_set(made: Installation, store: BackupStore, now: datetime) -> BackupSet:
    """Raises Refused; then there is no new set, and what was sent is used by the next one."""
    from kcpshard.rpc.messages import SOFTWARE
    from kcpshard.rpc.placement_client import Refused as RefusedByShard
    from kcpshard.rpc.placement_client import Unreachable

    known = {entry.key: entry.size for entry in store.list(backup_sets.FILES)}
    id_ = backup_sets.set_id(now)
    if any(True for _ in store.list(backup_sets.set_key(id_))):
        raise Refused(f"there is a set {id_} already: try again in a second")
    try:
        async with _Checkpoints(made) as opened:
            parts = [ShardPart(INSTALLATION, 0, tuple(_installation_files(made, store, known)))]
            for number, client, checkpoint in opened.found:
                files = [await _stored(store, known, client, checkpoint, file) for file in checkpoint.files]
                parts.append(ShardPart(number, checkpoint.revision, tuple(files)))
            epoch = opened.epoch
    except (Unreachable, RefusedByShard) as error:
        raise Refused(f"no backup was made: {error}") from error
    found = BackupSet(id_, now, made.id, made.initial_shards, made.shards, epoch, SOFTWARE, tuple(parts))
    raw = backup_sets.encode(found)
    store.put(backup_sets.set_key(id_), io.BytesIO(raw), len(raw))
    _check_there(store, found)
    return found


class _Checkpoints:
    """One of each shard, made at the same time while no logical cluster was on its way from one to another."""

    def __init__(self, made: Installation) -> None:
        self._made = made
        self.found: list[tuple[int, Any, pb.OpenCheckpointResponse]] = []
        self.epoch = 0

    async def __aenter__(self) -> "_Checkpoints":
        for _ in range(_ATTEMPTS):
            before = await current_map(self._made)
            await self._open(before)
            epochs = {checkpoint.map_epoch for _, _, checkpoint in self.found} | {before.epoch}
            if len(epochs) == 1 and (await current_map(self._made)).epoch == before.epoch:
                self.epoch = before.epoch
                return self
            await self._close()
            await asyncio.sleep(_PAUSE_S)
        raise Refused("no backup was made: the shard map keeps changing, logical clusters are on their way")

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _open(self, shard_map: "pb.ShardMap") -> None:
        """All at the same time; each is waited for, also where another one fails, so that none is left open."""
        from kcpshard.rpc.placement_client import PlacementClient

        dial = dialler(self._made)
        clients = [(entry.number, PlacementClient(dial(entry.admin_address))) for entry in shard_map.shards]
        async with asyncio.TaskGroup() as group:
            tasks = [(number, client, group.create_task(_opened(client))) for number, client in clients]
        failures: list[Exception] = []
        for number, client, task in tasks:
            found = task.result()
            if isinstance(found, Exception):
                failures.append(found)
                await client.close()
            else:
                self.found.append((number, client, found))
        if failures:
            await self._close()
            raise failures[0]

    async def _close(self) -> None:
        from kcpshard.rpc.placement_client import Refused as RefusedByShard
        from kcpshard.rpc.placement_client import Unreachable

        for _, client, checkpoint in self.found:
            with suppress(Unreachable, RefusedByShard):  # it goes by itself
                await client.close_checkpoint(checkpoint.id)
            await client.close()
        self.found.clear()


async def _opened(client: Any) -> "pb.OpenCheckpointResponse | Exception":
    from kcpshard.rpc.placement_client import Refused as RefusedByShard
    from kcpshard.rpc.placement_client import Unreachable

    try:
        found: pb.OpenCheckpointResponse = await client.open_checkpoint()
    except (Unreachable, RefusedByShard) as error:
        return error
    return found


async def _stored(
    store: BackupStore, known: dict[str, int], client: Any, checkpoint: "pb.OpenCheckpointResponse",
    file: "pb.CheckpointFile",
) -> StoredFile:  # fmt: skip
    digest = file.sha256.hex()
    if known.get(backup_sets.file_key(digest)) != file.size:
        with tempfile.TemporaryFile() as spool:
            async for piece in client.read_checkpoint(checkpoint.id, file.name):
                spool.write(piece)
            _put(store, known, cast(BinaryIO, spool), digest, file.name)
    return StoredFile(file.name, file.size, digest)


def _put(store: BackupStore, known: dict[str, int], spool: BinaryIO, digest: str, name: str) -> None:
    size = spool.tell()
    spool.seek(0)
    if hashlib.file_digest(cast(Any, spool), "sha256").hexdigest() != digest:
        raise Refused(f"{name} did not arrive as the shard has it")
    spool.seek(0)
    key = backup_sets.file_key(digest)
    store.put(key, spool, size)
    known[key] = size


def _installation_files(made: Installation, store: BackupStore, known: dict[str, int]) -> Iterator[StoredFile]:
    """Keys, certificates and tokens; what a start makes anew is left out."""
    paths = [made.token_file, made.root / _MANIFEST, *sorted(path for path in made.pki.rglob("*") if path.is_file())]
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Refused(os_sentence("cannot read", error)) from error
        digest, name = hashlib.sha256(content).hexdigest(), path.relative_to(made.root).as_posix()
        if known.get(backup_sets.file_key(digest)) != len(content):
            spool = io.BytesIO(content)
            spool.seek(len(content))
            _put(store, known, spool, digest, name)
        yield StoredFile(name, len(content), digest)


def _check_there(store: BackupStore, made: BackupSet) -> None:
    """Somebody may have deleted meanwhile what was thought to be there."""
    present = {entry.key: entry.size for entry in store.list(backup_sets.FILES)}
    missing = [file.name for file in made.files if present.get(backup_sets.file_key(file.sha256)) != file.size]
    if missing:
        store.delete(backup_sets.set_key(made.id))
        raise Refused(f"no backup was made: {', '.join(missing[:3])} has gone from the store meanwhile")


# --- list, prune


@backup.command("list")
@place_option
@output_option
def list_sets(place: str, form: str) -> None:
    """List the sets at PLACE, newest first."""
    rows = [
        {"set": each.id, "shards": len(each.parts) - 1, "size": each.size if form != "table" else _size(each.size),
         "revision": max(part.revision for part in each.parts), "installation": each.installation}
        for each in reversed(read_sets(open_store(place)))
    ]  # fmt: skip
    click.echo(render(rows, form), nl=False)


@backup.command()
@place_option
@keep_option
@keep_for_option
def prune(place: str, keep: int | None, keep_for: timedelta | None) -> None:
    """Delete sets that --keep and --keep-for do not keep, and content that no set names."""
    for each in delete_outlived(open_store(place), datetime.now(UTC), keep, keep_for):
        click.echo(f"{each.id}: deleted")


def read_sets(store: BackupStore) -> list[BackupSet]:
    """Oldest first. Raises Refused for one that is damaged: its files must not be taken for unused."""
    found = []
    for entry in store.list(backup_sets.SETS):
        try:
            found.append(backup_sets.decode(entry.key, b"".join(store.get(entry.key))))
        except DamagedSet as damage:
            raise Refused(str(damage)) from damage
    return sorted(found, key=lambda each: each.time)


def delete_outlived(
    store: BackupStore, now: datetime, keep: int | None, keep_for: timedelta | None, grace: timedelta = _GRACE
) -> list[BackupSet]:
    """Manifests first: content without a set is rubbish, a set without content a lie."""
    sets = read_sets(store)
    gone = backup_sets.outlived(sets, now, keep, keep_for)
    for each in gone:
        store.delete(backup_sets.set_key(each.id))
    stored = [entry.key for entry in store.list(backup_sets.FILES) if now - entry.time >= grace]
    for key in backup_sets.unused(stored, [each for each in sets if each not in gone]):
        store.delete(key)
    return gone


def chosen(store: BackupStore, id_: str | None) -> BackupSet:
    """The set of that id, or the newest. Raises Refused."""
    if id_ is not None:
        key = backup_sets.set_key(id_)
        try:
            return backup_sets.decode(key, b"".join(store.get(key)))
        except Missing:
            raise Refused(f"there is no set {id_}: kcp backup list shows those there are") from None
        except DamagedSet as damage:
            raise Refused(str(damage)) from damage
    sets = read_sets(store)
    if not sets:
        raise Refused("there is no backup")
    return sets[-1]


# --- verify


encryption_option = click.option(
    "--encryption-provider-config",
    "encryption",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Needed for --deep where data is sealed.",
)


@backup.command()
@place_option
@click.argument("set_", metavar="[SET]", required=False)
@click.option("--deep", is_flag=True, help="Also restore it to a temporary place and verify each shard's data.")
@encryption_option
def verify(place: str, set_: str | None, deep: bool, encryption: Path | None) -> None:
    """Check that everything in SET [the newest] is there and is what was written."""
    store = open_store(place)
    found = chosen(store, set_)
    faults = list(content_faults(store, found))
    if deep and not faults:
        faults = _deep_faults(store, found, encryption)
    for fault in faults:
        click.echo(fault)
    if faults:
        raise Refused(f"the set {found.id} has {len(faults)} faults")
    click.echo(f"{found.id}: {sum(1 for _ in found.files)} files, {_size(found.size)}, no faults")


def content_faults(store: BackupStore, found: BackupSet) -> Iterator[str]:
    seen: set[str] = set()
    for part in found.parts:
        for file in part.files:
            if file.sha256 in seen:
                continue
            seen.add(file.sha256)
            digest, size = hashlib.sha256(), 0
            try:
                for piece in store.get(backup_sets.file_key(file.sha256)):
                    digest.update(piece)
                    size += len(piece)
            except Missing:
                yield f"{_shown(part)}: {file.name} is missing"
                continue
            if (digest.hexdigest(), size) != (file.sha256, file.size):
                yield f"{_shown(part)}: {file.name} is damaged"


def _deep_faults(store: BackupStore, found: BackupSet, encryption: Path | None) -> list[str]:
    from functools import partial

    from kcp.verify import opened
    from kcpshard.storage.verification import verify as violations_in

    faults = []
    with tempfile.TemporaryDirectory(prefix="kcp-verify-") as directory:
        for part in found.parts:
            if part.number != INSTALLATION:
                data = Path(directory) / f"shard-{part.number}" / "data"
                restore_shard(store, part, data)
                violations = violations_in(str(data), partial(opened, encryption=encryption))
                faults += [f"{_shown(part)}: {each}" for each in violations]
                shutil.rmtree(data)
    return faults


def _shown(part: ShardPart) -> str:
    return f"shard {part.number}" if part.number != INSTALLATION else "the installation"


# --- restore


@backup.command()
@place_option
@click.argument("set_", metavar="[SET]", required=False)
@root_option
@click.option("--shard", "number", type=click.IntRange(1), help="Only this shard's data, into --data: it has joined.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Where to; with --shard.")
def restore(place: str, set_: str | None, root: Path, number: int | None, data: Path | None) -> None:
    """Make an installation of SET [the newest] in --root-directory, where nothing may be yet.

    Everything is checked while it is written. Clients list again: nothing from before can be resumed. Then start it
    with `kcp start`; all shards must come from the same set.
    """
    store = open_store(place)
    found = chosen(store, set_)
    if (number is None) != (data is None):
        raise Refused("--shard and --data go together")
    if number is not None and data is not None:
        part = next((part for part in found.parts if part.number == number), None)
        if part is None:
            raise Refused(f"the set {found.id} has no shard {number}")
        restore_shard(store, part, data.absolute())
        click.echo(f"shard {number} of {found.id} is in {data}")
        return
    others = restore_set(store, found, root.absolute())
    click.echo(f"{found.id} is in {root}: kcp start --root-directory {root}")
    for each in others:
        click.echo(f"shard {each} had joined from another machine: restore it there with --shard {each} --data DIR")


def restore_set(store: BackupStore, found: BackupSet, root: Path) -> list[int]:
    """The numbers of shards that do not belong to this machine. Raises Refused; then nothing is left behind."""
    if root.exists() and any(root.iterdir()):
        raise Refused(f"{root} is not empty")
    others = []
    with first_start_undone(root):
        for part in found.parts:
            if part.number > found.shards:
                others.append(part.number)
            elif part.number != INSTALLATION:
                make_private_directory(root / f"shard-{part.number}")
                restore_shard(store, part, root / f"shard-{part.number}" / "data")
        own = next(part for part in found.parts if part.number == INSTALLATION)
        # Last of all the file that makes it an installation.
        for file in sorted(own.files, key=lambda each: each.name == _MANIFEST):
            for directory in reversed(Path(file.name).parents[:-1]):
                make_private_directory(root / directory)
            write_private(root / file.name, b"".join(_checked(store, file)))
    return others


def restore_shard(store: BackupStore, part: ShardPart, data: Path) -> None:
    """Raises Refused; then nothing is left behind."""
    from kcpshard.storage.format import UnusableFormat
    from kcpshard.storage.restored import begin_anew
    from kcpshard.storage.rocksdb_engine import RocksdbEngine

    if data.exists():
        raise Refused(f"{data} exists")
    with _undone(data):
        make_private_directory(data)
        for file in part.files:
            with (data / file.name).open("xb") as target:
                target.writelines(_checked(store, file))
        try:
            engine = RocksdbEngine(str(data))
        except UnusableFormat as error:
            raise Refused(str(error)) from error
        asyncio.run(begin_anew(engine, part.number, lambda: time.time_ns() // 1000))


def _checked(store: BackupStore, file: StoredFile) -> Iterator[bytes]:
    """The content; raises Refused behind its end if it is not what was written."""
    digest, size = hashlib.sha256(), 0
    for piece in store.get(backup_sets.file_key(file.sha256)):
        digest.update(piece)
        size += len(piece)
        yield piece
    if (digest.hexdigest(), size) != (file.sha256, file.size):
        raise Refused(f"{file.name} is damaged in the backup: nothing was restored")


@contextmanager
def _undone(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as fault:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(fault, OSError):
            raise Refused(os_sentence("cannot write", fault)) from fault
        raise


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
