import asyncio
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from kcpfront.authentication import service_account_tokens
from kcpfront.authentication.credential import Credential, InvalidToken, digest
from kcpfront.authentication.service_account_tokens import ServiceAccountTokens
from kcpshard.api.proofs import ClaimedObject, StoredToken, decode_proof
from kcpshard.api.service_accounts import DEFAULT_ISSUER
from kcpshard.credentials.keys import KeyRing, make_key
from kcpshard.credentials.service_account_tokens import Reference, Subject, TokenIssuer
from kcpshard.rpc import shard_pb2 as pb

ACCOUNT = Subject("ns", Reference("builder", "uid-1"))
SCOPE = 1_796_061_743_698_089_001
AUDIENCES = (DEFAULT_ISSUER,)


def new_key(signs: bool = True) -> pb.SigningKey:
    made = make_key("tokens", 0)
    return pb.SigningKey(
        id=made.id, purpose="tokens", public_key=made.public_key, private_key=made.private_key, signs=signs
    )


KEY = new_key()


def issuer(key: pb.SigningKey = KEY) -> TokenIssuer:
    ring = KeyRing()
    ring.take([key])
    return TokenIssuer(ring)


def prover(*keys: pb.SigningKey) -> ServiceAccountTokens:
    found = ServiceAccountTokens()
    found.take_keys(keys or (KEY,))
    return found


def issue(
    subject: Subject = ACCOUNT, now_s: float = 0, life_s: int = 600, audiences: tuple[str, ...] = AUDIENCES
) -> str:
    return issuer().issue(SCOPE, subject, audiences, int(now_s or time.time()), life_s)


async def proved(token: str, *audiences: str) -> Credential:
    found = await prover().prove(token, audiences or AUDIENCES)
    assert found is not None
    return found


async def test_a_token_is_its_account_in_its_logical_cluster() -> None:
    found = await proved(issue())
    user = found.user
    assert (user.username, user.uid, user.scope) == ("system:serviceaccount:ns:builder", "uid-1", SCOPE)
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")
    assert decode_proof(found.proof) == (
        SCOPE,
        (ClaimedObject("serviceaccounts", "ns", "builder", "uid-1"),),
        None,
        None,
        "",
    )


async def test_a_pod_is_proved_and_its_node_is_told_of() -> None:
    bound = {"pod": Reference("p", "uid-p"), "node": Reference("n", "uid-n")}
    found = await proved(issue(Subject("ns", ACCOUNT.account, bound)))
    assert [claimed.resource for claimed in decode_proof(found.proof).objects] == ["serviceaccounts", "pods"]
    prefix = "authentication.kubernetes.io/"
    told = {key.removeprefix(prefix): values for key, values in found.user.extra.items()}
    del told["credential-id"]
    assert told == {"pod-name": ["p"], "pod-uid": ["uid-p"], "node-name": ["n"], "node-uid": ["uid-n"]}


async def test_a_node_alone_is_proved() -> None:
    found = await proved(issue(Subject("ns", ACCOUNT.account, {"node": Reference("n", "uid-n")})))
    assert decode_proof(found.proof).objects[1] == ClaimedObject("nodes", "", "n", "uid-n")


async def test_a_token_of_a_secret_is_compared_with_it() -> None:
    token = issuer().issue_legacy(SCOPE, ACCOUNT, "builder-token")
    found = await proved(token, "whoever")
    assert decode_proof(found.proof).stored == StoredToken("ns", "builder-token", digest(token).hex())
    assert found.audiences is None


def tampered(change: Callable[[dict[str, Any]], None], key: pb.SigningKey = KEY) -> str:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    claims = jwt.decode(issue(), options={"verify_signature": False})
    change(claims)
    return jwt.encode(claims, load_pem_private_key(key.private_key, None), "ES256", {"kid": KEY.id})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("token", "why"),
    [
        pytest.param(lambda: issue(now_s=time.time() - 700, life_s=600), "expired", id="expired"),
        pytest.param(lambda: issue(now_s=time.time() + 300), "not valid yet", id="from the future"),
        pytest.param(lambda: issue(audiences=("vault",)), "audiences", id="for others"),
        pytest.param(lambda: tampered(lambda _: None, new_key()), "signature", id="signed by another key"),
        pytest.param(lambda: issue()[:-6] + "AAAAAA", "signature", id="broken signature"),
        pytest.param(lambda: tampered(lambda c: c.pop("kcp.io")), "no logical cluster", id="of no logical cluster"),
        pytest.param(lambda: tampered(lambda c: c.pop("exp")), "broken", id="without an end"),
        pytest.param(lambda: tampered(lambda c: c.pop("kubernetes.io")), "broken", id="of no account"),
    ],
)
async def test_what_is_wrong_is_refused(token: Callable[[], str], why: str) -> None:
    with pytest.raises(InvalidToken, match=why):
        await proved(token())


async def test_a_clock_may_differ_by_a_minute() -> None:
    await proved(issue(now_s=time.time() - 630, life_s=600))


def without_signature() -> str:
    claims = jwt.decode(issue(), options={"verify_signature": False})
    return jwt.encode(claims, "", "none", {"kid": KEY.id})


async def test_a_token_that_nobody_signed_is_refused() -> None:
    with pytest.raises(InvalidToken):
        await proved(without_signature())


@pytest.mark.parametrize(
    "token", ["", "abc", "a.b.c", "ab.cd", jwt.encode({"iss": "https://other"}, "k" * 32, "HS256")]
)
async def test_other_tokens_are_left_to_others(token: str) -> None:
    assert await prover().prove(token, AUDIENCES) is None


async def test_a_new_key_is_waited_for() -> None:
    """By a front that may have missed the newest map."""
    key, tokens = new_key(), prover()
    tokens.is_behind = lambda: True
    token = issuer(key).issue(SCOPE, ACCOUNT, AUDIENCES, int(time.time()), 600)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(tokens.prove(token, AUDIENCES))
        await asyncio.sleep(0)
        tokens.take_keys([KEY, key])
    assert asked.result() is not None


async def test_a_key_that_nobody_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_account_tokens, "KEY_WAIT_S", 0.0)
    token = issuer(new_key()).issue(SCOPE, ACCOUNT, AUDIENCES, int(time.time()), 600)
    tokens = prover()
    tokens.is_behind = lambda: True
    with pytest.raises(InvalidToken, match="unknown key"):
        await tokens.prove(token, AUDIENCES)


async def test_a_front_that_has_the_newest_map_does_not_wait() -> None:
    token = issuer(new_key()).issue(SCOPE, ACCOUNT, AUDIENCES, int(time.time()), 600)
    asked = prover().prove(token, AUDIENCES)
    with pytest.raises(InvalidToken, match="unknown key"):
        asked.send(None)  # it has ended without having waited for anything


def test_a_lost_key_is_noticed() -> None:
    tokens = ServiceAccountTokens()
    assert not tokens.take_keys([KEY])
    assert not tokens.take_keys([KEY, new_key()])
    assert tokens.take_keys([])
