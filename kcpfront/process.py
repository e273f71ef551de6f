"""One front process: the HTTP side on a router that follows the shard map, from start to the last answer."""

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kcpfront.audit.trail import AuditOptions, open_trail
from kcpfront.authentication.options import AuthenticationOptions
from kcpfront.credential_files import CredentialFiles
from kcpfront.routing.authority_feed import AuthorityFeed
from kcpfront.routing.map_feed import MapFeed
from kcpfront.routing.router import Router
from kcpfront.server import Front
from kcpfront.settings import Settings
from kcpfront.shard_channels import ShardChannels
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import AuthorityFollower, MapFollower
from kcpshard.rpc.transport import TlsDirectory


class Options(NamedTuple):
    host: str
    port: int
    reuse_port: bool
    pki: Path
    token_file: Path | None
    shards: Sequence[str]
    tls_directory: Path | None
    name: str
    authentication: AuthenticationOptions = AuthenticationOptions()
    audit: AuditOptions = AuditOptions()


class FrontProcess:
    """`run` serves until `stop` is set; `ready` gets the port once requests are answered. May raise AuditError."""

    def __init__(self, options: Options, settings: Settings) -> None:
        self._options, self._settings = options, settings
        tls = TlsDirectory(str(options.tls_directory)) if options.tls_directory is not None else None
        self._channels = ShardChannels(options.name, tls)
        self._router = Router(self._channels)
        self._channels.on_moved = self._router.watch_moved
        self._channels.on_progress = self._router.watch_progress
        follower = MapFollower(self._channels.dial, options.name)
        self._feed = MapFeed(options.shards, follower.follow, self._adopt)
        authorities = AuthorityFollower(self._channels.dial, options.name)
        proxies = options.authentication.request_header
        files = CredentialFiles(options.pki, options.token_file, proxies.client_ca_file if proxies else None)
        self._front = Front(
            self._router,
            self._router,
            files,
            settings,
            self._map_check,
            authentication=options.authentication,
            trail=open_trail(options.audit),
            connector=self._channels,
        )
        self._front.ask_whether_behind(self._feed.is_behind)
        self._authorities = AuthorityFeed(authorities.follow, self._front.take_tenant_authorities)
        self._front.metrics.shards = self._channels.counts
        self._front.metrics.ask_shards = self._channels.ask_statistics

    def _adopt(self, newest: pb.ShardMap) -> None:
        self._router.adopt(newest)
        self._front.take_keys(newest.keys)
        self._authorities.update(newest.shards)

    def _map_check(self) -> str:
        return "" if self._router.epoch else "no shard map yet"

    async def run(self, stop: asyncio.Event, ready: "asyncio.Future[int]") -> None:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(run()) for run in (self._channels.run, self._feed.run, self._authorities.run)
            ]
            try:
                options = self._options
                # The port first: an occupied one must be told at once, not when a shard has come up.
                port = await self._front.start(options.host, options.port, options.reuse_port)
                announce = tasks.create_task(self._announce(port, ready))
                await self._front.run(stop)
                announce.cancel()
            finally:
                for task in background:
                    task.cancel()

    async def _announce(self, port: int, ready: "asyncio.Future[int]") -> None:
        await self._feed.wait_for_map()
        # What was made so far lives as long as the process: the collector need not walk it again and again. Requests
        # leave no cycles behind, so it need not look after every 700 objects either.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        ready.set_result(port)
