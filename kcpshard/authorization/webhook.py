"""Asks a webhook for permission: SubjectAccessReviews out, decisions in, remembered for as long as the operator says.

A question that is not answered yet raises NotDurable with a Group of its own: whoever asks is asked again when the
answer is there, in the way in which everything waits that cannot be decided in a loop turn. Questions alike share one
call. `kcp.io/cluster` in the review's extra tells the webhook which logical cluster it is about.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kcpshard.api.requests import Identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.configuration import WebhookSettings
from kcpshard.authorization.policy import Decision
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError
from kcpshard.storage.contract import LogicalCluster, NotDurable, ReadOnly

CLUSTER_EXTRA = "kcp.io/cluster"
_MAX_REMEMBERED = 8192  # when full all are forgotten
_MAX_KEPT_BYTES = 10_000  # larger questions are not remembered, as in kube-apiserver


class NoOpinion(Exception):
    """The webhook leaves it to others; `reason` may say why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_Answer = Decision | NoOpinion


class Webhook:
    """One of a chain. `tasks` outlives every question."""

    def __init__(self, settings: WebhookSettings, callouts: Callouts, tasks: asyncio.TaskGroup) -> None:
        self.name = settings.name
        self._settings, self._callouts, self._tasks = settings, callouts, tasks
        self._now = asyncio.get_running_loop().time
        self._known: dict[bytes, tuple[float, _Answer]] = {}  # until when
        self._asked: dict[bytes, _Question] = {}

    def decide(self, cluster: LogicalCluster | None, path: str, identity: Identity, wanted: Attributes) -> Decision:
        """Raises NoOpinion; NotDurable until there is an answer."""
        spec = _spec(path, identity, wanted)
        key = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)
        known = self._known.get(key)
        if known is not None and self._now() < known[0]:
            return _said(known[1])
        question = self._asked.get(key)
        if question is None:
            question = self._asked[key] = _Question()
            self._tasks.create_task(self._ask(key, cluster.id if cluster is not None else 0, spec, question))
        raise NotDurable(question)

    async def _ask(self, key: bytes, cluster_id: int, spec: Mapping[str, Any], question: "_Question") -> None:
        review = {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec}
        answer, keep_s = self._failed, 0.0
        try:
            answer, keep_s = self._read(await self._send(cluster_id, orjson.dumps(review)))
        except (CalloutError, ValueError, KeyError, TypeError):
            pass
        finally:
            # Those who ask again in this turn find it, however short it is kept.
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = (self._now() + max(keep_s if len(key) < _MAX_KEPT_BYTES else 0, _ONE_TURN_S), answer)
            del self._asked[key]
            question.settle()

    async def _send(self, cluster_id: int, body: bytes) -> bytes:
        settings = self._settings
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        found = await self._callouts.call(cluster_id, settings.client, "POST", body, settings.timeout_s, "", headers)
        if not 200 <= found.code < 300:
            raise ValueError(f"the webhook answered {found.code}")
        return found.body

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


def _spec(path: str, identity: Identity, wanted: Attributes) -> dict[str, Any]:
    extra = {**{key: list(values) for key, values in identity.extra.items()}, CLUSTER_EXTRA: [path]}
    spec: dict[str, Any] = {"user": identity.username, "groups": list(identity.groups), "extra": extra}
    if identity.uid:
        spec["uid"] = identity.uid
    if wanted.path is not None:
        spec["nonResourceAttributes"] = {"path": wanted.path, "verb": wanted.verb}
        return spec
    members = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
    spec["resourceAttributes"] = {member: value for member in members if (value := getattr(wanted, member))}
    return spec
