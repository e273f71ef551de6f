"""`make bench-authorisation`: what authentication and authorisation add to a get, in user instructions.

A get goes through the front's handler chain and the shard's verbs in one process, without HTTP, TLS and gRPC, so that
the share shown is larger than a client's. Against it stands the same with the identity given and every question of
rights left out. 1 000 logical clusters have 100 bindings each; each get is of one of them at random, by a user whom one
of its bindings names. Everything is asked once before it counts, between two marks of one process under callgrind. What
audit records at level Metadata, two for each get on a file, add to that is counted along, the writing of them included.

usage: python -m benchmarks.authorisation_micro [--clusters N] [--time]
"""

import argparse
import asyncio
import gc
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.micro import begin_counting, end_counting, instructions_between_marks

LIMIT = 1.15
TIMES = 1000  # an end of audit's batches and a turn of the collector may lie on either side: below a hundredth
BINDINGS = 100
GROUP = "rbac.authorization.k8s.io"
TOKEN = "t0ken"
MODES = ("rbac", "open", "audit")
POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"


def path_of(number: int) -> str:
    return f"tenant-{number}"


class EveryPath:
    def check(self, path: str) -> None:
        return None


def now_us() -> int:
    return time.time_ns() // 1000


def opened(directory: str) -> Any:
    from kcpshard.authorization.bootstrap import bootstrap_objects
    from kcpshard.settings import Settings
    from kcpshard.storage.object_store import Store
    from kcpshard.storage.rocksdb_engine import RocksdbEngine
    from kcpshard.storage.template import Template

    settings = Settings()
    template = Template(bootstrap_objects())
    return Store(RocksdbEngine(directory, settings), 1, now_us, settings, template=template)


# --- the data


def _put(kind: str, plural: str, group: str, namespace: str, name: str, rest: dict[str, Any]) -> Any:
    from kcpshard.storage.contract import Put
    from kcpshard.storage.envelope import encode_object

    api_version = f"{group}/v1" if group else "v1"
    uid = str(uuid.uuid4())
    meta = {"name": name, "uid": uid, "creationTimestamp": "2024-01-01T00:00:00Z"}
    if namespace:
        meta["namespace"] = namespace
    document = {"apiVersion": api_version, "kind": kind, "metadata": meta, **rest}
    json, hole, annotations = encode_object(document)
    resource = f"{plural}.{group}" if group else plural
    return Put(resource, namespace, name, json, hole, annotations, uid, api_version, {}, {})


def _objects() -> list[Any]:
    rule = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]}
    found = [
        _put("ClusterRole", "clusterroles", GROUP, "", "reader", {"rules": [rule]}),
        _put("ConfigMap", "configmaps", "", "default", "a", {"data": {"value": "1", "pad": "x" * 900}}),
    ]
    for number in range(BINDINGS):
        user = "user" if number == BINDINGS // 2 else f"somebody-{number}"
        subject = {"kind": "User", "apiGroup": GROUP, "name": user}
        role = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "reader"}
        rest = {"roleRef": role, "subjects": [subject]}
        found.append(_put("RoleBinding", "rolebindings", GROUP, "default", f"b-{number}", rest))
    return found


async def fill(directory: str, clusters: int) -> None:
    store = opened(directory)
    for number in range(clusters):
        store.create_cluster(path_of(number), _objects())
        if number % 20 == 19:
            await asyncio.sleep(0)
    await store.close()


# --- the run


