"""The audit trail of a front: begun when a request is authenticated, ended when it is answered.

A request pays for the policy's decision, one small object and an append; everything else is done for many at once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kcpfront.audit.delivery import Delivery, Limits
from kcpfront.audit.events import encode_event, encode_failed_authentication
from kcpfront.audit.log_file import LogFile, Rotation
from kcpfront.audit.policy import COMPLETE, NONE, PANIC, RECEIVED, STARTED, Policy, PolicyError, read_policy
from kcpfront.audit.trace import Trace
from kcpfront.audit.webhook import KubeconfigError, Webhook, read_server
from kcpfront.exchange import Exchange
from kcpshard.api.errors import InternalError

BATCH, BLOCKING, STRICT = "batch", "blocking", "blocking-strict"
MODES = (BATCH, BLOCKING, STRICT)

_GATHER_S = 0.05  # how long a record waits for others
_AT_ONCE = 64  # formatted in one turn of the loop: about half a millisecond without bodies
_MAX_WAITING = 20_000  # not formatted yet; more are dropped
_CLOSE_S = 5.0


class AuditError(Exception):
    """Records cannot be made or kept as the operator wants; the text says why."""


class AuditOptions(NamedTuple):
    """Of the command line; as kube-apiserver's flags of these names. Without a policy nothing is recorded."""

    policy_file: str = ""
    log_path: str = ""
    rotation: Rotation = Rotation()
    log_mode: str = BATCH
    webhook_config_file: str = ""
    webhook_first_pause_s: float = 10.0
    webhook_wait_s: float = 1.0


class AuditCounts(NamedTuple):
    events: int
    lost: dict[str, tuple[int, int]]  # plug-in → times it failed, records lost


class _Entry(NamedTuple):
    exchange: Exchange
    trace: Trace
    stage: str
    at_s: float
    code: int
    is_stranger: bool = False


class Trail:
    """`close` hands over what is left."""

    def __init__(
        self,
        policy: Policy,
        places: Sequence[Delivery],
        mode: str = BATCH,
        closing: Sequence[Callable[[], object]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.places = places
        self._policy, self._mode, self._clock, self._closing = policy, mode, clock, closing
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Entry] = []
        self._is_due = False
        self.events = self.dropped = 0

    # --- stages

    def begin(self, exchange: Exchange) -> Trace | None:
        """Once it is known who asks. None: nobody wants to know."""
        outcome = self._policy.decide(exchange.identity, exchange.info)
        if outcome.level == NONE:
            return None
        trace = exchange.audit = Trace(outcome, self._clock(), _source_ips(exchange))
        if RECEIVED not in outcome.omitted:
            self._add(_Entry(exchange, trace, RECEIVED, trace.received_s, 0))
        return trace

    async def received(self) -> None:
        """In the blocking modes: until the first stage is written. Raises InternalError where it must not be lost."""
        if self._mode == BATCH:
            return
        while self._waiting:
            self._format()
        for place in self.places:
            if place.plugin == "log":
                dropped = place.dropped
                await place.written()
                if self._mode == STRICT and place.dropped != dropped:
                    raise InternalError("the request could not be recorded")

    def strangers(self, exchange: Exchange) -> None:
        """Authentication has failed: one record, at the stage at which kube-apiserver has it."""
        outcome = self._policy.decide(b"", exchange.info)
        if outcome.level == NONE or STARTED in outcome.omitted:
            return
        now = self._clock()
        self._add(_Entry(exchange, Trace(outcome, now, _source_ips(exchange)), STARTED, now, 401, True))

    def started(self, exchange: Exchange, trace: Trace, code: int = 200) -> None:
        """Of an answer without a foreseeable end: its head is out."""
        trace.is_long = True
        if STARTED not in trace.outcome.omitted:
            self._add(_Entry(exchange, trace, STARTED, self._clock(), code))

    def complete(self, exchange: Exchange, trace: Trace, code: int) -> None:
        if COMPLETE not in trace.outcome.omitted:
            self._add(_Entry(exchange, trace, COMPLETE, self._clock(), code))

    def panicked(self, exchange: Exchange, trace: Trace) -> None:
        if PANIC not in trace.outcome.omitted:
            self._add(_Entry(exchange, trace, PANIC, self._clock(), 500))

    # --- records

    def _add(self, entry: _Entry) -> None:
        waiting = self._waiting
        if len(waiting) >= _MAX_WAITING:
            self.dropped += 1
            return
        waiting.append(entry)
        if not self._is_due:
            self._is_due = True
            self._loop.call_later(_GATHER_S, self._format)

    def _format(self) -> None:
        """A slice of what waits; the rest in the next turn."""
        entries, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        records = [_encode(entry) for entry in entries]
        self.events += len(records)
        for place in self.places:
            place.put(records)
        self._is_due = bool(self._waiting)
        if self._is_due:
            self._loop.call_soon(self._format)

    def counts(self) -> AuditCounts:
        lost = {place.plugin: (place.errors, place.dropped + self.dropped) for place in self.places}
        return AuditCounts(self.events, lost)

    async def close(self) -> None:
        while self._waiting:
            self._format()
        for end in self._closing:
            end()
        for place in self.places:
            await place.close(_CLOSE_S)


def _encode(entry: _Entry) -> bytes:
    exchange, trace, stage, at_s, code, is_stranger = entry
    if is_stranger:
        return encode_failed_authentication(exchange, trace, at_s)
    return encode_event(exchange, trace, stage, at_s, code)


def _source_ips(exchange: Exchange) -> list[str]:
    """As kube-apiserver: whom proxies on the way name, and the other end of the connection last."""
    headers = exchange.headers
    forwarded = headers.get("X-Forwarded-For")
    named = [each.strip() for each in forwarded.split(",")] if forwarded else []
    if (real := headers.get("X-Real-Ip")) and real not in named:
        named.append(real)
    found = [each for each in named if each and len(each) < 64 and each.isascii()]
    peer = exchange.connection.peer_address()
    if peer and peer not in found[-1:]:
        found.append(peer)
    return found


def open_trail(options: AuditOptions) -> Trail | None:
    """None: nothing is to be recorded. Raises AuditError."""
    if not options.policy_file:
        return None
    if not options.log_path and not options.webhook_config_file:
        raise AuditError("an audit policy without --audit-log-path and --audit-webhook-config-file records nothing")
    places, closing = [], []
    try:
        policy = read_policy(Path(options.policy_file))
        if options.log_path:
            places.append(Delivery("log", LogFile(options.log_path, options.rotation).write))
        if options.webhook_config_file:
            webhook = Webhook(read_server(Path(options.webhook_config_file)), options.webhook_first_pause_s)
            places.append(Delivery("webhook", webhook.write, Limits(wait_s=options.webhook_wait_s)))
            closing.append(webhook.stop.set)
    except (PolicyError, KubeconfigError) as fault:
        raise AuditError(str(fault)) from None
    except OSError as fault:
        raise AuditError(f"the audit log cannot be written: {fault}") from None
    return Trail(policy, places, options.log_mode, closing)
