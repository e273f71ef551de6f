"""Sets of two real shards in this process: made while they serve, kept, verified, restored and served again."""

import asyncio
import base64
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from kcp import backup, credentials, installation
from kcp.__main__ import main
from kcp.backup import chosen, content_faults, delete_outlived, due_s, make_set, read_sets, restore_set
from kcp.backup_sets import FILES, BackupSet, file_key
from kcp.backup_stores import DirectoryStore
from kcp.current_map import current_map
from kcp.installation import Installation
from kcp.output import Refused
from kcp.programs import shard_socket
from kcpshard import failpoints
from kcpshard.options import parse
from kcpshard.server import ShardServer
from kcpshard.storage import keyspace
from kcpshard.storage.contract import Compacted, Put
from kcpshard.storage.envelope import encode_object
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.verification import verify
from kcpshard.verbs.outcome import NotOwned

Pairs = list[tuple[bytes, bytes]]


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as found:
        yield Path(found)


@pytest.fixture
def made(place: Path) -> Installation:
    result = installation.plan(place / "kcp", 2)
    result.root.mkdir()
    credentials.make(result, "https://127.0.0.1:6443", [])
    installation.save(result)
    return result


@asynccontextmanager
async def running(made: Installation, *more: str) -> AsyncIterator[list[ShardServer]]:
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        servers = []
        for number in range(1, made.shards + 1):
            sockets = {name: shard_socket(made, number, name) for name in ("front", "admin", "sync")}
            sockets["front"].parent.mkdir(parents=True, exist_ok=True)
            others = [f"--peer=unix:{shard_socket(made, n, 'admin')}" for n in range(1, made.shards + 1) if n != number]
            data = made.shard_directory(number) / "data"
            options = parse(
                [f"--number={number}", f"--data={data}", "--initial-shards=2", *others]
                + [f"--{name}-socket={path}" for name, path in sockets.items()]
                + list(more)
            )
            servers.append(ShardServer(options, tasks))
        async with asyncio.TaskGroup() as starting:
            for server in servers:
                starting.create_task(server.start())
        try:
            yield servers
        finally:
            for server in servers:
                await server.stop()


def put(name: str, value: str) -> Put:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "uid": name}, "data": {"k": value}}
    json, hole, annotations = encode_object(document)
    return Put("configmaps", "default", name, json, hole, annotations, name, "v1", {}, {})


async def fill(servers: Sequence[ShardServer], value: str) -> None:
    """A logical cluster with some objects at each shard."""
    for server in servers:
        for name in "abcdefghijklmnop":
            try:
                if server.store.pending_cluster(name) is None:
                    await server.create_cluster(name)
            except NotOwned:
                continue
            cluster = server.store.pending_cluster(name)
            assert cluster is not None
            for n in range(20):
                pending = server.store.commit(cluster, [put(f"m{n}", value)])
            done = asyncio.Event()
            pending.group.when_durable(done.set)
            await done.wait()


def content(directory: Path) -> dict[int, Pairs]:
    found = {}
    for number in (1, 2):
        engine = RocksdbEngine(str(directory / f"shard-{number}" / "data"), read_only=True)
        found[number] = engine.scan(keyspace.OBJECTS, b"", keyspace.END, 100_000)
        engine.close()
    return found


async def test_a_set_restored_is_what_was_there(made: Installation, place: Path) -> None:
    store, root = DirectoryStore(place / "backups"), place / "restored"
    async with running(made) as servers:
        await fill(servers, "first")
        found = await make_set(made, store, datetime.now(UTC))
        revisions = [server.store.durable_revision for server in servers]
        assert all(part.revision <= newest for part, newest in zip(found.parts[1:], revisions, strict=True))
        held = [
            server.store.find_cluster(name)
            for server in servers
            for name in "abcdefghijklmnop"
            if _is_ours(server, name)
        ]
    assert content(made.root)[1] and content(made.root)[2]
    assert not list((made.root / "shard-1" / "checkpoints").iterdir())
    assert await asyncio.to_thread(restore_set, store, found, root) == []
    assert content(root) == content(made.root)
    assert all(verify(str(root / f"shard-{number}" / "data")) == [] for number in (1, 2))
    assert (root / "pki" / "serving-ca.key").read_bytes() == (made.pki / "serving-ca.key").read_bytes()
    assert (root / "pki" / "serving-ca.key").stat().st_mode & 0o777 == 0o600
    again = installation.load(root)
    assert again is not None and (again.id, again.shards) == (made.id, 2)
    async with running(again) as servers:
        for cluster in held:
            assert cluster is not None
            server = next(each for each in servers if _is_ours(each, cluster.path))
            present = server.store.find_cluster(cluster.path)
            assert present is not None and present.id == cluster.id
            with pytest.raises(Compacted):
                server.store.log(present, max(revisions), max(revisions) + 1, 10)
            pending = server.store.commit(present, [put("m1", "after")])
            assert pending.revision > max(revisions)


