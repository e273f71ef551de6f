"""Webhooks that a write has to wait for: what is asked, what was answered, and how the write comes to know.

A verb decides in one loop turn. Where it needs an answer that it does not have it raises `CallsWanted`; `wait` gets the
answers, and the verb runs anew from its beginning, against what is then pending, with a `Replay` that knows them. Asked
about the same write again a webhook is not called again; asked about another, because the object has changed in the
meantime, it is, a bounded number of times. What a new run would make anew (uid, time, generated name) the replay keeps.
"""

import asyncio
import base64
import binascii
import hashlib
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from kcpshard.admission.webhook_definitions import Webhook
from kcpshard.api.errors import Conflict, TooManyRequests
from kcpshard.api.objects import Object
from kcpshard.api.requests import Request
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.errors import CalloutError, OverBudget, webhook_failed
from kcpshard.callouts.targets import client_config

MOST_CHANGES = 5  # of the object between two runs of one write, as kube-apiserver's
_PINNED = ("uid", "creationTimestamp", "name")
_VERSIONS = ("v1", "v1beta1")
_KNOWN = tuple(f"admission.k8s.io/{version}" for version in _VERSIONS)


class Response(NamedTuple):
    """What a webhook said. `fault` is why it said nothing: the sentence for the client."""

    fault: str = ""
    is_allowed: bool = False
    status: Object | None = None
    warnings: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    patch: Any = None  # decoded
    patch_type: str = ""


class Call(NamedTuple):
    """One question: `key` names webhook, round and write."""

    key: str
    hook: Webhook
    is_mutating: bool
    uid: str
    body: bytes


class Replay:
    """What one write has been told so far."""

    def __init__(self) -> None:
        self.pinned: Object = {}
        self.answers: dict[str, Response] = {}
        self.changes: dict[str, int] = {}  # by webhook and round: how often the object had changed

    def pin(self, meta: Object) -> None:
        """Let the metadata of a new object be what it was in the first run."""
        for member in _PINNED:
            if member in meta:
                meta[member] = self.pinned.setdefault(member, meta[member])

    def know(self, call: Call, answer: Response) -> None:
        who = call.key.rpartition("/")[0]
        self.changes[who] = self.changes.get(who, 0) + 1
        self.answers[call.key] = answer


class CallsWanted(Exception):
    """The write cannot be decided without these answers. Raised before anything is committed."""

    def __init__(self, replay: Replay, calls: Sequence[Call], cluster_id: int) -> None:
        super().__init__("webhooks have to be asked")
        self.replay, self.calls, self.cluster_id = replay, calls, cluster_id


class Replayed:
    """A request beside what its earlier runs were told; everything else is the request's."""

    __slots__ = ("_request", "replay")

    def __init__(self, request: Request, replay: Replay) -> None:
        self._request, self.replay = request, replay

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


def replay_of(request: Request | None) -> Replay:
    """That of a request that runs anew, or a new one."""
    found = getattr(request, "replay", None)
    return found if isinstance(found, Replay) else Replay()


def key_of(hook: Webhook, phase: str, operation: str, obj: Object | None, old: Object | None) -> str:
    """Equal for two runs in which the webhook would be told the same. `phase` is that of admission: configurations of
    both kinds may have the same name, and so their webhooks."""
    before = (old or {}).get("metadata") or {}
    told = (operation, _stable(obj), before.get("uid"), before.get("resourceVersion"))
    digest = hashlib.sha1(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), usedforsecurity=False).hexdigest()
    return f"{phase}/{hook.uid}/{digest}"


def _stable(obj: Object | None) -> Object | None:
    """Without what each run makes anew."""
    if obj is None:
        return None
    meta = obj.get("metadata") or {}
    return {**obj, "metadata": {k: v for k, v in meta.items() if k not in ("managedFields", "creationTimestamp")}}


def call_for(hook: Webhook, key: str, is_mutating: bool, request: Object) -> Call:
    """`request` is the AdmissionRequest without its uid."""
    version = next((v for v in hook.spec.get("admissionReviewVersions") or () if v in _VERSIONS), "v1")
    uid = str(uuid.uuid4())
    review = {
        "kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "request": {"uid": uid, **request},
    }  # fmt: skip
    return Call(key, hook, is_mutating, uid, orjson.dumps(review))


async def wait(callouts: Callouts, wanted: CallsWanted, left_s: float) -> None:
    """Ask them all at once, and note the answers. Raises Conflict if the object changes faster than that."""
    for call in wanted.calls:
        if wanted.replay.changes.get(call.key.rpartition("/")[0], 0) >= MOST_CHANGES:
            raise Conflict(
                "the object has been modified while webhooks were asked; please apply your changes to the latest "
                "version and try again"
            )
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_ask(callouts, wanted.cluster_id, call, left_s)) for call in wanted.calls]
    for call, task in zip(wanted.calls, asked, strict=True):
        answer = task.result()
        if isinstance(answer, TooManyRequests):
            raise answer
        wanted.replay.know(call, answer)


