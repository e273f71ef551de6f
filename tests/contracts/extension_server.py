"""An extension API server as people write them: `fruits` of `fruit.example.com/v1`, in memory, over TLS.

It believes what the request's headers say of who asks if the client certificate is of the front proxy's authority and
has one of the allowed names, as the libraries of Kubernetes do. What came is in `seen`. As a program it serves until it
is killed: `python -m tests.contracts.extension_server DIRECTORY PORT REQUESTHEADER-CA [NAME…]`.
"""

import asyncio
import json
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from kcp.certificates import Pair, Subject, issue, make_authority, now_utc

GROUP, VERSION = "fruit.example.com", "v1"
ROOT = f"/apis/{GROUP}/{VERSION}"
NAMES = ("localhost", "127.0.0.1", "fruits.shop.svc")
SCHEMA = {
    "type": "object",
    "description": "Fruit grows on trees.",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {"colour": {"type": "string", "description": "What it looks like."}}},
    },
    "x-kubernetes-group-version-kind": [{"group": GROUP, "kind": "Fruit", "version": VERSION}],
}


class Seen(NamedTuple):
    method: str
    path: str  # with its query, as it came
    user: str
    groups: tuple[str, ...]
    extra: dict[str, list[str]]
    headers: dict[str, str]  # by name in lower case
    body: bytes


