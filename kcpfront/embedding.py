"""A whole server in this process, for tests: memory engine, no gRPC, an event loop and thread of its own.

    with kcpfront.embedded() as server:
        subprocess.run(["kubectl", "--kubeconfig", server.kubeconfig, "get", "namespaces"], check=True)
        cluster = server.create_cluster()      # a logical cluster that nobody else uses

It is the same front, the same verbs and the same controllers as in production, spoken to over HTTPS on the loopback
interface; what is left out is what a test does not want: disk, other processes, the wire between front and shard.
This module is where both halves meet; nothing else of a front may know a shard's insides.
"""

import asyncio
import base64
import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import uvloop
import yaml

from kcp import certificates, kubeconfig, tokens
from kcp.certificates import Subject
from kcp.files import make_private_directory
from kcpfront.credential_files import CredentialFiles
from kcpfront.routing.authority_feed import AuthorityFeed
from kcpfront.routing.one_shard import OneShard
from kcpfront.server import Front
from kcpfront.settings import Settings
from kcpshard.local_shard import LocalShard
from kcpshard.local_watch import LocalWatchTransport
from kcpshard.options import Options
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Connection
from kcpshard.rpc.watch_client import WatchClient
from kcpshard.server import ShardServer

HOST = "127.0.0.1"
DRAIN_S = 0.5  # a test that stops its server has nothing in flight but idle connections
START_S = 30.0  # a start takes a fifth of a second; a machine that swaps may take longer
T = TypeVar("T")


class EmbeddedCluster(NamedTuple):
    """One logical cluster and all that a client needs to talk to it as its administrator."""

    path: str  # "root:team"
    url: str  # https://127.0.0.1:PORT/clusters/root:team
    token: str
    authority: str  # PEM of the CA that signed the server's certificate
    authority_file: Path
    kubeconfig: Path  # mode 0600; goes with the server
    sync_address: str = ""  # where agents of physical clusters find its shard