async def _ask(callouts: Callouts, cluster_id: int, call: Call, left_s: float) -> Response | TooManyRequests:
    hook = call.hook
    timeout_s = int(hook.spec.get("timeoutSeconds") or 10)
    try:
        config = client_config(hook.spec["clientConfig"])
        shown = min(timeout_s, max(1, round(left_s)))
        raw = await callouts.post(cluster_id, config, call.body, min(timeout_s, left_s), f"timeout={shown}s")
    except OverBudget as error:
        return TooManyRequests(str(error), retry_after_s=error.retry_after_s)
    except CalloutError as error:
        return Response(webhook_failed(hook.name, error))
    return read_response(raw, call)


# --- what comes back


class _Unusable(Exception):
    """An answer that says what none may say."""


class _Undecodable(Exception):
    """No answer of any kind that is known."""


def read_response(raw: bytes, call: Call) -> Response:
    name = call.hook.name
    try:
        review = orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        text = f"couldn't get version/kind; json parse error: {fault}"
        return Response(f'failed calling webhook "{name}": failed to call webhook: {text}')
    try:
        return _response(review, call)
    except _Undecodable as fault:
        return Response(f'failed calling webhook "{name}": failed to call webhook: {fault}')
    except _Unusable as fault:
        return Response(f'failed calling webhook "{name}": received invalid webhook response: {fault}')


def _response(review: Any, call: Call) -> Response:
    sent = orjson.loads(call.body)["apiVersion"]
    is_v1 = sent == "admission.k8s.io/v1"
    _check_known(review)
    if not isinstance(review.get("response"), dict):
        raise _Unusable("webhook response was absent")
    found = review["response"]
    if is_v1:
        _check_identity(review, found, call, sent)
    patch, patch_type = found.get("patch") or "", found.get("patchType")
    if call.is_mutating:
        if is_v1:
            _check_patch(patch, patch_type)
        elif patch:
            patch_type = "JSONPatch"
    elif is_v1 and patch:
        raise _Unusable("validating webhook may not return response.patch")
    elif is_v1 and patch_type is not None:
        raise _Unusable("validating webhook may not return response.patchType")
    annotations = found.get("auditAnnotations") or {}
    return Response(
        "", found.get("allowed") is True, found.get("status"), tuple(map(str, found.get("warnings") or ())),
        tuple((str(k), str(v)) for k, v in annotations.items()),
        _decoded(patch) if call.is_mutating else None, patch_type or "",
    )  # fmt: skip


def _check_known(review: Any) -> None:
    if not isinstance(review, dict):
        raise _Undecodable("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value")
    version, kind = review.get("apiVersion") or "", review.get("kind") or ""
    if version and kind and (kind != "AdmissionReview" or version not in _KNOWN):
        text = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        raise _Undecodable(text)


def _check_identity(review: Object, found: Object, call: Call, sent: str) -> None:
    uid = found.get("uid") or ""
    if uid != call.uid:
        raise _Unusable(f'expected response.uid="{call.uid}", got "{uid}"')
    given = (str(review.get("apiVersion") or ""), str(review.get("kind") or ""))
    if given != (sent, "AdmissionReview"):
        group, _, version = given[0].rpartition("/")
        shown = f"{group}/{version}, Kind={given[1]}"
        raise _Unusable(f"expected webhook response of {sent}, Kind=AdmissionReview, got {shown}")


def _check_patch(patch: str, patch_type: str | None) -> None:
    if patch and patch_type is None:
        raise _Unusable("webhook returned response.patch but not response.patchType")
    if not patch and patch_type is not None:
        raise _Unusable("webhook returned response.patchType but not response.patch")
    if patch_type == "":
        raise _Unusable('webhook returned invalid response.patchType of ""')


class Undecodable(NamedTuple):
    """A patch that is none."""

    text: str


def _decoded(patch: Any) -> Any:
    """The steps of the patch, or Undecodable."""
    if not patch:
        return None
    try:
        found = orjson.loads(base64.b64decode(patch, validate=True))
    except orjson.JSONDecodeError as fault:
        at = fault.doc[fault.pos : fault.pos + 1] if isinstance(fault.doc, str) else ""
        text = f"invalid character '{at}' looking for beginning of value" if at else "unexpected end of JSON input"
        return Undecodable(text)
    except (binascii.Error, ValueError, TypeError):
        return Undecodable("illegal base64 data")
    if not isinstance(found, list) or not all(isinstance(step, dict) for step in found):
        return Undecodable("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    return found