async def run(directory: str, mode: str, clusters: int, times: int) -> float:
    """CPU seconds of `times` gets."""
    from kcpfront.credential_files import CredentialFiles
    from kcpfront.server import Front
    from kcpshard.definitions.catalog import Catalog
    from kcpshard.execution import Execution
    from kcpshard.local_shard import LocalShard
    from kcpshard.verbs import dispatch as verbs
    from kcpshard.verbs.shard import Shard
    from tests.kcpfront.exchanges import exchange

    store = opened(directory)
    shard = Shard(store, Catalog(), EveryPath(), now_us)
    asked: Callable[[Any], Any] = lambda request: verbs.dispatch(shard, request)  # noqa: E731
    if mode == "open":
        asked = lambda request: verbs._VERBS[request.verb](shard, request)  # noqa: E731
    async with asyncio.TaskGroup() as tasks:
        local = LocalShard(Execution(asked, tasks))
        files = CredentialFiles(Path(directory).parent, _token_file(directory))
        trail = _trail(directory) if mode == "audit" else None
        front = Front(local, local, files, trail=trail)  # type: ignore[arg-type]
        chain = front._edge.handle
        if mode == "open":
            _let_everybody_in(chain)
        headers = {"Accept": "application/json", "User-Agent": "bench", "Authorization": f"Bearer {TOKEN}"}

        async def get(number: int) -> None:
            url = f"/clusters/{path_of(number % clusters)}/api/v1/namespaces/default/configmaps/a"
            reply = await chain(exchange(url, headers=headers))
            if reply is None or reply.code != 200:
                raise RuntimeError(reply)

        for number in range(clusters):
            await get(number)
        order = random.Random(1)  # the same for both sides
        await asyncio.sleep(0.5)  # audit records of the above are written
        # As both programs do, once they serve: else the collector looks through all bindings again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        begin_counting()
        began = time.process_time()
        for _ in range(times):
            await get(order.randrange(clusters))
        if trail is not None:
            await _written(trail)  # no get above has left the loop to whoever formats and writes
        spent = time.process_time() - began
        end_counting()
        await front.stop()
        local.close()
    await store.close()
    return spent


async def _written(trail: Any) -> None:
    while trail._waiting:
        trail._format()
    for place in trail.places:
        await place.written()


def _trail(directory: str) -> Any:
    from kcpfront.audit.trail import AuditOptions, open_trail

    policy = Path(directory).parent / "policy.yaml"
    policy.write_text(POLICY)
    return open_trail(AuditOptions(str(policy), str(policy.with_name("audit.log"))))


def _token_file(directory: str) -> Path:
    path = Path(directory).parent / "tokens.csv"
    path.write_text(f"{TOKEN},user,1\n")
    return path


def _let_everybody_in(chain: Any) -> None:
    from kcpshard.api.requests import Identity

    identity = Identity("user", "1", ("system:authenticated",)).encode()

    class Nobody:
        async def authenticate(self, exchange: Any) -> None:
            exchange.identity = identity

    chain.__self__._authenticator = Nobody()


def counted(directory: str, mode: str, clusters: int, times: int) -> int:
    command = [sys.executable, "-m", "benchmarks.authorisation_micro", "--run", directory, mode, str(times)]
    command += ["--clusters", str(clusters)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("KCP_VERIFY", None)
    found = instructions_between_marks(command, environment)
    if found is None:
        raise SystemExit("without valgrind nothing can be counted here")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--time", action="store_true", help="CPU microseconds instead of instructions")
    parser.add_argument("--run", nargs=3, metavar=("DIRECTORY", "MODE", "TIMES"))
    options = parser.parse_args()
    if options.run:
        directory, mode, times = options.run
        spent = asyncio.run(run(directory, mode, options.clusters, int(times)))
        print(f"{spent / max(int(times), 1) * 1e6:.2f}")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        directory = str(Path(temporary) / "data")
        asyncio.run(fill(directory, options.clusters))
        return print_share(directory, options.clusters, options.time)


def print_share(directory: str, clusters: int, by_time: bool) -> int:
    costs = []
    for mode in MODES:
        if by_time:
            command = [sys.executable, "-m", "benchmarks.authorisation_micro", "--run", directory, mode, "20000"]
            done = subprocess.run([*command, "--clusters", str(clusters)], capture_output=True, text=True, check=True)
            costs.append(float(done.stdout))
        else:
            costs.append(counted(directory, mode, clusters, TIMES) / TIMES)
        print(f"{mode:6} {costs[-1]:>12,.1f} {'µs' if by_time else 'instructions'} a get", flush=True)
    share = costs[0] / costs[1]
    print(f"audit records at level Metadata add {costs[2] / costs[0] * 100 - 100:.1f} %")
    print(f"authentication and authorisation add {share * 100 - 100:.1f} % ({clusters} logical clusters)")
    return 0 if share <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
