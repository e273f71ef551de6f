import asyncio
from typing import Any

import pytest

from kcpshard.api.requests import Identity
from kcpshard.flowcontrol.flows import Flow, Flows
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.cluster_limits import NAME
from kcpshard.verbs.impersonation import claimed
from tests.contracts.api_client import MERGE, ApiClient, configmap, memory_shard

API = "/apis/flowcontrol.apiserver.k8s.io/v1"
ALICE = Identity("alice", groups=("system:authenticated",))
RULE = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}


class Seats:
    """How many seats the logical cluster has; read each time."""

    number = 100

    def __call__(self, cluster: LogicalCluster) -> int:
        return self.number


def nobody_is_a_stranger(_cluster: LogicalCluster, _identity: bytes) -> bool:
    return False


@pytest.fixture
def client() -> ApiClient:
    return ApiClient(memory_shard(api_set="full"))


@pytest.fixture
def flows(client: ApiClient) -> Flows[str]:
    return Flows(client.shard.store, Seats(), claimed, NAME, nobody_is_a_stranger)


async def level(client: ApiClient, name: str, shares: int = 1) -> Any:
    spec = {"type": "Limited", "limited": {"nominalConcurrencyShares": shares, "limitResponse": {"type": "Reject"}}}
    return await client.create(f"{API}/prioritylevelconfigurations", {"metadata": {"name": name}, "spec": spec})


async def schema(client: ApiClient, name: str, level: str, precedence: int = 1000, user: str = "alice") -> Any:
    rule = {"subjects": [{"kind": "User", "user": {"name": user}}], "resourceRules": [RULE]}
    rule["nonResourceRules"] = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
    spec = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]}
    return await client.create(f"{API}/flowschemas", {"metadata": {"name": name}, "spec": spec})


def ask(verb: "pb.Verb.ValueType" = pb.GET, identity: Identity = ALICE, **more: Any) -> pb.Request:
    return pb.Request(verb=verb, cluster="root", resource="pods", namespace="a", identity=identity.encode(), **more)


def names(flow: Flow[str] | None) -> str:
    return "" if flow is None else f"{flow.key.partition(chr(0))[0]} {flow.level.name}"


async def test_nothing_applies_where_there_is_nothing(client: ApiClient, flows: Flows[str]) -> None:
    assert flows.of(ask()) is None, "no such logical cluster"
    await client.create("/api/v1/namespaces/default/configmaps", configmap("a"))
    for schema_ in (await client.get(f"{API}/flowschemas"))["items"]:
        await client.do("DELETE", f"{API}/flowschemas/{schema_['metadata']['name']}")
    assert flows.of(ask()) is None


async def test_the_lowest_precedence_that_matches_has_the_request(client: ApiClient, flows: Flows[str]) -> None:
    low, high = await level(client, "low"), await level(client, "high")
    first = await schema(client, "first", "low", 10)
    await schema(client, "second", "high", 20)
    found = flows.of(ask())
    assert names(found) == "first low"
    assert found is not None
    assert found.names.decode() == f"{first['metadata']['uid']} {low['metadata']['uid']}"
    assert flows.of(ask()) is found, "remembered"
    await client.patch(f"{API}/flowschemas/second", {"spec": {"matchingPrecedence": 5}}, MERGE)
    assert names(flows.of(ask())) == "second high"
    await client.do("DELETE", f"{API}/prioritylevelconfigurations/high")
    assert names(flows.of(ask())) == "first low", "a schema without its level does not count"
    assert high["metadata"]["uid"] not in (flows.of(ask()) or found).names.decode()


async def test_paths_and_impersonated_users_are_classified(client: ApiClient, flows: Flows[str]) -> None:
    await level(client, "low")
    await schema(client, "alices", "low")
    bob = Identity("bob", groups=("system:authenticated",))
    assert not names(flows.of(ask(identity=bob))).startswith("alices")
    assert names(flows.of(ask(identity=bob, impersonation=b'{"username":"alice"}'))) == "alices low"
    assert flows.of(ask(identity=bob, impersonation=b'{"username":""}')) is None
    assert names(flows.of(ask(pb.DOCUMENT, name="/version"))) == "alices low"
    assert names(flows.of(ask(pb.AUTHORIZE, name="/x", body=b'{"verb":"post"}'))) == "alices low"


