"""Calls out of the shard to servers that tenants name: webhooks, conversion, extension API servers.

Each has a deadline of its caller's, a place in its logical cluster's budget (`budget`), addresses that were checked and
then dialled (`addresses`, `channel`), no redirects, and an answer of at most 3 MB. A caller holds no lock and no place
in any queue while it waits, and looks again at whatever it decided by once it has the answer.
"""

import asyncio
import hashlib
import random
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from kcpshard.callouts.addresses import AddressPolicy
from kcpshard.callouts.answers import Answer, Incoming
from kcpshard.callouts.budget import STREAMS, STREAMS_PER_CLUSTER, Concurrency, FailureBudget
from kcpshard.callouts.errors import (
    AddressRefused,
    BadStatus,
    CalloutError,
    InvalidTarget,
    OverBudget,
    Resting,
    TimedOut,
    Unreachable,
    UnusableAnswer,
)
from kcpshard.callouts.lookups import Lookups
from kcpshard.callouts.targets import ClientConfig, Target, target

if TYPE_CHECKING:
    from kcpshard.callouts.channel import Channel

_CHANNELS = 128  # with connections kept open; an idle one is closed when there are more
_JSON = "application/json"


class Endpoint(NamedTuple):
    host: str  # an address; the name of an ExternalName service
    port: int


# (id of the logical cluster, namespace, name, port) → where to call, best first. Raises CalloutError.
ServiceLookup = Callable[[int, str, str, int], Sequence[Endpoint]]


def no_services(_cluster_id: int, _namespace: str, name: str, _port: int) -> Sequence[Endpoint]:
    raise Unreachable(f'service "{name}" not found')


