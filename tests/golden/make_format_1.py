"""Makes tests/golden/format-1.tar.gz and format-1.json: a data directory of format 1 and what it holds.

Run once, with the release that introduced the format; later releases must open the result, so never make it anew:

    python -m tests.golden.make_format_1
"""

import asyncio
import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from kcpshard.settings import Settings
from kcpshard.storage import envelope
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from tests.contracts.stored_objects import CLASSES, put, remove

HERE = Path(__file__).parent
START_US = 1_800_000_000_000_000


def contents(store: Store) -> dict[str, Any]:
    """Everything that a client can see: present objects, and the log of each logical cluster."""
    found: dict[str, Any] = {}
    for cluster in store.clusters():
        objects = [
            [group_resource, item.namespace, item.name, envelope.body(item.value).decode()]
            for group_resource in sorted(CLASSES)
            for item in store.scan(cluster, group_resource, "", 0, None, 999)
        ]
        log = [
            [change.type.name, change.revision, change.group_resource, change.namespace, change.name]
            for commit in store.log(cluster, max(cluster.oldest), 1 << 62, 999, retention=-1)
            for change in commit.changes
        ]
        found[cluster.path] = {"id": cluster.id, "oldest": cluster.oldest, "objects": objects, "log": log}
    return found


async def make(directory: str) -> dict[str, Any]:
    now_us = START_US
    engine = RocksdbEngine(directory)
    store = Store(engine, 3, lambda: now_us, Settings())
    root, _ = store.create_cluster("root", [put("a", labels={"app": "x"}), put("b"), put("gone")])
    store.create_cluster("root:team", [put("ünï", annotations={"note": "kept"}), put("e", group_resource="events")])
    store.commit(root, [put("l", group_resource="leases.coordination.k8s.io", fields={"spec.holder": "me"})])
    await asyncio.sleep(0.1)
    await store.compact(START_US + 400_000_000)
    now_us = START_US + 500_000_000
    store.commit(root, [remove("gone"), put("a", data="2", labels={"app": "y"})], b"0123456789abcdef", 200)
    store.commit(root, [put("l", group_resource="leases.coordination.k8s.io", data="again")])
    await asyncio.sleep(0.1)
    engine.flush()
    store.commit(root, [put("only in the log file")])
    store.put_meta({b"owner": b"\1"})
    await asyncio.sleep(0.1)
    found = contents(store)
    # Copied as a dying process would leave it: closing moves what is in the log file into tables.
    shutil.copytree(directory, f"{directory}-left")
    await store.close()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(make(f"{directory}/data"))
        (HERE / "format-1.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        with tarfile.open(HERE / "format-1.tar.gz", "w:gz") as archive:
            for path in sorted(Path(directory, "data-left").iterdir()):
                if not path.name.startswith("LOG"):  # RocksDB's messages name the machine
                    archive.add(path, f"data/{path.name}")


if __name__ == "__main__":
    main()