class ExtensionServer:
    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self.allowed = tuple(allowed)  # names of the front proxy's certificate; none: any
        self.seen: list[Seen] = []
        self.fruits: dict[tuple[str, str], dict[str, Any]] = {}
        self.port = 0
        self.bundle = b""
        self.is_ill = False  # discovery answers 500
        self.watching = 0
        self._revision = 10
        self._changed = asyncio.Condition()
        self._events: list[dict[str, Any]] = []

    def application(self) -> web.Application:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_get("/openapi/v3", self._openapi_index)
        app.router.add_get(f"/openapi/v3{ROOT}", self._openapi)
        app.router.add_get("/openapi/v2", self._openapi_2)
        app.router.add_get(ROOT, self._discovery)
        app.router.add_get(f"{ROOT}/fruits", self._list)
        plural = ROOT + "/namespaces/{namespace}/fruits"
        app.router.add_get(plural, self._list)
        app.router.add_post(plural, self._create)
        app.router.add_get(plural + "/{name}", self._get)
        app.router.add_delete(plural + "/{name}", self._delete)
        app.router.add_put(plural + "/{name}", self._unsupported)
        app.router.add_route("*", plural + "/{name}/echo", self._echo)
        return app

    # --- who asks

    async def _asked(self, request: web.Request) -> None:
        """Note what came. Raises 401 for whoever is not the front proxy."""
        transport = request.transport
        assert transport is not None
        certificate = transport.get_extra_info("peercert") or {}
        name = next(
            (value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"), ""
        )
        headers = request.headers
        is_proxy = bool(name) and (not self.allowed or name in self.allowed)
        prefix = "x-remote-extra-"
        extra: dict[str, list[str]] = {}
        for key in headers:
            if key.lower().startswith(prefix):
                extra[unquote(key.lower().removeprefix(prefix))] = headers.getall(key)
        groups = tuple(headers.getall("X-Remote-Group", []))
        user = headers.get("X-Remote-User", "") if is_proxy else ""
        found = {key.lower(): value for key, value in headers.items()}
        self.seen.append(Seen(request.method, request.raw_path, user, groups, extra, found, await request.read()))
        if not user and request.path.count("/") > 3:  # discovery is for everybody
            raise web.HTTPUnauthorized(
                text=json.dumps(_status(401, "Unauthorized", "Unauthorized")), content_type=_JSON
            )

    # --- documents

    async def _discovery(self, request: web.Request) -> web.Response:
        await self._asked(request)
        if self.is_ill:
            return web.Response(status=500, text="ill")
        verbs = ["create", "delete", "get", "list", "watch"]
        main = {"name": "fruits", "singularName": "fruit", "namespaced": True, "kind": "Fruit", "verbs": verbs}
        echo = {
            "name": "fruits/echo",
            "singularName": "",
            "namespaced": True,
            "kind": "Echo",
            "verbs": ["create", "get"],
        }
        found = [{**main, "shortNames": ["fr"], "categories": ["food"]}, echo]
        document = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"}
        return web.json_response({**document, "resources": found})

    async def _openapi_index(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return web.json_response({"paths": {ROOT[1:]: {"serverRelativeURL": f"/openapi/v3{ROOT}?hash=A1"}}})

    async def _openapi(self, request: web.Request) -> web.Response:
        await self._asked(request)
        action = {"x-kubernetes-group-version-kind": {"group": GROUP, "kind": "Fruit", "version": VERSION}}
        action |= {"x-kubernetes-action": "list", "responses": {"200": {"description": "OK"}}}
        document = {
            "openapi": "3.0.0",
            "info": {"title": "fruits", "version": "v1"},
            "paths": {f"{ROOT}/fruits": {"get": action}},
            "components": {"schemas": {"com.example.fruit.v1.Fruit": SCHEMA}},
        }
        return web.json_response(document, headers={"ETag": '"A1"'})

    async def _openapi_2(self, request: web.Request) -> web.Response:
        """Says more than it is asked about: another group, and a definition that has the name of one of Kubernetes'."""
        await self._asked(request)
        meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
        properties = {**SCHEMA["properties"], "metadata": {"$ref": f"#/definitions/{meta}"}}  # type: ignore[dict-item]
        fruit = {**SCHEMA, "properties": properties}
        answer = {"200": {"description": "OK", "schema": {"$ref": "#/definitions/com.example.fruit.v1.Fruit"}}}
        document = {
            "swagger": "2.0",
            "info": {"title": "fruits", "version": "v1"},
            "paths": {
                f"{ROOT}/fruits": {"get": {"responses": answer}},
                "/apis/apps/v1/deployments": {"get": {"responses": answer}},
                "/apis/evil.example.com/v1/others": {"get": {"responses": answer}},
            },
            "definitions": {
                "com.example.fruit.v1.Fruit": fruit,
                meta: {"type": "object", "description": "Of the fruits."},
                "com.example.fruit.v1.Unused": {"type": "object"},
            },
        }
        return web.json_response(document)

    # --- objects

    async def _list(self, request: web.Request) -> web.StreamResponse:
        await self._asked(request)
        namespace = request.match_info.get("namespace", "")
        if request.query.get("watch") in ("1", "true"):
            return await self._watch(request, namespace)
        items = [fruit for (where, _), fruit in sorted(self.fruits.items()) if namespace in ("", where)]
        meta = {"resourceVersion": str(self._revision)}
        return web.json_response(
            {"kind": "FruitList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": meta, "items": items}
        )

    async def _get(self, request: web.Request) -> web.Response:
        await self._asked(request)
        found = self.fruits.get((request.match_info["namespace"], request.match_info["name"]))
        return web.json_response(found) if found else _missing(request.match_info["name"])

    async def _create(self, request: web.Request) -> web.Response:
        await self._asked(request)
        body = await request.read()
        if request.content_type == "application/x-own":  # passes through untouched
            return web.Response(status=201, body=body[::-1], content_type="application/x-own")
        fruit = json.loads(body)
        namespace, name = request.match_info["namespace"], fruit["metadata"]["name"]
        if (namespace, name) in self.fruits:
            message = f'fruits.{GROUP} "{name}" already exists'
            return web.json_response(_status(409, "AlreadyExists", message), status=409)
        self._revision += 1
        meta = {"namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"}
        fruit["metadata"] |= meta | {"resourceVersion": str(self._revision)}
        self.fruits[namespace, name] = fruit
        await self._tell("ADDED", fruit)
        return web.json_response(fruit, status=201, headers={"Warning": '299 - "fruit rots"', "Set-Cookie": "a=b"})

    async def _delete(self, request: web.Request) -> web.Response:
        await self._asked(request)
        fruit = self.fruits.pop((request.match_info["namespace"], request.match_info["name"]), None)
        if fruit is None:
            return _missing(request.match_info["name"])
        await self._tell("DELETED", fruit)
        return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def _unsupported(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return web.json_response(_status(405, "MethodNotAllowed", "fruit does not change"), status=405)

    async def _echo(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return web.Response(body=await request.read() or b"nothing", content_type="text/plain")

    async def _tell(self, kind: str, fruit: dict[str, Any]) -> None:
        async with self._changed:
            self._events.append({"type": kind, "object": fruit})
            self._changed.notify_all()

    async def _watch(self, request: web.Request, namespace: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": _JSON})
        await response.prepare(request)
        told = len(self._events)
        self.watching += 1
        try:
            async with self._changed:
                while True:
                    for event in self._events[told:]:
                        if namespace in ("", event["object"]["metadata"]["namespace"]):
                            await response.write(json.dumps(event).encode() + b"\n")
                    told = len(self._events)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.1):  # to find out that the client has gone
                            await self._changed.wait()
                    if request.transport is None or request.transport.is_closing():
                        return response
        finally:
            self.watching -= 1


_JSON = "application/json"


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code}  # fmt: skip


def _missing(name: str) -> web.Response:
    return web.json_response(_status(404, "NotFound", f'fruits.{GROUP} "{name}" not found'), status=404)


@asynccontextmanager
async def extension_server(
    proxy_authorities: bytes, allowed: Sequence[str] = (), port: int = 0, directory: Path | None = None
) -> AsyncIterator[ExtensionServer]:
    """`proxy_authorities` (PEM) are those whose client certificates are asked for."""
    found = ExtensionServer(allowed)
    context, found.bundle = serving_context(proxy_authorities, directory)
    runner = web.AppRunner(found.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
    await site.start()
    found.port = runner.addresses[0][1]
    try:
        yield found
    finally:
        await runner.cleanup()


def serving_context(proxy_authorities: bytes, kept: Path | None) -> tuple[ssl.SSLContext, bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL if proxy_authorities else ssl.CERT_NONE
    if proxy_authorities:
        context.load_verify_locations(cadata=proxy_authorities.decode())
    with tempfile.TemporaryDirectory() as temporary:
        directory = kept or Path(temporary)
        if not (directory / "ca.crt").exists():
            authority = make_authority("fruits", now_utc())
            pair: Pair = issue(authority, Subject("fruits"), now_utc(), NAMES)
            for name, content in (
                ("ca.crt", authority.certificate),
                ("tls.crt", pair.certificate),
                ("tls.key", pair.key),
            ):
                (directory / name).write_bytes(content)
        context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
        return context, (directory / "ca.crt").read_bytes()


async def _main(directory: str, port: str, authorities: str, *allowed: str) -> None:
    async with extension_server(Path(authorities).read_bytes(), allowed, int(port), Path(directory)) as server:
        print(server.port, flush=True)
        told = 0
        while True:
            await asyncio.sleep(0.2)
            for seen in server.seen[told:]:
                print(json.dumps([*seen[:-1], seen.body.decode(errors="replace")]), flush=True)
            told = len(server.seen)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
