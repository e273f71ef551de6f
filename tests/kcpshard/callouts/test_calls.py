"""Calls out of the shard against a real TLS server: what goes through, what is refused, what is said."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from kcpshard.callouts import budget
from kcpshard.callouts.addresses import AddressPolicy, parse_networks
from kcpshard.callouts.calls import Callouts, Endpoint, ServiceLookup, no_services
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
    webhook_failed,
)
from kcpshard.callouts.lookups import Lookups
from kcpshard.callouts.targets import ClientConfig, ServiceReference
from tests.contracts.webhook_server import Hanging, Raw, Reply, json_reply, webhook_server

OPEN = AddressPolicy(parse_networks(["127.0.0.0/8", "::1/128"]))


@asynccontextmanager
async def callouts(
    policy: AddressPolicy = OPEN, services: ServiceLookup = no_services, lookups: Lookups | None = None
) -> AsyncIterator[Callouts]:
    found = Callouts(policy, services, lookups)
    try:
        yield found
    finally:
        await found.close()


def always(reply: Reply):  # type: ignore[no-untyped-def]
    return lambda _asked: reply


OK = always(json_reply({"ok": True}))


async def test_a_body_goes_out_and_the_answer_comes_back() -> None:
    async with webhook_server(OK) as server, callouts() as out:
        assert await out.post(1, server.config("/a/b"), b"{}", 5, query="timeout=5s") == b'{"ok":true}'
        (asked,) = server.asked
        assert (asked.method, asked.path, asked.body) == ("POST", "/a/b?timeout=5s", b"{}")
        assert asked.headers["host"] == f"localhost:{server.port}"
        assert asked.headers["content-type"] == "application/json"


async def test_a_connection_is_kept_for_its_logical_cluster_only() -> None:
    async with webhook_server(OK) as server, callouts() as out:
        for cluster in (1, 1, 2, 1):
            await out.post(cluster, server.config(), b"{}", 5)
        assert (len(server.asked), server.connections) == (4, 2)


async def test_a_kept_connection_that_the_server_closed_is_opened_anew() -> None:
    closing = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")  # and then the connection ends, unannounced
    async with webhook_server(always(closing)) as server, callouts() as out:
        for _ in range(3):
            assert await out.post(1, server.config(), b"{}", 5) == b"{}"


async def test_redirects_are_not_followed() -> None:
    async with webhook_server(OK) as aim:
        there = {"Location": aim.url()}
        async with webhook_server(always((307, there, b""))) as server, callouts() as out:
            with pytest.raises(
                BadStatus, match="the server responded with the status code 307 but did not return more"
            ):
                await out.post(1, server.config(), b"{}", 5)
        assert not aim.asked


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param((500, {}, b"oh no\n"), 'an error on the server ("oh no") has prevented the request', id="text"),
        pytest.param((404, {}, b""), "the server could not find the requested resource", id="404"),
        pytest.param((403, {}, b"go away"), "go away", id="403"),
        pytest.param(
            json_reply({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no, thanks"}, 500),
            "no, thanks",
            id="Status",
        ),
    ],
)
async def test_a_code_outside_2xx_is_an_error(reply: Reply, text: str) -> None:
    async with webhook_server(always(reply)) as server, callouts() as out:
        with pytest.raises(BadStatus, match=re.escape(text)):
            await out.post(1, server.config(), b"{}", 5)


# --- addresses


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "127.1", "0", "0.0.0.0"],
)
async def test_a_tenant_does_not_reach_this_machine(host: str) -> None:
    async with webhook_server(OK) as server, callouts(AddressPolicy()) as out:
        with pytest.raises((AddressRefused, Unreachable)) as refused:
            await out.post(1, server.config("/", host), b"{}", 5)
        assert isinstance(refused.value, AddressRefused) or "no such host" in str(refused.value)
        assert not server.connections


async def test_every_address_of_a_name_must_be_allowed() -> None:
    lookups = Lookups(lambda _host, _port: ["8.8.8.8", "169.254.169.254"])
    async with callouts(AddressPolicy(), lookups=lookups) as out:
        with pytest.raises(AddressRefused, match=re.escape("169.254.169.254 is a link-local address")):
            await out.post(1, ClientConfig("https://metadata.example/"), b"{}", 5)


async def test_the_address_that_was_checked_is_the_one_dialled() -> None:
    """A name server that changes its mind between the check and the dialling is asked once only."""
    answers: list[Sequence[str]] = [["127.0.0.2"], ["127.0.0.1"]]
    lookups = Lookups(lambda _host, _port: answers.pop(0))
    policy = AddressPolicy(parse_networks(["127.0.0.2/32"]))
    async with webhook_server(OK, names=["rebinding.example"]) as server, callouts(policy, lookups=lookups) as out:
        with pytest.raises(
            Unreachable, match=re.escape(f"dial tcp 127.0.0.2:{server.port}: connect: connection refused")
        ):
            await out.post(1, server.config("/", "rebinding.example"), b"{}", 5)
        assert len(answers) == 1
        assert not server.connections


async def test_the_next_address_is_tried() -> None:
    lookups = Lookups(lambda _host, _port: ["127.0.0.9", "127.0.0.1"])
    async with webhook_server(OK, names=["two.example"]) as server, callouts(lookups=lookups) as out:
        assert await out.post(1, server.config("/", "two.example"), b"{}", 5)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param("http://example.com/", "'https' is the only allowed URL scheme", id="plain"),
        pytest.param("https://user:secret@example.com/", "user information is not permitted", id="userinfo"),
        pytest.param("https://example.com@127.0.0.1/", "user information is not permitted", id="userinfo as a host"),
        pytest.param("https:///path", "a host must be specified", id="no host"),
        pytest.param("https://example.com:99999/", "Unparsable URL", id="port"),
        pytest.param("https://exa mple.com/", "a host must be specified", id="space"),
        pytest.param("", "must have either service or URL", id="nothing"),
    ],
)
async def test_urls_that_are_none(url: str, text: str) -> None:
    async with callouts() as out:
        with pytest.raises(InvalidTarget, match=text):
            await out.post(1, ClientConfig(url), b"{}", 5)


async def test_secrets_of_a_url_are_not_told() -> None:
    async with callouts() as out:
        with pytest.raises(InvalidTarget) as refused:
            await out.post(1, ClientConfig("https://user:secret@example.com/"), b"{}", 5)
        assert "secret" not in str(refused.value)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with webhook_server(OK) as server, callouts() as out:
        assert await out.post(1, server.config(), b"{}", 5)


# --- certificates


async def test_another_authority_is_not_believed() -> None:
    async with webhook_server(OK) as server, callouts() as out, webhook_server(OK, names=["x.example"]) as other:
        config = server.config()._replace(ca_bundle=other.bundle)
        with pytest.raises(Unreachable) as refused:
            await out.post(1, config, b"{}", 5)
        assert webhook_failed("a.example", refused.value) == (
            f'failed calling webhook "a.example": failed to call webhook: Post "https://localhost:{server.port}/": '
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        )
        assert not server.asked


async def test_the_certificate_must_be_for_the_name() -> None:
    async with webhook_server(OK, names=["x.example"]) as server, callouts() as out:
        with pytest.raises(Unreachable, match="x509: certificate is not valid for localhost"):
            await out.post(1, server.config(), b"{}", 5)


async def test_an_expired_certificate() -> None:
    async with webhook_server(OK, now=datetime(2020, 1, 1, tzinfo=UTC)) as server, callouts() as out:
        with pytest.raises(Unreachable, match="x509: certificate has expired or is not yet valid"):
            await out.post(1, server.config(), b"{}", 5)


async def test_a_server_without_tls() -> None:
    async with webhook_server(OK, tls=False) as server, callouts() as out:
        with pytest.raises(Unreachable, match="http: server gave HTTP response to HTTPS client"):
            await out.post(1, server.config(), b"{}", 5)


async def test_a_bundle_that_is_none() -> None:
    async with webhook_server(OK) as server, callouts() as out:
        with pytest.raises(InvalidTarget, match="unable to parse bytes as PEM block"):
            await out.post(1, server.config()._replace(ca_bundle=b"hello"), b"{}", 5)


# --- answers that are meant to hurt


async def test_an_answer_that_never_comes() -> None:
    async with webhook_server(always(Hanging())) as server, callouts() as out:
        with pytest.raises(
            TimedOut, match=re.escape(f'Post "https://localhost:{server.port}/": context deadline exceeded')
        ):
            await out.post(1, server.config(), b"{}", 0.2)


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_an_answer_that_stops(first: bytes) -> None:
    async with webhook_server(always(Hanging(first))) as server, callouts() as out:
        with pytest.raises(TimedOut):
            await out.post(1, server.config(), b"{}", 0.2)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 4000000\r\n\r\n", id="announced"),
        pytest.param(b"Connection: close\r\n\r\n", id="until the end"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n3D0900\r\n", id="one chunk"),
    ],
)
async def test_a_giant_answer_is_cut(head: bytes) -> None:
    async with (
        webhook_server(always(Raw(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 4_000_000))) as server,
        callouts() as out,
    ):
        with pytest.raises(UnusableAnswer, match="larger than 3145728 bytes"):
            await out.post(1, server.config(), b"{}", 10)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with webhook_server(always((200, {"Content-Encoding": "gzip"}, b"x"))) as server, callouts() as out:
        with pytest.raises(UnusableAnswer, match="compressed"):
            await out.post(1, server.config(), b"{}", 5)


@pytest.mark.parametrize("junk", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a" * 100_000])
async def test_an_answer_that_is_not_http(junk: bytes) -> None:
    async with webhook_server(always(Raw(junk))) as server, callouts() as out:
        with pytest.raises(UnusableAnswer, match="malformed HTTP response"):
            await out.post(1, server.config(), b"{}", 5)


async def test_an_answer_that_breaks_off() -> None:
    half = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
    async with webhook_server(always(half)) as server, callouts() as out:
        with pytest.raises(Unreachable, match="unexpected EOF"):
            await out.post(1, server.config(), b"{}", 5)


# --- budgets


async def test_one_logical_cluster_does_not_take_all_places() -> None:
    async with webhook_server(always(Hanging())) as server, webhook_server(OK) as other, callouts() as out:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            hanging = [tasks.create_task(_fails(out, server.config(), 60)) for _ in range(budget.PER_CLUSTER)]
            while len(server.asked) < budget.PER_CLUSTER:
                await asyncio.sleep(0.01)
            with pytest.raises(OverBudget):
                await out.post(1, other.config(), b"{}", 5)
            assert await out.post(2, other.config(), b"{}", 20)
            for task in hanging:
                task.cancel()
        assert out.statistics()["in_flight"] == 0


async def _fails(out: Callouts, config: ClientConfig, timeout_s: float) -> str:
    with pytest.raises(CalloutError) as failed:
        await out.post(1, config, b"{}", timeout_s)
    return type(failed.value).__name__


async def test_a_target_that_fails_rests_and_is_tried_again() -> None:
    now = 0.0
    out = Callouts(OPEN, clock=lambda: now)
    async with webhook_server(OK) as server:
        wrong = server.config()._replace(url=server.url("/", "127.0.0.1").replace(str(server.port), "1"))
        for _ in range(budget.FAILURES):
            assert await _fails(out, wrong, 5) == "Unreachable"
        with pytest.raises(Resting, match=re.escape("dial tcp 127.0.0.1:1: connect: connection refused")):
            await out.post(1, wrong, b"{}", 5)
        assert out.statistics()["resting"] == 1
        now += budget.FIRST_REST_S
        assert await _fails(out, wrong, 5) == "Unreachable"
    await out.close()


# --- services


async def test_a_service_is_called_by_its_name_at_its_endpoint() -> None:
    async with webhook_server(OK) as server:
        services: ServiceLookup = lambda *_asked: [Endpoint("127.0.0.1", server.port)]  # noqa: E731
        config = ClientConfig("", ServiceReference("test", "hook", "/validate"), server.bundle)
        async with callouts(services=services) as out:
            await out.post(1, config, b"{}", 5)
        (asked,) = server.asked
        assert (asked.path, asked.headers["host"]) == ("/validate", "hook.test.svc:443")


async def test_endpoints_of_a_tenant_are_judged_as_names_are() -> None:
    config = ClientConfig("", ServiceReference("test", "hook"))
    for host in ("169.254.169.254", "127.0.0.1", "localhost"):
        async with callouts(AddressPolicy(), lambda *_asked: [Endpoint(host, 443)]) as out:  # noqa: B023
            with pytest.raises(AddressRefused):
                await out.post(1, config, b"{}", 5)


async def test_a_service_that_is_not_there() -> None:
    async with callouts() as out:
        with pytest.raises(Unreachable, match=re.escape('Post "https://hook.test.svc:443/": service "hook" not found')):
            await out.post(1, ClientConfig("", ServiceReference("test", "hook")), b"{}", 5)
