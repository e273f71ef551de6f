"""A quick subset of the attack, and holes planted in each tier that it must find."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kcpfront
from kcp.certificates import Pair
from kcpfront.authentication.client_certificates import ClientCertificates
from kcpfront.authentication.credential import Credential, credential
from kcpfront.authentication.service_account_tokens import ServiceAccountTokens
from kcpfront.embedding import EmbeddedServer
from kcpshard.api.requests import Request
from kcpshard.authorization.policy import ALLOWED, Decision
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs import access
from kcpshard.verbs.shard import Shard
from tests.attack.suite import Breach, Siege, Site


def besiege(server: EmbeddedServer) -> Siege:
    authority = Pair((server._pki / "client-ca.crt").read_bytes(), (server._pki / "client-ca.key").read_bytes())
    return Siege(Site(int(server.url.rpartition(":")[2]), server.authority, authority, server.token))


@pytest.fixture
def siege() -> Iterator[Siege]:
    with kcpfront.embedded() as server:
        made = besiege(server)
        yield made
        made.close()


def breaches(siege: Siege, examples: int = 4, most: int = 5) -> list[Breach]:
    found: list[Breach] = []
    for breach in siege.attack(random.Random(1), examples, 1):
        found.append(breach)
        if len(found) >= most:
            break
    return found


def test_nothing_gets_through(siege: Siege) -> None:
    found = breaches(siege)
    assert not found, "\n".join(map(str, found))
    assert siege.asked > 500 and len(siege.credentials) > 15


def test_a_front_that_forgets_whose_an_account_is_is_found(siege: Siege, monkeypatch: pytest.MonkeyPatch) -> None:
    prove: Callable[..., Any] = ServiceAccountTokens.prove

    async def without_scope(self: ServiceAccountTokens, token: str, audiences: Any) -> Credential | None:
        found: Credential | None = await prove(self, token, audiences)
        return None if found is None else credential(found.user._replace(scope=0))

    monkeypatch.setattr(ServiceAccountTokens, "prove", without_scope)
    assert breaches(siege, most=1)


def test_a_front_that_forgets_whose_a_certificate_is_is_found(siege: Siege, monkeypatch: pytest.MonkeyPatch) -> None:
    prove: Callable[..., Any] = ClientCertificates.prove

    def as_master(self: ClientCertificates, certificate: bytes, path: str) -> Credential | None:
        found: Credential | None = prove(self, certificate, path)
        return None if found is None else credential(found.user._replace(scope=0, groups=("system:masters",)))

    monkeypatch.setattr(ClientCertificates, "prove", as_master)
    assert breaches(siege, most=1)


def test_a_shard_that_lets_everybody_list_is_found(siege: Siege, monkeypatch: pytest.MonkeyPatch) -> None:
    check = access.check

    def lenient(shard: Shard, request: Request) -> Decision:
        return ALLOWED if request.verb == pb.LIST else check(shard, request)

    monkeypatch.setattr(access, "check", lenient)
    assert breaches(siege, most=1)