async def test_who_is_somebody_elsewhere_is_told_nothing(client: ApiClient, flows: Flows[str]) -> None:
    await level(client, "low")
    await schema(client, "alices", "low")
    assert flows.of(ask(identity=ALICE._replace(scope=12345))) is None
    assert flows.of(pb.Request(verb=pb.GET, cluster="root", resource="pods")) is None


async def test_strangers_take_no_seat_and_are_told_nothing(client: ApiClient) -> None:
    shard = client.shard
    flows: Flows[str] = Flows(shard.store, Seats(), claimed, NAME, shard.authorizer.is_stranger)
    shard.authorizer.on_change(flows.rights_changed)
    await level(client, "low")
    await schema(client, "alices", "low")
    assert flows.of(ask()) is None
    assert flows.is_of_stranger(ask())
    watch = pb.StartWatch(cluster="root", resource="pods", identity=ALICE.encode())
    assert flows.of_watch(watch, ALICE.encode()) is None
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}
    await client.create(bindings, {"metadata": {"name": "alice"}, "roleRef": role, "subjects": [subject]})
    assert names(flows.of(ask())) == "alices low"
    assert names(flows.of_watch(watch, ALICE.encode())) == "alices low"
    assert not flows.is_of_stranger(ask())
    await client.do("DELETE", f"{bindings}/alice")
    assert flows.of(ask()) is None, "also what was remembered"


async def test_seats_follow_the_limits_and_stay_with_those_who_have_them(client: ApiClient) -> None:
    seats = Seats()
    flows: Flows[str] = Flows(client.shard.store, seats, claimed, NAME, nobody_is_a_stranger)
    await level(client, "low")
    await schema(client, "alices", "low")
    found = flows.of(ask())
    assert found is not None
    flows.take(found)
    before = found.level.nominal
    seats.number = 10_000
    await client.create("/api/v1/namespaces/kube-system/configmaps", configmap(NAME, {"requests": "10000"}))
    again = flows.of(ask())
    assert again is not None
    assert again.level is found.level
    assert again.level.nominal > before
    assert (again.level.used, flows.statistics()["executing"]) == (1, 1)
    flows.release(found)
    assert flows.next(found.state) is None
    assert flows.statistics()["executing"] == 0


async def test_very_many_are_read_in_slices(client: ApiClient) -> None:
    await level(client, "low")
    for number in range(80):
        await schema(client, f"s{number}", "low", user=f"user-{number}")
    flows: Flows[str] = Flows(client.shard.store, Seats(), claimed, NAME, nobody_is_a_stranger)
    assert flows.of(ask(identity=Identity("user-79"))) is None, "not all of them are known yet"
    for _ in range(100):
        found = flows.of(ask(identity=Identity("user-79")))
        if found is not None:
            break

        await asyncio.sleep(0)
    assert names(found) == "s79 low"


async def test_watches_are_classified_by_their_own_verb(client: ApiClient, flows: Flows[str]) -> None:
    await level(client, "low")
    await schema(client, "alices", "low")
    start = pb.StartWatch(cluster="root", resource="pods", namespace="a")
    assert names(flows.of_watch(start, ALICE.encode())) == "alices low"
    assert flows.of_watch(start, ALICE.encode()) is flows.of_watch(start, ALICE.encode())
    assert flows.of_watch(pb.StartWatch(cluster="unborn", resource="pods"), ALICE.encode()) is None
    only_gets = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
    rule = {"subjects": [{"kind": "User", "user": {"name": "alice"}}], "resourceRules": [only_gets]}
    await client.patch(f"{API}/flowschemas/alices", {"spec": {"rules": [rule]}}, MERGE)
    assert names(flows.of_watch(start, ALICE.encode())) != "alices low"
    assert names(flows.of(ask())) == "alices low"
