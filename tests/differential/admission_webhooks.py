# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""Webhooks that two servers ask alike: what each path answers, and how often it was asked.

A path is `/CASE/BEHAVIOUR/NAME`. The server runs on a thread and loop of its own, for one of the two that ask it blocks.
"""

import asyncio
import base64
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from tests.contracts.webhook_server import Asked, Hanging, Reply, WebhookServer, json_reply, webhook_server

Object = dict[str, Any]
Behaviour = Callable[[Object], Object]


def _patch(steps: Any) -> Object:
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(steps).encode()).decode()}


def _add(name: str, value: str = "yes") -> Behaviour:
    return lambda request: _patch([{"op": "add", "path": f"/data/{name}", "value": value}])


def _once(name: str, needs: str) -> Behaviour:
    """Adds only when another has been here."""

    def answer(request: Object) -> Object:
        has = needs in ((request.get("object") or {}).get("data") or {})
        return _patch([{"op": "add", "path": f"/data/{name}", "value": str(has)}])

    return answer


def _echo(request: Object) -> Object:
    """Refuses, saying what it was asked."""
    seen = {key: value for key, value in request.items() if key not in ("uid", "object", "oldObject", "userInfo")}
    for member in ("object", "oldObject"):
        obj = request.get(member)
        if obj is not None:
            meta = obj.get("metadata") or {}
            kept = {k: v for k, v in meta.items() if k in ("name", "namespace", "generateName", "labels")}
            seen[member] = {**obj, "metadata": {**kept, "members": sorted(k for k in meta if k != "managedFields")}}
        else:
            seen[member] = None
    seen["groups"] = sorted((request.get("userInfo") or {}).get("groups") or ())
    return {"allowed": False, "status": {"message": json.dumps(seen, sort_keys=True)}}


BEHAVIOURS: dict[str, Behaviour] = {
    "allow": lambda r: {"allowed": True},
    "deny": lambda r: {"allowed": False},
    "message": lambda r: {"allowed": False, "status": {"message": "not today"}},
    "reason": lambda r: {"allowed": False, "status": {"reason": "Teapot"}},
    "code": lambda r: {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": "no", "details": {"causes": [{"message": "c"}]}}},
    "success": lambda r: {"allowed": False, "status": {"code": 200, "status": "Success", "message": "fine"}},
    "warn": lambda r: {"allowed": True, "warnings": ["mind the gap", "and the step"]},
    "warn-deny": lambda r: {"allowed": False, "warnings": ["told you"]},
    "annotate": lambda r: {"allowed": True, "auditAnnotations": {"k": "v"}},
    "echo": _echo,
    "add": _add("added"), "add-first": _add("first"), "add-second": _add("second"), "after-second": _once("seen", "second"),
    "add-invalid": _add("not a key"),
    "add-number": lambda r: _patch([{"op": "add", "path": "/data/n", "value": 1}]),
    "add-unknown": lambda r: _patch([{"op": "add", "path": "/unknown", "value": 1}]),
    "add-missing": lambda r: _patch([{"op": "add", "path": "/none/n", "value": 1}]),
    "test": lambda r: _patch([{"op": "test", "path": "/data/a", "value": "other"}]),
    "nothing": lambda r: _patch([]),
    "label": lambda r: _patch([{"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}]),
    "undecodable": lambda r: {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(b"{").decode()},
    "no-type": lambda r: {"allowed": True, "patch": base64.b64encode(b"[]").decode()},
    "no-patch": lambda r: {"allowed": True, "patchType": "JSONPatch"},
    "other-type": lambda r: {**_patch([{"op": "add", "path": "/data/x", "value": "y"}]), "patchType": "Merge"},
    "deny-delete": lambda r: {"allowed": r["operation"] != "DELETE" or r["oldObject"]["metadata"]["name"] != "keep"},
}  # fmt: skip


class Hooks:
    """The server and its counts."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._ready: Future[WebhookServer] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._ready.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with webhook_server(self._answer) as server:
            self._ready.set_result(server)
            await self._stop.wait()

    @property
    def url(self) -> str:
        return self._server.url("")

    @property
    def bundle(self) -> str:
        return base64.b64encode(self._server.bundle).decode()

    def _answer(self, asked: Asked) -> Reply:
        _, case, behaviour, name = asked.path.partition("?")[0].split("/")
        self.calls[f"{case}/{name}"] += 1
        match behaviour:
            case "hang":
                return Hanging()
            case "error":
                return 500, {"Content-Type": "text/plain"}, b"broken\n"
            case "gone":
                return 404, {"Content-Type": "text/plain"}, b"nothing\n"
            case "text":
                return 200, {"Content-Type": "text/plain"}, b"hello"
        review = asked.json
        return json_reply(_review(review, behaviour))


def _review(review: Object, behaviour: str) -> Object:
    request = review["request"]
    answer: Object = {"apiVersion": review["apiVersion"], "kind": "AdmissionReview"}
    match behaviour:
        case "absent":
            return answer
        case "uid":
            return {**answer, "response": {"uid": "other", "allowed": True}}
        case "version":
            return {**answer, "apiVersion": "admission.k8s.io/v2", "response": {"uid": request["uid"], "allowed": True}}
    return {**answer, "response": {"uid": request["uid"], **BEHAVIOURS[behaviour](request)}}