def _is_ours(server: ShardServer, path: str) -> bool:
    try:
        server._placement.ownership.check(path)
    except NotOwned:
        return False
    return server.store.pending_cluster(path) is not None


async def test_the_next_set_sends_only_what_is_new(made: Installation, place: Path) -> None:
    store = DirectoryStore(place / "backups")
    async with running(made) as servers:
        await fill(servers, "first")
        first = await make_set(made, store, datetime.now(UTC) - timedelta(hours=2))
        before = {entry.key for entry in store.list(FILES)}
        await fill(servers, "second")
        second = await make_set(made, store, datetime.now(UTC))
    shared = {file.sha256 for file in first.files} & {file.sha256 for file in second.files}
    assert any(file.name.endswith(".sst") and file.sha256 in shared for file in second.files)
    assert {entry.key for entry in store.list(FILES)} > before
    assert [each.id for each in read_sets(store)] == [first.id, second.id]
    # The older one goes, and what only it had; the newer one stays whole.
    gone = delete_outlived(store, datetime.now(UTC), 1, None, grace=timedelta(0))
    assert [each.id for each in gone] == [first.id]
    only_in_first = before - {file_key(file.sha256) for file in second.files}
    assert only_in_first and not only_in_first & {entry.key for entry in store.list(FILES)}
    assert list(content_faults(store, chosen(store, None))) == []


async def test_damage_is_found_and_not_restored(made: Installation, place: Path) -> None:
    store = DirectoryStore(place / "backups")
    async with running(made) as servers:
        await fill(servers, "first")
        found = await make_set(made, store, datetime.now(UTC))
    sst = next(file for file in found.parts[1].files if file.name.endswith(".sst"))
    path = place / "backups" / "files" / sst.sha256[:2] / sst.sha256
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    assert [fault for fault in content_faults(store, found)] == [f"shard 1: {sst.name} is damaged"]
    with pytest.raises(Refused, match="is damaged in the backup"):
        await asyncio.to_thread(restore_set, store, found, place / "restored")
    assert not (place / "restored").exists()
    path.unlink()
    assert [fault for fault in content_faults(store, found)] == [f"shard 1: {sst.name} is missing"]
    path.write_bytes(whole)
    runner = CliRunner()
    place_given = ["--place", str(place / "backups")]
    done = await asyncio.to_thread(runner.invoke, main, ["backup", "verify", "--deep", *place_given])
    assert done.exit_code == 0 and "no faults" in done.output, done.output


