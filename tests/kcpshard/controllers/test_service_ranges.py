"""Further ServiceCIDRs: ready, used, protected while an address needs them."""

from typing import Any

from kcpshard.controllers.birth_contents import BirthContentsController
from kcpshard.controllers.service_ranges import FINALIZER, ServiceRanges
from tests.contracts.api_client import ApiClient
from tests.contracts.full_cluster import full_cluster
from tests.kcpshard.controllers.running import idle, running

MAKE = (lambda r: ServiceRanges(r._shard), lambda r: BirthContentsController(r._shard))
RANGES = "/apis/networking.k8s.io/v1/servicecidrs"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
SERVICES = "/api/v1/namespaces/default/services"


async def add_range(client: ApiClient, name: str, *cidrs: str) -> Any:
    return await client.create(RANGES, {"metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}})


def service(name: str, **spec: Any) -> Any:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def ready(client: ApiClient, name: str) -> Any:
    conditions = (await client.get(f"{RANGES}/{name}"))["status"]["conditions"]
    return [(each["status"], each["reason"]) for each in conditions if each["type"] == "Ready"]


async def test_a_range_is_made_ready_and_gives_addresses() -> None:
    async with full_cluster() as client, running(client.shard, MAKE) as runner:
        refused = await client.do("POST", SERVICES, service("a", clusterIP="10.200.0.9"))
        assert refused.code == 422 and "not in the valid range 10.96.0.0/16" in refused.message
        await add_range(client, "more", "10.200.0.0/24")
        await idle(runner)
        assert await ready(client, "more") == [("True", "")]
        assert (await client.get(f"{RANGES}/more"))["metadata"]["finalizers"] == [FINALIZER]
        assert (await client.create(SERVICES, service("a", clusterIP="10.200.0.9")))["spec"][
            "clusterIP"
        ] == "10.200.0.9"
        assert (await client.get(f"{ADDRESSES}/10.200.0.9"))["spec"]["parentRef"]["name"] == "a"
        taken = await client.do("POST", SERVICES, service("b", clusterIP="10.200.0.9"))
        assert taken.code == 422 and "already allocated" in taken.message


async def test_a_range_that_is_needed_stays_until_it_is_not() -> None:
    async with full_cluster() as client, running(client.shard, MAKE) as runner:
        await add_range(client, "more", "10.200.0.0/24")
        await idle(runner)
        await client.create(SERVICES, service("a", clusterIP="10.200.0.9"))
        await client.do("DELETE", f"{RANGES}/more")
        await idle(runner)
        assert await ready(client, "more") == [("False", "Terminating")]
        assert (await client.do("POST", SERVICES, service("b", clusterIP="10.200.0.10"))).code == 422
        await client.do("DELETE", f"{SERVICES}/a")
        await idle(runner)
        assert (await client.do("GET", f"{RANGES}/more")).code == 404


async def test_a_range_within_another_one_may_go() -> None:
    async with full_cluster() as client, running(client.shard, MAKE) as runner:
        await add_range(client, "wide", "10.200.0.0/16")
        await add_range(client, "narrow", "10.200.0.0/24")
        await client.create(SERVICES, service("a", clusterIP="10.200.0.9"))
        await idle(runner)
        await client.do("DELETE", f"{RANGES}/narrow")
        await idle(runner)
        assert (await client.do("GET", f"{RANGES}/narrow")).code == 404


async def test_the_default_one_comes_back() -> None:
    async with full_cluster() as client, running(client.shard, MAKE) as runner:
        await client.do("DELETE", f"{RANGES}/kubernetes")
        await idle(runner)
        assert await ready(client, "kubernetes") == [("True", "")]


async def test_a_cluster_gets_a_second_family_by_its_default_range() -> None:
    async with full_cluster() as client, running(client.shard, MAKE) as runner:
        await add_range(client, "other", "fd00:1::/112")
        await idle(runner)
        assert (await client.do("POST", SERVICES, service("a", ipFamilyPolicy="RequireDualStack"))).code == 422
        await client.patch(f"{RANGES}/kubernetes", {"spec": {"cidrs": ["10.96.0.0/16", "fd00::/112"]}})
        await idle(runner)
        spec = (await client.create(SERVICES, service("a", ipFamilyPolicy="RequireDualStack")))["spec"]
        assert spec["ipFamilies"] == ["IPv4", "IPv6"] and spec["clusterIPs"][0] == spec["clusterIP"]
        assert spec["clusterIPs"][1].startswith("fd00::")
        for address in spec["clusterIPs"]:
            assert (await client.get(f"{ADDRESSES}/{address}"))["spec"]["parentRef"]["name"] == "a"
        only = (await client.create(SERVICES, service("b", ipFamilies=["IPv6"], clusterIP="fd00:1::5")))["spec"]
        assert only["ipFamilyPolicy"] == "SingleStack" and only["clusterIPs"] == ["fd00:1::5"]
        plain = (await client.create(SERVICES, service("c")))["spec"]
        assert plain["ipFamilies"] == ["IPv4"]
        grown = await client.patch(f"{SERVICES}/c", {"spec": {"ipFamilyPolicy": "PreferDualStack"}})
        assert grown["spec"]["ipFamilies"] == ["IPv4", "IPv6"] and len(grown["spec"]["clusterIPs"]) == 2
        second = grown["spec"]["clusterIPs"][1]
        assert (await client.do("GET", f"{ADDRESSES}/{second}")).code == 200
        shrunk = await client.patch(f"{SERVICES}/c", {"spec": {"ipFamilyPolicy": "SingleStack"}})
        assert shrunk["spec"]["clusterIPs"] == plain["clusterIPs"]
        assert (await client.do("GET", f"{ADDRESSES}/{second}")).code == 404
        await client.do("DELETE", f"{SERVICES}/a")
        for address in spec["clusterIPs"]:
            assert (await client.do("GET", f"{ADDRESSES}/{address}")).code == 404
