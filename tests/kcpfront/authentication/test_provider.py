import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kcpfront.authentication import provider
from kcpfront.authentication.calls import operators_callouts
from kcpfront.authentication.configuration import read_configuration
from kcpfront.authentication.credential import Credential, InvalidToken
from kcpfront.authentication.key_set import peek
from kcpfront.authentication.provider import Provider
from tests.kcpfront.issuer import LocalIssuer, ec_key, local_issuer, signed

DISCOVERY = "/idp/.well-known/openid-configuration"


@asynccontextmanager
async def running(issuer: LocalIssuer, **more: Any) -> AsyncIterator[Provider]:
    callouts = operators_callouts()
    made = Provider(read_configuration(issuer.document(**more)).issuers[0], callouts)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        fetching = tasks.create_task(made.run())
        try:
            yield made
        finally:
            fetching.cancel()
            await callouts.close()


async def prove(made: Provider, token: str) -> Credential:
    header = peek(token)
    assert header is not None
    return await made.prove(token, header, ("api",))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "RETRY_S", 0.01)


async def test_a_token_waits_for_the_first_keys() -> None:
    async with local_issuer() as issuer, running(issuer) as made:
        found = await prove(made, issuer.token(groups=["dev"]))
        assert (found.user.username, found.user.groups) == ("oidc:ada", ("oidc:dev", "system:authenticated"))
        assert found.audiences == ("api",) and found.expires_s > time.time() + 500
        await prove(made, issuer.token())
        assert (issuer.count(DISCOVERY), issuer.count("/keys")) == (1, 1)


async def test_a_new_key_is_fetched_when_it_is_met() -> None:
    async with local_issuer() as issuer, running(issuer) as made:
        await prove(made, issuer.token())
        issuer.keys["k2"] = ec_key()
        assert (await prove(made, issuer.token("k2"))).user.username == "oidc:ada"


async def test_keys_that_do_not_exist_cost_few_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    async with local_issuer() as issuer, running(issuer) as made:
        await prove(made, issuer.token())
        monkeypatch.setattr(provider, "RETRY_S", 0.2)
        monkeypatch.setattr(provider, "KEY_WAIT_S", 0.01)
        before = issuer.count("/keys")
        for number in range(20):
            with pytest.raises(InvalidToken, match="unknown key"):
                await prove(made, signed(issuer.claims(), ec_key(), f"x{number}"))
        assert issuer.count("/keys") <= before + 2


async def test_a_retired_key_is_worth_nothing_once_fetched() -> None:
    async with local_issuer() as issuer, running(issuer) as made:
        old = issuer.token()
        await prove(made, old)
        issuer.keys = {"k2": ec_key()}
        await prove(made, issuer.token("k2"))
        with pytest.raises(InvalidToken, match="unknown key"):
            await prove(made, old)


async def test_keys_stay_good_while_the_provider_is_away(caplog: pytest.LogCaptureFixture) -> None:
    async with local_issuer() as issuer, running(issuer) as made:
        await prove(made, issuer.token())
        issuer.is_down = True
        with pytest.raises(InvalidToken, match="unknown key"):
            await prove(made, signed(issuer.claims(), ec_key(), "other"))
        assert (await prove(made, issuer.token())).user.username == "oidc:ada"
        assert "answered 503" in caplog.text


async def test_without_keys_nobody_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with local_issuer() as issuer:
        issuer.named = "https://somebody.else"
        async with running(issuer) as made:
            with pytest.raises(InvalidToken, match="not initialized"):
                await prove(made, issuer.token())


async def test_another_audience_and_algorithm() -> None:
    async with local_issuer() as issuer, running(issuer) as made:
        with pytest.raises(InvalidToken, match="another audience"):
            await prove(made, issuer.token(aud="other"))
        with pytest.raises(InvalidToken, match="another audience"):
            await prove(made, issuer.token(aud=["x", 1]))
        assert await prove(made, issuer.token(aud=["x", "kcp"]))
        with pytest.raises(InvalidToken, match="algorithm is not accepted"):
            await prove(made, signed(issuer.claims(), "s" * 32, "k1", "HS256"))


async def test_an_expired_token() -> None:
    async with local_issuer() as issuer, running(issuer) as made:
        with pytest.raises(InvalidToken, match="expired"):
            await prove(made, issuer.token(exp=int(time.time()) - 1))