@pytest.mark.parametrize("step", ["shard", "store", "manifest"])
async def test_a_backup_that_fails_leaves_no_set(
    made: Installation, place: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryStore(place / "backups")
    put_into = store.put

    def failing(key: str, *more: object) -> None:
        if step == "store" and key.startswith(FILES) and len(list(store.list(FILES))) > 5:
            raise Refused("the store is full")
        if step == "manifest" and not key.startswith(FILES):
            raise Refused("the store is full")
        put_into(key, *more)  # type: ignore[arg-type]

    async with running(made) as servers:
        await fill(servers, "first")
        monkeypatch.setattr(store, "put", failing)
        if step == "shard":
            failpoints.arm("checkpoint.made", "full")
        try:
            with pytest.raises(Refused):
                await make_set(made, store, datetime.now(UTC))
        finally:
            failpoints.armed.clear()
        assert read_sets(store) == []
        assert not list((made.root / "shard-1" / "checkpoints").glob("*"))
        monkeypatch.setattr(store, "put", put_into)
        found = await make_set(made, store, datetime.now(UTC) + timedelta(seconds=2))
    assert list(content_faults(store, found)) == []


async def test_a_map_that_changes_is_waited_for(
    made: Installation, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAUSE_S", 0.0)
    store, asked = DirectoryStore(place / "backups"), []

    async def moving(made: Installation) -> object:
        found = await current_map(made)
        asked.append(found.epoch)
        if len(asked) <= most:
            found.epoch += len(asked)
        return found

    monkeypatch.setattr(backup, "current_map", moving)
    async with running(made):
        most = 2
        assert (await make_set(made, store, datetime.now(UTC))).map_epoch > 0
        asked.clear()
        most = 100
        with pytest.raises(Refused, match="keeps changing"):
            await make_set(made, store, datetime.now(UTC) + timedelta(seconds=2))


async def test_commands(made: Installation, place: Path) -> None:
    runner, given = CliRunner(), ["--place", str(place / "backups")]
    root = ["--root-directory", str(made.root)]
    async with running(made) as servers:
        await fill(servers, "first")
        done = await asyncio.to_thread(runner.invoke, main, ["backup", "create", *root, *given, "--keep", "3"])
        assert done.exit_code == 0 and "2 shards" in done.output, done.output
    listed = await asyncio.to_thread(runner.invoke, main, ["backup", "list", *given, "-o", "json"])
    found: BackupSet = chosen(DirectoryStore(place / "backups"), None)
    assert f'"set": "{found.id}"' in listed.output
    new = ["--root-directory", str(place / "new")]
    restored = await asyncio.to_thread(runner.invoke, main, ["backup", "restore", found.id, *given, *new])
    assert restored.exit_code == 0, restored.output
    again = await asyncio.to_thread(runner.invoke, main, ["backup", "restore", *given, *new])
    assert again.exit_code == 1 and "is not empty" in again.output
    one = ["--shard", "2", "--data", str(place / "one" / "data")]
    alone = await asyncio.to_thread(runner.invoke, main, ["backup", "restore", *given, *one])
    assert alone.exit_code == 0 and (place / "one" / "data").exists(), alone.output
    for wrong, sentence in (
        (["restore", "20000101T000000Z", *given, *new], "there is no set"),
        (["restore", *given, "--shard", "9", "--data", "x"], "has no shard 9"),
        (["restore", *given, "--shard", "1"], "go together"),
        (["create", *root, *given], "is it running"),
        (["create", *root, *given, "--every", "soon"], "no duration"),
        (["verify", "--place", str(place / "none")], "there is no backup"),
    ):
        refused = await asyncio.to_thread(runner.invoke, main, ["backup", *wrong])
        assert refused.exit_code != 0 and sentence in refused.output, refused.output
    pruned = await asyncio.to_thread(runner.invoke, main, ["backup", "prune", *given, "--keep", "1"])
    assert pruned.exit_code == 0 and pruned.output == ""


def test_a_restart_makes_no_set_before_its_time() -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    made = BackupSet("i", now - timedelta(hours=1), "id", 1, 1, 1, "0", ())
    assert due_s([], now, timedelta(hours=6)) == 0
    assert due_s([made], now, timedelta(hours=6)) == 5 * 3600
    assert due_s([made], now, timedelta(minutes=6)) == 0


async def test_what_is_sealed_stays_sealed(made: Installation, place: Path) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    provider = {"aesgcm": {"keys": [{"name": "k", "secret": key}]}}
    rule = {"resources": ["configmaps"], "providers": [provider]}
    document = {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": [rule]}
    configuration = place / "encryption.yaml"
    configuration.write_text(json.dumps(document))
    configuration.chmod(0o600)
    sealing = f"--encryption-provider-config={configuration}"
    store, root, secret = DirectoryStore(place / "backups"), place / "restored", "plain-to-be-sealed"
    async with running(made, sealing) as servers:
        await fill(servers, secret)
        found = await make_set(made, store, datetime.now(UTC))
    for entry in store.list(FILES):
        assert secret.encode() not in b"".join(store.get(entry.key)), entry.key
    given = ["--place", str(place / "backups")]
    runner = CliRunner()
    blind = await asyncio.to_thread(runner.invoke, main, ["backup", "verify", "--deep", *given])
    assert blind.exit_code == 1 and "encryption" in blind.output.lower(), blind.output
    seeing = ["--encryption-provider-config", str(configuration)]
    done = await asyncio.to_thread(runner.invoke, main, ["backup", "verify", "--deep", *seeing, *given])
    assert done.exit_code == 0, done.output
    await asyncio.to_thread(restore_set, store, found, root)
    assert secret.encode() not in b"".join(path.read_bytes() for path in root.rglob("*.sst"))
    again = installation.load(root)
    assert again is not None
    async with running(again, sealing) as servers:
        server = next(each for each in servers if _is_ours(each, "a"))
        cluster = server.store.find_cluster("a")
        assert cluster is not None
        value = server.store.get(cluster, "configmaps", "default", "m1")
        assert value is not None and secret.encode() in value
