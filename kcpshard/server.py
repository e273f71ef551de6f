"""A shard process: builds the object graph, starts it, drains and stops it. Decides nothing else.

Life: engine and store open → placement says whether we may serve → listeners → until a signal, or until another
directory turns out to be this shard → streams are drained → listeners, tasks, placement and store are closed.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc.aio

from kcpshard.api import loop_time
from kcpshard.api.errors import TooManyRequests
from kcpshard.api.resource_versions import revision_microseconds
from kcpshard.api.slots import slot_of
from kcpshard.authorization.bootstrap import bootstrap_objects
from kcpshard.authorization.webhook import Webhook
from kcpshard.bootstrap.authority import Authority
from kcpshard.bootstrap.renewal import renewed
from kcpshard.bootstrap.token_file import TokenFile
from kcpshard.bootstrap_service import BootstrapService
from kcpshard.callouts.addresses import AddressPolicy, parse_networks
from kcpshard.callouts.calls import Callouts
from kcpshard.connection_service import ConnectionService
from kcpshard.controllers import assembly, logical_clusters, remote_api_probes, switches
from kcpshard.controllers.arrived_clusters import ArrivedClusters
from kcpshard.controllers.custom_definitions import CustomDefinitions
from kcpshard.controllers.front_proxy_config import FrontProxyConfig
from kcpshard.controllers.remote_api_probes import RemoteApiProbes
from kcpshard.credentials.front_proxy import FrontProxyCertificates
from kcpshard.credentials.keys import KeyRing
from kcpshard.credentials.service_account_tokens import TokenIssuer
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.local_api_services import local_api_services
from kcpshard.definitions.service_endpoints import ServiceEndpoints
from kcpshard.encryption.resealing import Resealing
from kcpshard.encryption.sealed_data import open_sealed
from kcpshard.execution import Execution, Job
from kcpshard.flowcontrol.flows import Flows
from kcpshard.local_shard import LocalShard
from kcpshard.metrics import ProcessMetrics
from kcpshard.offload.writes import OffloadedWrites
from kcpshard.options import Options
from kcpshard.peers import Peers
from kcpshard.placement.key_objects import KeyObjects
from kcpshard.placement.shard_objects import ShardObjects
from kcpshard.placement.shard_placement import ShardPlacement
from kcpshard.placement.tenant_authorities import TenantAuthorities
from kcpshard.placement_service import AdminService, PlacementService
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc as pb_grpc
from kcpshard.rpc.contract import Result
from kcpshard.rpc.messages import PROTOCOL, SOFTWARE
from kcpshard.rpc.roles import ADMIN, ANYONE, FRONT, SHARD, SYNCER, RoleInterceptor, RolesOf, certificate_roles
from kcpshard.rpc.roles import fixed_roles as only
from kcpshard.rpc.transport import SERVER_OPTIONS, Dialler, TlsDirectory, TlsFiles, files_of, listen
from kcpshard.service import SessionService
from kcpshard.settings import Settings, adjusted
from kcpshard.storage import keyspace
from kcpshard.storage.checkpoints import Checkpoints
from kcpshard.storage.contract import KeyValueEngine, LogicalCluster
from kcpshard.storage.damage import damage_of
from kcpshard.storage.durability import durable
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.template import Template
from kcpshard.sync_service import SyncService
from kcpshard.syncing.agents import Agents
from kcpshard.syncing.identity import syncer_roles
from kcpshard.tenancy.copies import Copies
from kcpshard.tenancy.shown_objects import tenancy_objects
from kcpshard.upgraded_requests import UpgradeService
from kcpshard.verbs import births, cluster_limits, inheritance
from kcpshard.verbs.birth_contents import BirthContents, shown_objects
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.impersonation import claimed
from kcpshard.verbs.outcome import NotOwned
from kcpshard.verbs.shard import SYSTEM, Shard
from kcpshard.watch_service import WatchService
from kcpshard.workers.loop_turns import LoopTurns
from kcpshard.workers.pool import WorkerPool

_log = logging.getLogger(__name__)

DAMAGE_PAUSE_S = 30.0  # of background work that met a damaged block
_CLEARING_S = 1.0  # between looks for logical clusters that have died
DRAIN_S = 10.0  # what is in flight gets this long to end
_UNBORN_REQUESTS = 1_024  # of a path without a logical cluster
CREDITS_PER_CLUSTER = 128  # requests one logical cluster may have in flight per front; see rpc.credits


def now_us() -> int:
    return time.time_ns() // 1000


class ShardServer:
    """One shard in this process. `start` it inside a TaskGroup, then `serve` until told to stop, then `stop`."""

    def __init__(self, options: Options, tasks: asyncio.TaskGroup) -> None:
        self._options, self._tasks = options, tasks
        chosen = Settings(accept_clock=options.accept_clock)
        self._settings = adjusted(chosen, os.environ.get("KCP_SHARD_SETTINGS", ""))
        self._tls = TlsDirectory(options.tls_directory) if options.tls_directory else None
        self._engine = _open_engine(options, self._settings)
        sealed = open_sealed(self._engine, options.encryption_provider_config, options.number, now_us())
        if sealed is not None:
            self._engine = sealed.engine
        catalog = Catalog(options.api_set)
        template = Template(
            [
                *bootstrap_objects(),
                *local_api_services(catalog.resources(None)),
                *shown_objects(catalog.resources(None)),
            ],
            tenancy_objects(lambda: self._shard.url),
        )
        self.store = Store(self._engine, options.number, now_us, self._settings, template=template)
        entry = _entry(options)
        self._dial = Dialler(self._tls)
        shards = ShardObjects(self.store, now_us)
        keys = KeyObjects(self.store, now_us)
        self._placement = ShardPlacement(
            self.store,
            entry,
            options.peers,
            self._dial,
            options.initial_shards,
            shards.write,
            keys,
            now_us,
            self._settings.departed_grace_s,
        )
        self.tenant_authorities = TenantAuthorities(self.store, self._serves)
        self._keys = KeyRing()
        enabled = switches.enabled(options.controllers)
        contents = assembly.namespace_contents(enabled, _root_certificate(options.root_ca_file))
        self._callouts = Callouts(AddressPolicy(options.callout_allow), ServiceEndpoints(self.store).addresses)
        self._callouts.certificate = FrontProxyCertificates(self._keys, now_us).pair
        birth = BirthContents(catalog.resources(None) if options.api_set == "full" else (), options.endpoint)
        self._shard = Shard(
            self.store, catalog, self._placement.ownership, now_us, contents, self._callouts, birth=birth
        )
        # Where an operator's webhooks are is the operator's business, not that of the policy for tenants.
        self._operators_callouts = Callouts(AddressPolicy(parse_networks(("0.0.0.0/0", "::/0"))))
        self._shard.url = options.url or f"https://{options.endpoint or 'localhost'}"
        steps = options.authorization
        self._shard.authorizer.ask_also(
            [step if isinstance(step, str) else Webhook(step, self._operators_callouts, tasks) for step in steps]
        )
        self._shard.issuer = TokenIssuer(self._keys, options.service_account_issuer, options.api_audiences)
        self.workers = WorkerPool()
        self._shard.elsewhere = OffloadedWrites(self.workers.run)
        catalog.custom_openapi.run = self.workers.run
        if catalog.remote_openapi is not None:
            catalog.remote_openapi.run = self.workers.run
        loop_time.bound()
        cluster_limits.follow(self.store)
        turns = LoopTurns(self._weight)
        self._shard.turn = turns.turn
        self._flows: Flows[Job] = Flows(
            self.store, self._seats, claimed, cluster_limits.NAME, self._shard.authorizer.is_stranger
        )
        self._shard.authorizer.on_change(self._flows.rights_changed)
        self._shard.levels = self._flows.levels
        self.execution = Execution(partial(dispatch, self._shard), tasks, turns, self._most_requests, self._flows)
        self.upstreams = self._shard.upstreams
        upgrades = UpgradeService(self.execution, self.upstreams, self._hello)
        self._session = SessionService(self.execution, self._hello, upgrades)
        self._shard.connections.shard = options.number
        self.connections = ConnectionService(self._shard.connections, self._shard.tunnels)
        self.watch = WatchService(self._shard, self._hello, self._settings, tasks.create_task)
        self.watch.end_watches_on_change(catalog)
        self.watch.limit(self._let_in)
        self.watch.end_watches_of_the_dead(self.store)
        self.agents = Agents(self._shard, self.execution, tasks)
        self.agents.authorities = self._shown_authorities
        self._shard.tunnels.send = self._ask_for_tunnel
        self._sync = SyncService(self.agents, self._hello, self._ask, self._serves)
        self._services: list[PlacementService] = []
        self._checkpoints: Checkpoints | None = None
        if options.engine == "rocksdb":
            place = Path(options.data).absolute().parent / "checkpoints"  # on the same file system: they are links
            self._checkpoints = Checkpoints(place, self._make_checkpoint, time.monotonic)
        self._admin = AdminService(
            self._placement,
            self.statistics,
            self._checkpoint,
            self.store.census,
            self._checkpoints,
            lambda: self.store.durable_revision,
            self._renew if options.join_listen else None,
        )
        self._custom_definitions = CustomDefinitions(self._shard, catalog)
        self._custom_definitions.run_job = self.workers.run
        self._controllers = assembly.assemble(self._shard, enabled)
        self._arrived = ArrivedClusters(self._controllers, self._custom_definitions, self.store, self.store.transfers)
        self._background = assembly.background(self._shard, enabled, self._settings)
        if remote_api_probes.NAME in enabled and catalog.remote is not None:
            config = FrontProxyConfig(self._shard, self._keys)
            probes = RemoteApiProbes(self._shard, catalog.remote, config, asyncio.get_running_loop().time)
            self._background.append(("remote APIs", probes.run))
            self._arrived.also.append(probes.look_through)
        self._resealing: Resealing | None = None
        if sealed is not None:
            self._resealing = Resealing(sealed.engine, sealed.ring, now_us, self._put_record)
            self._background.append(("sealing anew", self._resealing.run))
        self._shard.look_through = self._arrived.add
        self._background.append(("arrived logical clusters", self._arrived.run))
        self._follow_moves()
        self._metrics = ProcessMetrics(options.data if options.engine == "rocksdb" else "")
        self._peers: Peers | None = None
        self._local: LocalShard | None = None
        self._servers: list[grpc.aio.Server] = []
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Until requests are answered. Raises what the parts raise: see `__main__` for those with a sentence."""
        self.follow_map(self._take_keys)
        self.follow_map(self.agents.take_map)
        self._connect_peers()
        await self._placement.start()
        self._metrics.start()
        for server in self._listeners():
            await server.start()
            self._servers.append(server)
        self._running.append(self._tasks.create_task(self._placement.run()))
        self._running.append(self._tasks.create_task(self._placement.keep_keys()))
        self._running.append(self._tasks.create_task(self._placement.move_clusters()))
        for name, run in (
            ("custom definitions", self._custom_definitions.run),
            ("controllers", self._controllers.run),
            *self._background,
            ("client authorities", self.tenant_authorities.run),
            ("compaction", self._compact),
            ("clearing", self._clear),
            ("views", self.watch.check_views),
        ):
            self._running.append(self._tasks.create_task(_enduring(name, run)))

    async def stop(self) -> None:
        """Finish what is in flight, at most DRAIN_S, then close everything. Nothing acknowledged is lost either way."""
        for service in self._services:
            service.close()
        self.connections.close()
        self.tenant_authorities.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._session.drain())
                tasks.create_task(self.watch.drain())
                tasks.create_task(self._sync.drain())
                tasks.create_task(self.execution.wait_until_idle())
        for server in self._servers:
            await server.stop(None)
        self._metrics.stop()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        if self._shard.standing.copies is not None:
            self._shard.standing.copies.close()
        if self._peers is not None:
            self._peers.close()
        if self._local is not None:
            self._local.close()
        self.execution.close()
        await self._callouts.close()
        await self._operators_callouts.close()
        await self.workers.close()
        await self._placement.close()
        await self.store.close()

    async def create_cluster(self, path: str) -> None:
        """A new logical cluster, durable on return; for whoever embeds the shard. The path must be free."""
        cluster, _ = births.bear(self._shard, path)
        if cluster.born_in is not None:
            await durable(cluster.born_in)

    def _follow_moves(self) -> None:
        """Watches go where their logical clusters go; what comes is looked after."""
        hub, placement = self.watch.hub, self._placement
        agents = self.agents

        def release(path: str, moved_to: int, revision: int) -> None:
            hub.release(path, moved_to, revision)
            agents.left(path)

        placement.departures.on_release = release

        def release_slots(slots: Collection[int], moved_to: int, revision: int) -> None:
            gone = frozenset(slots)
            hub.release_where(lambda path: slot_of(path) in gone, moved_to, revision)

        def take_over(cluster: LogicalCluster, revision: int) -> None:
            hub.history.arrived(cluster.id, revision)
            self._arrived.add(cluster)
            agents.arrived(cluster)

        placement.commands.on_release = release_slots
        placement.arrivals.on_arrival = take_over

    def serve_at(self, url: str) -> None:
        """Where the fronts are: what new workspaces have as their URL."""
        self._shard.url = url

    def _let_in(self, start: pb.StartWatch, identity: bytes) -> None:
        cluster_limits.check_watch(self.store, start.cluster, self.watch.hub.number(start.cluster))
        flow = self._flows.of_watch(start, identity)
        if flow is not None and flow.level.is_short and not flow.may_start():
            self._flows.refused += 1
            raise TooManyRequests("Too many requests, please try again later.", retry_after_s=1)

    def _weight(self, path: str) -> float:
        cluster = self.store.pending_cluster(path)
        return cluster_limits.limits_of(self.store, cluster).weight / 100 if cluster is not None else 1.0

    def _seats(self, cluster: LogicalCluster) -> int:
        return cluster_limits.limits_of(self.store, cluster).requests

    def _most_requests(self, path: str) -> int:
        cluster = self.store.pending_cluster(path)
        return cluster_limits.limits_of(self.store, cluster).requests if cluster is not None else _UNBORN_REQUESTS

    def statistics(self) -> Mapping[str, object]:
        return {
            "store": asdict(self.store.statistics()),
            "watch": self.watch.hub.statistics(),
            "jobs": self.execution.jobs,
            "flowcontrol": self._flows.statistics(),
            "callouts": self._callouts.statistics(),
            "connections": self._shard.connections.statistics(),
            "authorization_webhooks": self._shard.authorizer.webhook_statistics(),
            "workers": asdict(self.workers.statistics()),
            "agents": self.agents.statistics(),
            "software": SOFTWARE,
            **({"encryption": asdict(self._resealing.statistics)} if self._resealing else {}),
            **self._metrics.statistics(),
            **self._clock(),
        }

    def _clock(self) -> Mapping[str, object]:
        ahead_s = revision_microseconds(self.store.durable_revision) / 1e6 - time.time()
        return {"clock": {**self._metrics.clock_statistics(), "ahead_seconds": max(0.0, ahead_s)}}

    # --- parts

    def _listeners(self) -> list[grpc.aio.Server]:
        """None where the shard is embedded: its front is in the same process."""
        options = self._options
        found = []
        if options.front_socket:
            found = [
                self._listener(f"unix:{options.front_socket}", only(FRONT)),
                self._listener(f"unix:{options.admin_socket}", only(ADMIN, SHARD)),
            ]
        if options.sync_socket:
            found.append(self._sync_listener(f"unix:{options.sync_socket}", only(SYNCER)))
        if options.sync_listen:
            found.append(self._sync_listener(options.sync_listen, syncer_roles))
        if options.listen:
            found.append(self._listener(options.listen, certificate_roles))
        if options.join_listen:
            found.append(self._join_listener(options.join_listen))
        return found

    def _listener(self, address: str, roles_of: RolesOf) -> grpc.aio.Server:
        server = _server(roles_of)
        self._session.add_to(server)
        self.connections.add_to(server)
        self.watch.add_to(server)
        maps = PlacementService(self._placement, roles_of, self.tenant_authorities)
        self._services.append(maps)
        pb_grpc.add_ShardPlacementServicer_to_server(maps, server)  # type: ignore[no-untyped-call]
        pb_grpc.add_ShardAdminServicer_to_server(self._admin, server)  # type: ignore[no-untyped-call]
        listen(server, address, self._tls)
        return server

    def _sync_listener(self, address: str, roles_of: RolesOf) -> grpc.aio.Server:
        server = _server(roles_of)
        self.connections.add_tunnels_to(server)
        self._sync.add_to(server)
        listen(server, address, self._tls, also=lambda: self._keys.certificate_authorities)
        return server

    def _ask_for_tunnel(self, uid: str, opening: pb.OpenTunnel) -> bool:
        return self.agents.send(uid, pb.SyncDownBatch(open_tunnels=[opening]))

    def _shown_authorities(self) -> bytes:
        """Whom an agent can trust to know a shard by."""
        return files_of(self._tls).authority if self._tls is not None else b""

    async def _ask(self, request: pb.Request, timeout_s: float) -> Result:
        assert self._peers is not None
        return await self._peers.call(request, timeout_s)

    def _authority(self) -> Authority:
        pki = Path(self._options.pki)
        return Authority((pki / "internal-ca.crt").read_bytes(), (pki / "internal-ca.key").read_bytes())

    def _renew(self, shown: bytes, request: bytes) -> pb.RenewResponse:
        authority = self._authority()
        certificate = renewed(authority, shown, request, datetime.now(UTC))
        return pb.RenewResponse(certificate=certificate, authorities=authority.certificate)

    def _join_listener(self, address: str) -> grpc.aio.Server:
        pki = Path(self._options.pki)
        service = BootstrapService(
            self._authority(),
            TokenFile(pki / "join-tokens"),
            self._placement.maps,
            self._placement.reserve,
            partial(_front_files, pki),
            lambda: datetime.now(UTC),
        )
        server = _server(only(ANYONE))
        pb_grpc.add_ShardBootstrapServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        listen(server, address, self._tls, ask_certificate=False)
        return server

    def follow_map(self, listener: Callable[[pb.ShardMap], None]) -> None:
        """Call it with this shard's copy of the map, now and whenever it changes."""
        self._placement.maps.listeners.append(listener)
        listener(self._placement.maps.current)

    def _take_keys(self, newest: pb.ShardMap) -> None:
        self._keys.take(newest.keys)
        self.tenant_authorities.look_again()

    def _serves(self, path: str) -> bool:
        try:
            self._placement.ownership.check(path)
        except NotOwned:
            return False
        return True

    def _hello(self) -> pb.Hello:
        return pb.Hello(
            protocol=PROTOCOL,
            process=f"shard-{self._options.number}",
            software=SOFTWARE,
            shard=self._options.number,
            revision=self.store.durable_revision,
            credits_per_cluster=CREDITS_PER_CLUSTER,
        )

    def _checkpoint(self, directory: str) -> int:
        revision = self.store.durable_revision
        self._make_checkpoint(directory)
        return revision

    def _make_checkpoint(self, directory: str) -> None:
        """On a thread. Flushed first, which others do not notice: the checkpoint itself holds them up, and is short
        then."""
        self._engine.flush()
        self._engine.checkpoint(directory)

    async def _put_record(self, key: bytes, value: bytes | None) -> None:
        """Durable on return; a record of the meta family that others than the store keep."""
        await durable(self.store.put_meta({key.removeprefix(keyspace.OWN): value}))

    def _connect_peers(self) -> None:
        """What this shard asks of others."""
        self._local = LocalShard(self.execution)
        self._peers = Peers(self._options.number, self._local, self._dial, self._tasks)
        self.follow_map(self._peers.adopt)
        self._shard.ask = self._peers.call
        self._shard.place = self._placement.place
        self._shard.directory.connect(self._peers.call, SYSTEM, self._tasks)
        authorizer = self._shard.authorizer
        self._shard.standing.copies = Copies(
            self._handed_down, self._tasks, self._ancestor_changed, authorizer.template_role
        )

    def _ancestor_changed(self, path: str) -> None:
        self._shard.authorizer.inherited_changed(path)
        self._shard.catalog.inherited_changed(path)
        if logical_clusters.CONTROLLER in self._controllers.names:
            for heir in self._shard.catalog.heirs(path):
                self._controllers.add(logical_clusters.CONTROLLER, heir.id, logical_clusters.DEFINITIONS)

    async def _handed_down(self, path: str, tag: str, timeout_s: float) -> Result:
        assert self._peers is not None
        request = pb.Request(verb=pb.DOCUMENT, cluster=path, name=inheritance.PATH, if_none_match=tag, identity=SYSTEM)
        return await self._peers.call(request, timeout_s)

    async def _clear(self) -> None:
        while True:
            await asyncio.sleep(_CLEARING_S)
            await self.store.clear(now_us())

    async def _compact(self) -> None:
        while True:
            await asyncio.sleep(self._settings.compaction_interval_s)
            try:
                await self.store.compact(now_us())
                self._metrics.compacted()
            except Exception as error:  # a full, broken or damaged disk: reads and deletions go on, so must we
                if not isinstance(error, OSError) and not damage_of(error):
                    raise
                self._metrics.compactions_failed += 1
                _log.error("compaction stopped, it is tried again: %s", error)


