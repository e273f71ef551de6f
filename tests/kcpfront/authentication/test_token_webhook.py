import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kcpfront.authentication import token_webhook
from kcpfront.authentication.calls import operators_callouts
from kcpfront.authentication.credential import InvalidToken
from kcpfront.authentication.options import WebhookOptions
from kcpfront.authentication.token_webhook import TokenWebhook
from kcpshard.callouts.kubeconfig import InvalidKubeconfig
from tests.contracts.webhook_server import Answering, Asked, Hanging, Reply, WebhookServer, json_reply, webhook_server

API = ("api",)
ADA = {"username": "ada", "uid": "1", "groups": ["dev"], "extra": {"a.io/k": ["v"]}}


def kubeconfig(directory: Path, server: WebhookServer, **user: str) -> Path:
    path, authority = directory / "webhook.kubeconfig", directory / "webhook-ca.crt"
    authority.write_bytes(server.bundle)
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url("/ask"), "certificate-authority": str(authority)}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def reviewed(**status: Any) -> Reply:
    return json_reply({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})


@asynccontextmanager
async def asking(
    directory: Path, answering: Answering, version: str = "v1", ttl_s: float = 60.0
) -> AsyncIterator[tuple[TokenWebhook, WebhookServer]]:
    async with webhook_server(answering) as server:
        callouts = operators_callouts()
        options = WebhookOptions(kubeconfig(directory, server, token="ours"), ttl_s, version)
        try:
            yield TokenWebhook(options, callouts, API), server
        finally:
            await callouts.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_webhook, "_FIRST_PAUSE_S", 0.001)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_user(tmp_path: Path, version: str) -> None:
    async with asking(tmp_path, lambda _: reviewed(authenticated=True, user=ADA), version) as (made, server):
        found = await made.prove("t0ken", API)
        assert found is not None
        assert (found.user.username, found.user.uid) == ("ada", "1")
        assert found.user.groups == ("dev", "system:authenticated") and found.user.extra == {"a.io/k": ["v"]}
        assert found.audiences == API and 50 < found.expires_s - time.time() <= 60
        (asked,) = server.asked
        assert asked.headers["authorization"] == "Bearer ours" and asked.path == "/ask"
        assert asked.json == {
            "kind": "TokenReview",
            "apiVersion": f"authentication.k8s.io/{version}",
            "spec": {"token": "t0ken", "audiences": ["api"]},
        }


async def test_a_refusal_is_remembered_for_its_audiences(tmp_path: Path) -> None:
    async with asking(tmp_path, lambda _: reviewed(authenticated=False)) as (made, server):
        assert await made.prove("t", API) is None and await made.prove("t", API) is None
        assert len(server.asked) == 1
        assert await made.prove("t", ("vault",)) is None
        assert len(server.asked) == 2


async def test_nothing_is_remembered_for_no_time(tmp_path: Path) -> None:
    async with asking(tmp_path, lambda _: reviewed(authenticated=False), ttl_s=0.0) as (made, server):
        assert await made.prove("t", API) is None and await made.prove("t", API) is None
        assert len(server.asked) == 2


async def test_an_error_is_not_remembered(tmp_path: Path) -> None:
    async with asking(tmp_path, lambda _: reviewed(authenticated=False, error="down: t0ken")) as (made, server):
        for _ in range(2):
            with pytest.raises(InvalidToken) as caught:
                await made.prove("t0ken", API)
            assert "t0ken" not in str(caught.value)
        assert len(server.asked) == 2


async def test_audiences(tmp_path: Path) -> None:
    def answer(_: Asked) -> Reply:
        return reviewed(authenticated=True, user=ADA, audiences=["vault"])

    async with asking(tmp_path, answer) as (made, _):
        assert await made.prove("t", API) is None
        found = await made.prove("t", ("vault", "other"))
        assert found is not None and found.audiences == ("vault",)


async def test_passing_failures_are_tried_again(tmp_path: Path) -> None:
    codes = iter([500, 429, 503])

    def answer(_: Asked) -> Reply:
        return json_reply({}, code) if (code := next(codes, 0)) else reviewed(authenticated=True, user=ADA)

    async with asking(tmp_path, answer) as (made, server):
        assert await made.prove("t", API)
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("reply", "calls"),
    [
        (json_reply({}, 500), token_webhook.ATTEMPTS),
        (json_reply({}, 403), 1),
        (json_reply({}), 1),
        (json_reply([]), 1),
        ((200, {}, b"t0ken"), 1),
        (reviewed(authenticated=True), 1),
        (reviewed(authenticated=True, user={"username": "a", "groups": "x"}), 1),
    ],
)
async def test_what_is_no_answer(tmp_path: Path, reply: Reply, calls: int) -> None:
    async with asking(tmp_path, lambda _: reply) as (made, server):
        with pytest.raises(InvalidToken) as caught:
            await made.prove("t0ken", API)
        assert len(server.asked) == calls and "t0ken" not in str(caught.value)


async def test_a_webhook_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_webhook, "CALL_S", 0.5)
    async with asking(tmp_path, lambda _: Hanging()) as (made, server):
        with pytest.raises(InvalidToken, match="cannot be asked"):
            await made.prove("t", API)
        assert len(server.asked) == 1


async def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidKubeconfig):
        TokenWebhook(WebhookOptions(tmp_path / "nowhere"), operators_callouts(), API)
