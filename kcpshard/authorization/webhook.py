"""Asks a webhook for permission: SubjectAccessReviews out, decisions in, remembered for as long as the operator says.

A question that is not answered yet raises NotDurable with a Group of its own: whoever asks is asked again when the
answer is there, in the way in which everything waits that cannot be decided in a loop turn. Questions alike share one
call. `kcp.io/cluster` in the review's extra tells the webhook, and its matchConditions, which logical cluster it is
about.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kcpshard.api.requests import Identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.configuration import WebhookSettings
from kcpshard.authorization.match_conditions import MatchFault, are_met
from kcpshard.authorization.policy import Decision
from kcpshard.authorization.webhook_statistics import WebhookStatistics
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError, TimedOut
from kcpshard.storage.contract import LogicalCluster, NotDurable, ReadOnly

CLUSTER_EXTRA = "kcp.io/cluster"
_MAX_REMEMBERED = 8192  # when full all are forgotten
_MAX_KEPT_BYTES = 10_000  # larger questions are not remembered, as in kube-apiserver
# Of answers that say "later": as kube-apiserver asks again.
_TRIES, _FIRST_PAUSE_S, _GROWTH, _JITTER = 5, 0.5, 1.5, 0.2
_PASSING = frozenset((429, 500, 503, 504))
_OPERATORS = {
    "in": "In", "=": "In", "==": "In", "notin": "NotIn", "!=": "NotIn", "exists": "Exists", "!": "DoesNotExist",
}  # fmt: skip


class NoOpinion(Exception):
    """The webhook leaves it to others; `reason` may say why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Passing(ValueError):
    """Worth another try."""


_Answer = Decision | NoOpinion


class Webhook:
    """One of a chain. `tasks` outlives every question."""

    def __init__(self, settings: WebhookSettings, callouts: Callouts, tasks: asyncio.TaskGroup) -> None:
        self.name = settings.name
        self.statistics = WebhookStatistics()
        self._settings, self._callouts, self._tasks = settings, callouts, tasks
        self._now = asyncio.get_running_loop().time
        self._known: dict[bytes, tuple[float, _Answer]] = {}  # until when
        self._asked: dict[bytes, _Question] = {}

    def decide(self, cluster: LogicalCluster | None, path: str, identity: Identity, wanted: Attributes) -> Decision:
        """Raises NoOpinion; NotDurable until there is an answer."""
        spec = _spec(path, identity, wanted)
        if not self._is_asked(spec):
            return _said(self._failed)
        key = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)
        known = self._known.get(key)
        if known is not None and self._now() < known[0]:
            return _said(known[1])
        question = self._asked.get(key)
        if question is None:
            question = self._asked[key] = _Question()
            self._tasks.create_task(self._ask(key, cluster.id if cluster is not None else 0, spec, question))
        raise NotDurable(question)

    def _is_asked(self, spec: Mapping[str, Any]) -> bool:
        """False: it should be, but for conditions that cannot be evaluated. Raises NoOpinion where one is false."""
        try:
            is_met = are_met(self._settings.conditions, spec)
        except MatchFault:
            self.statistics.condition_errors += 1
            return False
        if not is_met:
            self.statistics.exclusions += 1
            raise NoOpinion("")
        return True

    async def _ask(self, key: bytes, cluster_id: int, spec: Mapping[str, Any], question: "_Question") -> None:
        answer, keep_s = self._failed, 0.0
        try:
            answer, keep_s = self._read(await self._send(cluster_id, _review(spec, self._settings.version)))
        except (CalloutError, ValueError, KeyError, TypeError):
            if not self._settings.denies_on_failure:
                self.statistics.failed_open += 1
        finally:
            # Those who ask again in this turn find it, however short it is kept.
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = (self._now() + max(keep_s if len(key) < _MAX_KEPT_BYTES else 0, _ONE_TURN_S), answer)
            del self._asked[key]
            question.settle()

    async def _send(self, cluster_id: int, body: bytes) -> bytes:
        pause_s = _FIRST_PAUSE_S
        for _ in range(_TRIES - 1):
            try:
                return await self._send_once(cluster_id, body)
            except _Passing:
                await asyncio.sleep(pause_s * (1 + random.random() * _JITTER))  # noqa: S311 - spreads load
                pause_s *= _GROWTH
        return await self._send_once(cluster_id, body)

    async def _send_once(self, cluster_id: int, body: bytes) -> bytes:
        settings, began, result = self._settings, self._now(), "error"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        try:
            found = await self._callouts.call(
                cluster_id, settings.client, "POST", body, settings.timeout_s, "", headers
            )
            if found.code in _PASSING:
                raise _Passing(f"the webhook answered {found.code}")
            if not 200 <= found.code < 300:
                raise ValueError(f"the webhook answered {found.code}")
            result = "success"
            return found.body
        except TimedOut:
            result = "timeout"
            raise
        except asyncio.CancelledError:
            result = "canceled"
            raise
        finally:
            self.statistics.asked(result, self._now() - began)

    def _read(self, body: bytes) -> tuple[_Answer, float]:
        status = orjson.loads(body)["status"]
        allowed, denied, reason = bool(status["allowed"]), bool(status.get("denied")), status.get("reason") or ""
        settings = self._settings
        if denied:
            return Decision(False, reason), settings.unauthorized_ttl_s
        if allowed:
            return Decision(True, reason), settings.authorized_ttl_s
        return NoOpinion(reason), settings.unauthorized_ttl_s

    @property
    def _failed(self) -> _Answer:
        return Decision(False) if self._settings.denies_on_failure else NoOpinion("")