# A test's webhooks are in its own process.
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class EmbeddedServer:
    """Serves between `start` and `stop`, or as a context manager. The files it makes are gone after `stop`."""

    def __init__(self, api_set: str = "minimal", controllers: str = "*", port: int = 0) -> None:
        """`api_set` and `controllers` as for `kcp start`; `port` 0 takes a free one."""
        self._api_set, self._controllers, self._port = api_set, controllers, port
        self._directory: Path | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._shard: ShardServer | None = None
        self._numbers = itertools.count(1)
        self._clusters: dict[str, EmbeddedCluster] = {}
        self.url = self.token = self.authority = ""

    # --- life

    def start(self) -> Self:
        """Returns when requests are answered. Raises what kept it from it."""
        if self._thread is not None:
            raise RuntimeError("the embedded server runs already")
        self._directory = Path(tempfile.mkdtemp(prefix="kcp-embedded-"))  # 0700
        self._make_credentials()
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="kcp-embedded", daemon=True)
        self._thread.start()
        try:
            port = ready.result(START_S)
        except BaseException:
            self.stop()
            raise
        self.url = f"https://{HOST}:{port}"
        return self

    def stop(self) -> None:
        """Finish what is in flight, then end. Harmless if it does not run."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        if self._thread is not None:
            self._thread.join()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._thread = self._directory = self._loop = self._stop = self._shard = None
        self._clusters.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # --- what clients need

    @property
    def kubeconfig(self) -> Path:
        """Of the logical cluster `root`."""
        return self.cluster("root").kubeconfig

    @property
    def sync_address(self) -> str:
        """Where agents of physical clusters find the shard."""
        assert self._directory is not None, "the embedded server does not run"
        return f"unix:{self._directory}/sync.sock"

    @property
    def authority_file(self) -> Path:
        return self._pki / "serving-ca.crt"

    def cluster(self, path: str) -> EmbeddedCluster:
        """How to talk to the logical cluster at `path`, which need not be there yet."""
        found = self._clusters.get(path)
        if found is None:
            assert self._directory is not None, "the embedded server does not run"
            file = self._directory / f"{path.replace(':', '.')}.kubeconfig"
            _write_private(file, yaml.safe_dump(self._document(path), sort_keys=False).encode())
            url = f"{self.url}/clusters/{path}"
            found = EmbeddedCluster(path, url, self.token, self.authority, self.authority_file, file, self.sync_address)
            self._clusters[path] = found
        return found

    def create_cluster(self, path: str = "") -> EmbeddedCluster:
        """A new logical cluster, with its namespaces; by default under a name not used before."""
        path = path or f"test-{next(self._numbers)}"
        self.run(self._bear, path)
        return self.cluster(path)

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        """Run a coroutine function on the server's loop and wait for its result."""
        assert self._loop is not None, "the embedded server does not run"
        return asyncio.run_coroutine_threadsafe(function(*arguments), self._loop).result(START_S)

    # --- parts

    @property
    def _pki(self) -> Path:
        assert self._directory is not None, "the embedded server does not run"
        return self._directory / "pki"

    def _make_credentials(self) -> None:
        now = certificates.now_utc()
        authority = certificates.make_authority("kcp embedded", now)
        serving = certificates.issue(authority, Subject("kcp front"), now, [HOST, "localhost", "::1"])
        administrator = tokens.administrator()
        make_private_directory(self._pki)
        for name, content in (
            ("serving-ca.crt", authority.certificate),
            ("client-ca.crt", authority.certificate),
            ("client-ca.key", authority.key),
            ("serving.crt", serving.certificate),
            ("serving.key", serving.key),
            ("tokens.csv", tokens.format_tokens([administrator]).encode()),
        ):
            _write_private(self._pki / name, content)
        self.token, self.authority = administrator.token, authority.certificate.decode()

    def _document(self, path: str) -> dict[str, Any]:
        """A kubeconfig with one context."""
        cluster = {
            "server": f"{self.url}/clusters/{path}",
            "certificate-authority-data": base64.b64encode(self.authority.encode()).decode(),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": path,
            "clusters": [{"name": path, "cluster": cluster}],
            "contexts": [{"name": path, "context": {"cluster": path, "user": kubeconfig.USER}}],
            "users": [{"name": kubeconfig.USER, "user": {"token": self.token}}],
        }

    def _serve(self, ready: "Future[int]") -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self._loop = runner.get_loop()
            try:
                runner.run(self._main(ready))
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

    async def _main(self, ready: "Future[int]") -> None:
        self._stop = stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            self._shard = shard = ShardServer(self._options(), tasks)
            await shard.start()
            caller = LocalShard(shard.execution, shard.upstreams)
            watcher = WatchClient(LocalWatchTransport(shard.watch), "embedded")
            links = tasks.create_task(watcher.run())
            files = CredentialFiles(self._pki, self._pki / "tokens.csv")
            shards = OneShard(caller, watcher)
            front = Front(shards, shards, files, Settings(drain_s=DRAIN_S), connector=_LocalConnector(shard))
            shard.follow_map(lambda newest: front.take_keys(newest.keys))
            authorities = AuthorityFeed(
                lambda _address: shard.tenant_authorities.follow(), front.take_tenant_authorities
            )
            authorities.update([pb.ShardEntry(number=1, address="here")])
            feed = tasks.create_task(authorities.run())
            try:
                port = await front.start(HOST, self._port)
            except BaseException:
                await shard.stop()  # what listens for agents would outlive its loop
                raise
            shard.serve_at(f"https://{HOST}:{port}")
            ready.set_result(port)
            await front.run(stop)
            links.cancel()
            feed.cancel()
            caller.close()
            await shard.stop()
        await asyncio.sleep(0)  # connections that were cut off learn of it in the next turn

    def _options(self) -> Options:
        return Options(
            data="", number=1, initial_shards=1, front_socket="", admin_socket="",
            sync_socket=self.sync_address.removeprefix("unix:"), peers=(),
            accept_clock=False, listen="", tls_directory="", join_listen="", pki="", engine="memory",
            api_set=self._api_set, endpoint="", controllers=self._controllers, root_ca_file=str(self.authority_file),
            encryption_provider_config="", callout_allow=_LOOPBACK, log_level="warning", log_format="text",
        )  # fmt: skip

    async def _bear(self, path: str) -> None:
        assert self._shard is not None, "the embedded server does not run"
        await self._shard.create_cluster(path)


class _LocalConnector:
    """Connections of this process's shard."""

    def __init__(self, shard: ShardServer) -> None:
        self._shard = shard

    async def connect(self, shard: int, ticket: bytes, head: bytes, deadline: float) -> Connection:
        async with asyncio.timeout_at(deadline):
            return await self._shard.connections.use(ticket, head)


def embedded(api_set: str = "minimal", controllers: str = "*", port: int = 0) -> EmbeddedServer:
    """A server in this process: use it as a context manager. See EmbeddedServer."""
    return EmbeddedServer(api_set, controllers, port)


def _write_private(path: Path, content: bytes) -> None:
    """Mode 0600; a test's files need not survive a power cut, so nothing is synced."""
    path.touch(mode=0o600)
    path.write_bytes(content)
