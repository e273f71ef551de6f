"""Builds a front: edge, filters, handlers, listener; starts, keeps its credentials fresh, drains, stops."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from cryptography import x509

from kcpfront.audit.trail import Trail
from kcpfront.authentication.bootstrap_tokens import BootstrapTokens
from kcpfront.authentication.client_certificates import is_signed_by
from kcpfront.authentication.options import AuthenticationOptions
from kcpfront.authentication.outside import ConfigurationError, Outside
from kcpfront.authentication.request_headers import RequestHeaders
from kcpfront.authentication.service_account_tokens import ServiceAccountTokens
from kcpfront.authentication.tenant_authorities import Registration
from kcpfront.credential_files import CredentialError, CredentialFiles
from kcpfront.filters.authentication import Authenticator, SigningKey
from kcpfront.handler_chain import HandlerChain
from kcpfront.handlers.watch import OpenWatches
from kcpfront.health import Check, Health, kubernetes_checks
from kcpfront.http_edge import HttpEdge
from kcpfront.listener import Listener, bind
from kcpfront.metrics import Metrics
from kcpfront.settings import Settings
from kcpfront.upgraded import UpgradedConnections
from kcpshard.rpc.contract import Caller, Connector, Watcher
from kcpshard.workers.pool import WorkerPool

_log = logging.getLogger(__name__)

SOFTWARE = "0.1.0"
_ANCHORS = 8  # authorities that OpenSSL reads in one turn of the loop: three milliseconds
_DISTRUST_PAUSE_S = 1.0  # a context with thousands of authorities takes as long as that to make


def _well() -> str:
    return ""


class Front:
    """One front process's HTTP side. `caller` and `watcher` are the router, or a fake."""

    def __init__(
        self,
        caller: Caller,
        watcher: Watcher,
        files: CredentialFiles,
        settings: Settings | None = None,
        map_check: Check = _well,
        tls: bool = True,
        authentication: AuthenticationOptions | None = None,
        trail: Trail | None = None,
        connector: Connector | None = None,
    ) -> None:
        """Raises CredentialError."""
        self.settings = settings or Settings()
        self.metrics = Metrics()
        self._files, self._tls = files, tls
        options = authentication or AuthenticationOptions()
        try:
            self._outside = Outside(options)
        except ConfigurationError as error:
            raise CredentialError(str(error)) from None
        proxies = options.request_header
        self._proxies = RequestHeaders(proxies, self._is_proxy) if proxies is not None else None
        self._authenticator = Authenticator(
            files.tokens(),
            ServiceAccountTokens(options.issuer, options.audiences),
            (BootstrapTokens(), *self._outside.provers),
            proxies=self._proxies,
        )
        self._authenticator.allow_anonymous(self._outside.anonymous, self._outside.anonymous_paths)
        self._trust_changed, self._has_lost = asyncio.Event(), False
        self._fresh: list[bytes] = []
        self._take_authorities()
        self._edge = HttpEdge(self.settings)
        self.open_watches = OpenWatches(self.settings, self.metrics, self._edge.hand_back)
        self._stopping = False
        self._listener: Listener | None = None
        live: dict[str, Check] = {"ping": _well, "log": _well}
        live |= kubernetes_checks(_well)  # a front without shards is alive: to restart it would not bring them back
        # "informer-sync" is kube-apiserver's name for: it has seen everything that it answers from.
        ready = {
            "informer-sync": map_check,
            "shard-map": map_check,
            "file-descriptors": self._accept_check,
            "shutdown": self._shutdown_check,
        }
        ready |= kubernetes_checks(map_check)
        self.workers = WorkerPool()
        self.upgraded = UpgradedConnections()
        chain = HandlerChain(
            caller,
            watcher,
            self._authenticator,
            self.open_watches,
            Health(live, ready),
            self.metrics,
            SOFTWARE,
            self.workers,
            trail,
            self.upgraded,
            connector,
        )
        self._connecting = chain.connecting
        self._trail = trail
        if trail is not None:
            self.metrics.audit = trail.counts
        self._edge.handle = chain.handle
        self._not_after = files.not_after() if tls else 0.0
        self.metrics.connections = lambda: self._edge.connections + len(self.open_watches) + len(self.upgraded)
        self.metrics.watches = lambda: len(self.open_watches)
        self.metrics.certificate_not_after = lambda: self._not_after

    def take_keys(self, keys: Sequence[SigningKey]) -> None:
        """The signing keys of each shard map."""
        self._authenticator.take_keys(keys)
        self._files.trust([key.certificate for key in keys if key.purpose == "certificates" and key.certificate])

    def ask_whether_behind(self, is_behind: Callable[[], bool]) -> None:
        """Whether keys may have been announced that have not come here."""
        self._authenticator.accounts.is_behind = is_behind

    def take_tenant_authorities(self, shard: int, told: Sequence[Registration], named: AbstractSet[str] | None) -> None:
        """Of each shard, as `routing.authority_feed` hears of them."""
        change = self._authenticator.certificates.take_tenants(shard, told, named)
        self._fresh.extend(change.fresh)
        self._has_lost |= change.lost
        if change.fresh or change.lost:
            self._trust_changed.set()

    def _take_authorities(self) -> None:
        """Raises CredentialError."""
        self._proxy_authorities = self._files.proxy_authorities()
        certificates = self._authenticator.certificates
        certificates.take_client_authorities(self._files.client_authorities(), self._proxy_authorities)
        if self._proxies is not None:
            self._proxies.forget()

    async def _accept_anew(self) -> None:
        """New connections know the files as they are now, and the tenants' authorities that count. Raises
        CredentialError."""
        if not self._tls or self._listener is None:
            return
        context = self._files.tls_context()
        anchors = self._authenticator.certificates.tenants.anchors()
        while some := list(islice(anchors, _ANCHORS)):
            self._files.trust_also(some)
            await asyncio.sleep(0)
        await self._listener.start(context)

    async def _keep_trust(self) -> None:
        """New connections trust at once what has been registered. What a logical cluster does not trust any more, TLS
        need not either, but nobody is in a hurry: see `prove`."""
        while True:
            await self._trust_changed.wait()
            self._trust_changed.clear()
            while self._fresh:
                some, self._fresh = self._fresh[:_ANCHORS], self._fresh[_ANCHORS:]
                self._files.trust_also(some)
                await asyncio.sleep(0)
            if not self._has_lost:
                continue
            self._has_lost = False
            try:
                await self._accept_anew()
            except CredentialError as error:
                _log.error("changed credentials are not used: %s", error)
            await asyncio.sleep(_DISTRUST_PAUSE_S)

    def _is_proxy(self, der: bytes) -> bool:
        return is_signed_by(x509.load_der_x509_certificate(der), self._proxy_authorities)

    def _accept_check(self) -> str:
        return "no file descriptors left" if self._listener is not None and self._listener.paused else ""

    def _shutdown_check(self) -> str:
        return "process is shutting down" if self._stopping else ""

    async def start(self, host: str, port: int, reuse_port: bool = False) -> int:
        """Serve; returns the port. Raises ListenError or CredentialError."""
        context = self._files.tls_context() if self._tls else None
        listening = bind(host, port, reuse_port, self.settings.backlog)
        self._listener = Listener(listening, self._edge, self.settings, self.metrics)
        await self._listener.start(context)
        self.metrics.loop.start()
        return self._listener.port

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set: look after the credentials; then drain."""
        async with asyncio.TaskGroup() as tasks:
            outside = tasks.create_task(self._outside.run())
            trust = tasks.create_task(self._keep_trust())
            while not stop.is_set():
                try:
                    async with asyncio.timeout(self.settings.reload_s):
                        await stop.wait()
                except TimeoutError:
                    await self.reload()
            await self.stop()
            outside.cancel()
            trust.cancel()

    async def reload(self) -> None:
        """Take changed certificate, CA and token files into use; keep the old ones if the new are unusable."""
        try:
            if self._outside.reload():
                self._authenticator.allow_anonymous(self._outside.anonymous, self._outside.anonymous_paths)
                self._authenticator.forget()
        except ConfigurationError as error:
            _log.error("the changed configuration is not used: %s", error)
        if not self._files.changed():
            self._warn_of_expiry()
            return
        try:
            self._authenticator.replace_tokens(self._files.tokens())
            self._take_authorities()
            await self._accept_anew()
        except CredentialError as error:
            _log.error("changed credentials are not used: %s", error)
            return
        self._not_after = self._files.not_after() if self._tls else 0.0
        self.metrics.certificate_reloads += 1
        _log.info("credentials loaded again")

    def _warn_of_expiry(self) -> None:
        if self._tls and self._not_after and self._not_after < time.time():
            _log.error("the serving certificate has expired: clients will refuse to connect until it is replaced")

    async def stop(self) -> None:
        """Accept nothing more, finish what is in flight, end watches with their last chunk."""
        self._stopping = True
        if self._listener is not None:
            self._listener.close()
        self.metrics.loop.stop()
        self.open_watches.stop()
        await self.upgraded.stop(self.settings.drain_s)
        self._connecting.stop()
        await self._edge.drain(self.settings.drain_s)
        await self._outside.close()
        await self.workers.close()
        if self._trail is not None:
            await self._trail.close()