_ONE_TURN_S = 0.05


class _Question:
    """A Group to those who wait for the answer."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def when_durable(self, callback: Callable[[], None]) -> None:
        self._waiting.append(callback)

    def when_refused(self, callback: Callable[[ReadOnly], None]) -> None:
        """Never: a failure is an answer too."""

    def settle(self) -> None:
        for callback in self._waiting:
            callback()
        self._waiting.clear()


def _said(answer: _Answer) -> Decision:
    if isinstance(answer, NoOpinion):
        raise answer
    return answer


def _review(spec: Mapping[str, Any], version: str) -> bytes:
    if version == "v1beta1":  # where groups have another name
        spec = {"group" if member == "groups" else member: value for member, value in spec.items()}
    review = {"kind": "SubjectAccessReview", "apiVersion": f"authorization.k8s.io/{version}", "spec": spec}
    return orjson.dumps(review)


def _spec(path: str, identity: Identity, wanted: Attributes) -> dict[str, Any]:
    extra = {**{key: list(values) for key, values in identity.extra.items()}, CLUSTER_EXTRA: [path]}
    spec: dict[str, Any] = {"user": identity.username, "extra": extra}
    if identity.groups:
        spec["groups"] = list(identity.groups)
    if identity.uid:
        spec["uid"] = identity.uid
    if wanted.path is not None:
        spec["nonResourceAttributes"] = {"path": wanted.path, "verb": wanted.verb}
        return spec
    members = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
    attributes: dict[str, Any] = {member: value for member in members if (value := getattr(wanted, member))}
    fields = [_requirement(term.field, "In" if term.equal else "NotIn", (term.value,)) for term in wanted.fields]
    # An operator that reviews do not have is left out: selectors only narrow.
    labels = [
        _requirement(term.key, _OPERATORS[term.operator], term.values)
        for term in wanted.labels
        if term.operator in _OPERATORS
    ]
    for member, requirements in (("fieldSelector", fields), ("labelSelector", labels)):
        if requirements:
            attributes[member] = {"requirements": requirements}
    spec["resourceAttributes"] = attributes
    return spec


def _requirement(key: str, operator: str, values: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"key": key, "operator": operator}
    if values:
        found["values"] = list(values)
    return found