class Forwarded(NamedTuple):
    """A client's request as it goes on to somebody else's server. `path` is encoded and has its query."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    is_long: bool = False  # a watch or the like: no deadline of ours once the head is there


def no_certificate(_cluster_id: int) -> bytes:
    return b""


class Callouts:
    """One per shard. `close` before the loop ends. `certificate` gives what proves to a server who calls (PEM with its
    key, by the id of the logical cluster); it is shown where the configuration says so."""

    def __init__(
        self,
        policy: AddressPolicy,
        services: ServiceLookup = no_services,
        lookups: Lookups | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy, self._services, self._clock = policy, services, clock
        self._lookups = lookups or Lookups()
        self._concurrency = Concurrency()
        self._streams = Concurrency(STREAMS, STREAMS_PER_CLUSTER)
        self.certificate: Callable[[int], bytes] = no_certificate
        self._failures = FailureBudget()
        self._channels: OrderedDict[Hashable, Channel] = OrderedDict()
        self._roots: ssl.SSLContext | None = None  # those of the machine, once somebody needs them
        self._outcomes: dict[str, int] = {}  # by the class of error; bounded: there are eight
        self._seconds = 0.0

    async def post(
        self,
        cluster_id: int,
        config: ClientConfig,
        body: bytes,
        timeout_s: float,
        query: str = "",
        content_type: str = _JSON,
    ) -> bytes:
        """The body of an answer with a code of 2xx. Raises CalloutError; its text begins `Post "https://…": ` where
        kube-apiserver's does. `query` is encoded already. `timeout_s` is at most what is left of the request."""
        headers = {"Content-Type": content_type, "Accept": f"{_JSON}, */*"}
        answer = await self.call(cluster_id, config, "POST", body, timeout_s, query, headers)
        if not 200 <= answer.code <= 206:
            is_text = answer.headers.get("content-type", "text/").startswith(("text/", _JSON))
            raise BadStatus(answer.code, answer.body, is_text)
        return answer.body

    async def call(
        self,
        cluster_id: int,
        config: ClientConfig,
        method: str,
        body: bytes,
        timeout_s: float,
        query: str = "",
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """The whole answer, whatever its code. Raises CalloutError as `post` does, never BadStatus."""
        aim = target(config)
        shown = f'{method.capitalize()} "https://{aim.authority}{aim.path}{query and "?" + query}": '
        budgeted = (cluster_id, aim.host, aim.port)
        began = self._clock()
        try:
            if text := self._failures.resting(budgeted, began):
                raise Resting(text)
            if not self._concurrency.enter(cluster_id):
                raise OverBudget("too many calls to webhooks are under way for this logical cluster")
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await self._send(cluster_id, config, aim, method, query, headers, body)
            except TimeoutError:
                raise TimedOut("context deadline exceeded") from None
            finally:
                self._concurrency.leave(cluster_id)
        except CalloutError as error:
            self._count(type(error).__name__, began)
            if isinstance(error, Unreachable | TimedOut | UnusableAnswer) and not isinstance(error, Resting):
                self._failures.failed(budgeted, str(error), self._clock())
            if isinstance(error, InvalidTarget | OverBudget):
                raise
            raise type(error)(f"{shown}{error}") from None
        self._failures.succeeded(budgeted)
        self._count("Answered", began)
        return answer

    @asynccontextmanager
    async def forward(
        self, cluster_id: int, config: ClientConfig, asked: Forwarded, timeout_s: float
    ) -> AsyncIterator[Incoming]:
        """Send a request on, and give its answer as it comes, whatever its code. `timeout_s` is until the head is
        there. Raises CalloutError as `call` does, also while pieces are read; no target rests because of it."""
        aim = target(config)
        aim = aim._replace(path=aim.path.rstrip("/") + asked.path)
        shares = self._streams if asked.is_long else self._concurrency
        if not shares.enter(cluster_id):
            raise OverBudget("too many requests of this logical cluster are being forwarded")
        began = self._clock()
        try:
            async with self._opened(cluster_id, config, aim, asked, timeout_s) as incoming:
                self._count("Answered", began)
                yield incoming
        except CalloutError as error:
            self._count(type(error).__name__, began)
            raise
        finally:
            shares.leave(cluster_id)

    @asynccontextmanager
    async def _opened(
        self, cluster_id: int, config: ClientConfig, aim: Target, asked: Forwarded, timeout_s: float
    ) -> AsyncIterator[Incoming]:
        from multidict import CIMultiDict

        headers: CIMultiDict[str] = CIMultiDict(asked.headers)
        is_read = asked.method in ("GET", "HEAD", "OPTIONS")
        channel: Channel | None = None
        try:
            try:
                async with asyncio.timeout(timeout_s):
                    channel, addresses = await self._reached(cluster_id, config, aim)
                    channel.calls += 1
                    incoming = await channel.open(asked.method, addresses, aim.path, headers, asked.body, is_read)
            except TimeoutError:
                raise TimedOut("context deadline exceeded") from None
            try:
                yield incoming
            finally:
                incoming.close()
        finally:
            if channel is not None:
                channel.calls -= 1
                await self._close_idle()

    def statistics(self) -> Mapping[str, object]:
        return {
            "in_flight": self._concurrency.in_flight,
            "streams": self._streams.in_flight,
            "resting": self._failures.count_resting(self._clock()),
            "seconds": self._seconds,
            "answered": self._outcomes.get("Answered", 0),
            "failed": sum(count for name, count in self._outcomes.items() if name != "Answered"),
            "outcomes": dict(self._outcomes),
        }

    async def close(self) -> None:
        self._lookups.close()
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    # --- parts

    async def _send(
        self,
        cluster_id: int,
        config: ClientConfig,
        aim: Target,
        method: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        channel, addresses = await self._reached(cluster_id, config, aim)
        channel.calls += 1
        try:
            return await channel.send(method, addresses, f"{aim.path}{query and '?' + query}", headers, body)
        finally:
            channel.calls -= 1
            await self._close_idle()

    async def _reached(self, cluster_id: int, config: ClientConfig, aim: Target) -> "tuple[Channel, Sequence[str]]":
        """By which channel, and where to dial. Raises CalloutError."""
        port, addresses = await self._addresses(cluster_id, aim)
        if self._roots is None and not (config.ca_bundle or config.insecure):
            self._roots = await asyncio.to_thread(_machine_roots)  # tens of milliseconds to read
        return await self._channel(cluster_id, config, aim, port), addresses

    async def _addresses(self, cluster_id: int, aim: Target) -> tuple[int, Sequence[str]]:
        """The port and the checked addresses to dial. Raises AddressRefused, Unreachable."""
        host, port = aim.host, aim.port
        if aim.service is not None:
            found = self._services(cluster_id, aim.service.namespace, aim.service.name, aim.service.port)
            host, port = random.choice(found)  # noqa: S311 - spreads load
            others = [endpoint.host for endpoint in found if endpoint.port == port and endpoint.host != host]
            if others:
                return port, self._checked(host, [host, *others])
        if _is_address(host):
            return port, self._checked(host, [host])
        try:
            addresses = await self._lookups.addresses(cluster_id, host, port)
        except (OSError, UnicodeError):
            raise Unreachable(f"dial tcp: lookup {host}: no such host") from None
        return port, self._checked(host, addresses)

    def _checked(self, host: str, addresses: Sequence[str]) -> Sequence[str]:
        """Every address of a name must be allowed: whoever adds a forbidden one means it."""
        for address in addresses:
            if reason := self._policy.refuses(address):
                raise AddressRefused(f"dial tcp: lookup {host}: the address may not be called: {reason}")
        if not addresses:
            raise Unreachable(f"dial tcp: lookup {host}: no such host")
        return addresses

    async def _channel(self, cluster_id: int, config: ClientConfig, aim: Target, port: int) -> "Channel":
        pair = self.certificate(cluster_id) if config.shows_certificate else b""
        key = (cluster_id, aim.authority, port, hashlib.sha256(config.ca_bundle).digest(), config.insecure, pair)
        found = self._channels.get(key)
        if found is None:
            from kcpshard.callouts import channel  # the HTTP client: only a shard that calls out pays for it

            if config.ca_bundle or config.insecure:
                trust = channel.trust(config.ca_bundle, config.insecure)
            elif pair or self._roots is None:
                trust = await asyncio.to_thread(_machine_roots)
            else:
                trust = self._roots
            if pair:
                channel.show(trust, pair)
            found = self._channels[key] = channel.Channel(aim.host, aim.authority, port, trust)
        self._channels.move_to_end(key)
        return found

    async def _close_idle(self) -> None:
        """Those used longest ago, while there are too many; at most those of the calls under way are kept beyond."""
        idle = [key for key, channel in self._channels.items() if not channel.calls] if self._is_crowded() else []
        for key in idle:
            if self._is_crowded() and (channel := self._channels.pop(key, None)):
                await channel.close()

    def _is_crowded(self) -> bool:
        return len(self._channels) > _CHANNELS

    def _count(self, outcome: str, began: float) -> None:
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
        self._seconds += self._clock() - began


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        ip_address(text)
        return True
    return False


def _machine_roots() -> ssl.SSLContext:
    from kcpshard.callouts import channel

    return channel.trust(b"")
