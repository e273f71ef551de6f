import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

from kcpfront.authentication.options import AuthenticationOptions, RequestHeaderOptions, WebhookOptions
from kcpfront.credential_files import CredentialError, CredentialFiles
from kcpfront.server import Front
from kcpfront.settings import Settings
from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.webhook_server import Asked, Reply, json_reply, webhook_server
from tests.kcpfront.authentication.test_token_webhook import kubeconfig
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient
from tests.kcpfront.issuer import ec_key, local_issuer
from tests.kcpfront.tls_files import Authority

CONFIG_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "default"}}


async def test_a_get_reaches_the_router_and_comes_back_untouched(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = CONFIG_MAP
    answer = await client.get("/clusters/root:org/api/v1/namespaces/default/configmaps/a", User_Agent="t/1")
    assert (answer.code, answer.json()) == (200, CONFIG_MAP)
    asked = router.requests[0]
    assert (asked.verb, asked.cluster, asked.namespace, asked.name) == (pb.GET, "root:org", "default", "a")
    assert asked.user_agent == "t/1"
    assert b'"ada"' in asked.identity
    assert len(answer.headers["audit-id"]) == 36
    assert answer.headers["cache-control"] == "no-cache, private"


async def test_one_connection_serves_many_requests(client: HttpClient, router: FakeRouter) -> None:
    router.objects["a"] = CONFIG_MAP
    for _ in range(5):
        assert (await client.get("/api/v1/namespaces/default/configmaps/a")).code == 200
    assert client.opened == 1


async def test_a_watch_hands_its_connection_back(client: HttpClient, router: FakeRouter, front: Front) -> None:
    router.objects["a"] = CONFIG_MAP
    await client.send("GET", "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=5")
    head = await client.head()
    assert head.code == 200 and head.headers["transfer-encoding"] == "chunked"
    watch = router.watches[0]
    watch.give(1, 7, CONFIG_MAP)
    assert (await client.chunk()).startswith(b'{"type":"ADDED","object":{"kind":"ConfigMap"')
    watch.sink.ended(b'{"kind":"Status","code":410}')
    assert await client.chunk() == b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'
    assert await client.chunk() == b""
    assert watch.closed and len(front.open_watches) == 0
    assert (await client.get("/api/v1/namespaces/default/configmaps/a")).code == 200
    assert client.opened == 1


# --- who asks, over TLS, by every kind of credential


def _pki(directory: Path, *signed: tuple[str, Authority, str, str]) -> Authority:
    """A serving certificate and, per (file, authority, name, organization), a client's. Returns the serving CA."""
    authority = Authority("serving")
    authority.issue(directory / "serving.crt", directory / "serving.key", "server")
    for file, signer, name, organization in signed:
        signer.issue(directory / f"{file}.crt", directory / f"{file}.key", name, organization)
    return authority


def _context(authority: Authority, directory: Path, file: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    if file:
        context.load_cert_chain(directory / f"{file}.crt", directory / f"{file}.key")
    return context


@asynccontextmanager
async def _running(
    router: FakeRouter, directory: Path, options: AuthenticationOptions, tokens: str = ""
) -> AsyncIterator[tuple[Front, int]]:
    (directory / "tokens.csv").write_text(tokens)
    proxies = options.request_header
    files = CredentialFiles(directory, directory / "tokens.csv", proxies.client_ca_file if proxies else None)
    front = Front(router, router, files, Settings(drain_s=0.5), authentication=options)
    stop = asyncio.Event()
    port = await front.start("127.0.0.1", 0)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(front.run(stop))
        yield front, port
        stop.set()


PATH = "/api/v1/namespaces/default/configmaps/a"


async def _who(port: int, context: ssl.SSLContext, token: str | None, router: FakeRouter, **headers: str) -> Any:
    """The identity that a shard is told; the code where there is none."""
    router.requests.clear()
    client = HttpClient("127.0.0.1", port, token, context)
    try:
        answer = await client.get(PATH, **headers)
    finally:
        client.close()
    return json.loads(router.requests[0].identity) if router.requests else answer.code


async def test_a_proxy_is_believed_by_its_certificate_alone(router: FakeRouter, tmp_path: Path) -> None:
    clients, proxies = Authority("clients"), Authority("proxies")
    serving = _pki(
        tmp_path,
        ("proxy", proxies, "proxy", "system:masters"),
        ("stranger", proxies, "stranger", "system:masters"),
        ("client", clients, "proxy", "dev"),
    )
    (tmp_path / "client-ca.crt").write_bytes(clients.certificate)
    (tmp_path / "proxy-ca.crt").write_bytes(proxies.certificate)
    told = RequestHeaderOptions(tmp_path / "proxy-ca.crt", ("proxy",), ("X-Remote-User",), (), ("X-Remote-Group",))
    options = AuthenticationOptions(request_header=told)
    headers = {"X_Remote_User": "ada", "X_Remote_Group": "ops"}
    async with _running(router, tmp_path, options, "t0ken,eve,1\n") as (_, port):
        proxy = _context(serving, tmp_path, "proxy")
        found = await _who(port, proxy, None, router, **headers)
        assert (found["username"], found["groups"]) == ("ada", ["ops", "system:authenticated"])
        # What else it sends along is not looked at.
        assert (await _who(port, proxy, "wrong", router, **headers))["username"] == "ada"
        # Its own certificate is nobody's, whatever its O; nor is another name's of the same authority.
        assert await _who(port, proxy, None, router) == 401
        assert await _who(port, _context(serving, tmp_path, "stranger"), None, router, **headers) == 401
        # The same name by the clients' authority is a client, a token is its own: the headers mean nothing.
        assert (await _who(port, _context(serving, tmp_path, "client"), None, router, **headers))["groups"][0] == "dev"
        assert (await _who(port, _context(serving, tmp_path), "t0ken", router, **headers))["username"] == "eve"
        assert (await _who(port, _context(serving, tmp_path), None, router, **headers))["username"].endswith(
            "anonymous"
        )


async def test_no_credential_is_ever_logged(
    router: FakeRouter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Static, OpenID Connect, webhook, service accounts', bootstrap and legacy tokens, good and bad ones."""
    caplog.set_level(logging.DEBUG)
    serving = _pki(tmp_path)

    def answer(asked: Asked) -> Reply:
        good = asked.json["spec"]["token"] == "webhook-good"
        status = (
            {"authenticated": good, "user": {"username": "hook"}} if good else {"error": asked.json["spec"]["token"]}
        )
        return json_reply({"status": status})

    async with local_issuer() as issuer, webhook_server(answer) as server:
        (tmp_path / "authentication.yaml").write_text(yaml.safe_dump(issuer.document()))
        hook = WebhookOptions(kubeconfig(tmp_path, server, token="webhook-own-secret"), version="v1")
        options = AuthenticationOptions(config_file=tmp_path / "authentication.yaml", webhook=hook)
        account = jwt.encode({"iss": "https://kubernetes.default.svc.cluster.local"}, issuer.keys["k1"], "ES256")
        legacy = jwt.encode({"iss": "kubernetes/serviceaccount"}, issuer.keys["k1"], "ES256", {"kid": "k9"})
        other = {key: jwt.encode(issuer.claims(), ec_key(), "ES256", {"kid": key}) for key in ("k1",)}
        good = {"static-good": "ada", issuer.token(): "oidc:ada", "webhook-good": "hook"}
        bad = ["static-bad", issuer.token(exp=1), issuer.token(sub=1), *other.values(), account, legacy]
        async with _running(router, tmp_path, options, "static-good,ada,1\n") as (_, port):
            context = _context(serving, tmp_path)
            for token, name in good.items():
                assert (await _who(port, context, token, router))["username"] == name
            for token in bad:
                assert await _who(port, context, token, router) == 401
            assert await _who(port, context, "abcdef.0123456789abcdef", router)
    written = "".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    for token in (*good, *bad, "abcdef.0123456789abcdef", "webhook-own-secret"):
        assert token not in written and token.rpartition(".")[2] not in written


async def test_a_configuration_decides_who_is_anonymous_where(router: FakeRouter, tmp_path: Path) -> None:
    serving = _pki(tmp_path)
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": "/version"}]},
    }
    (tmp_path / "authentication.yaml").write_text(yaml.safe_dump(document))
    options = AuthenticationOptions(config_file=tmp_path / "authentication.yaml")
    async with _running(router, tmp_path, options) as (_, port):
        assert await _who(port, _context(serving, tmp_path), None, router) == 401
        client = HttpClient("127.0.0.1", port, None, _context(serving, tmp_path))
        assert (await client.get("/version")).code == 200
        client.close()


async def test_an_unusable_configuration_keeps_a_front_from_starting(router: FakeRouter, tmp_path: Path) -> None:
    (tmp_path / "authentication.yaml").write_text("kind: Pod")
    options = AuthenticationOptions(config_file=tmp_path / "authentication.yaml")
    with pytest.raises(CredentialError, match=r"authentication\.yaml: it is not an AuthenticationConfiguration"):
        Front(router, router, CredentialFiles(tmp_path, None), authentication=options)