async def _enduring(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled. Work that meets a damaged block pauses and begins anew: one tenant's damage on disk must not end
    the process that serves all the others."""
    while True:
        try:
            return await run()
        except Exception as error:
            if not damage_of(error):
                raise
            _log.critical("%s paused for %g s, stored data is damaged: %s", name, DAMAGE_PAUSE_S, damage_of(error))
        await asyncio.sleep(DAMAGE_PAUSE_S)


def _open_engine(options: Options, settings: Settings) -> KeyValueEngine:
    if options.engine == "memory":
        return MemoryEngine()
    Path(options.data).mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = RocksdbEngine(options.data, settings)
    if engine.log_damage:
        _log.critical(
            "the write-ahead log was damaged before its end and has been read up to there; what was acknowledged after "
            "that point is lost, unless a power cut just before explains it: %s",
            engine.log_damage,
        )
    return engine


def _server(roles_of: RolesOf) -> grpc.aio.Server:
    return grpc.aio.server(interceptors=(RoleInterceptor(roles_of),), options=SERVER_OPTIONS)


def _entry(options: Options) -> pb.ShardEntry:
    """Where the map says that we are; see rpc.transport for addresses with alternatives."""

    def address(socket: str, network: str) -> str:
        return f"unix:{os.path.abspath(socket)} {network}".rstrip() if socket else network

    return pb.ShardEntry(
        number=options.number,
        name=f"shard-{options.number}",
        address=address(options.front_socket, options.listen),
        admin_address=address(options.admin_socket, options.listen),
        sync_address=address(options.sync_socket, options.sync_listen),
    )


def _root_certificate(path: str) -> str:
    """PEM; empty: not told."""
    return Path(path).read_text() if path else ""


def _front_files(pki: Path) -> Mapping[str, bytes]:
    """What a front on another machine needs besides its certificate."""
    found = {name: (pki / name).read_bytes() for name in ("serving-ca.crt", "serving-ca.key", "client-ca.crt")}
    return {**found, "tokens.csv": (pki.parent / "tokens.csv").read_bytes()}


__all__ = ["ShardServer", "TlsFiles", "now_us"]
