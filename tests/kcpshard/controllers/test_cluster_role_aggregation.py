from collections.abc import AsyncIterator

import pytest

from kcpshard.controllers.cluster_role_aggregation import ClusterRoleAggregation
from kcpshard.controllers.runner import Runner
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap, memory_shard
from tests.kcpshard.controllers.running import idle, running

ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
RULE = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}
LABEL = "rbac.authorization.k8s.io/aggregate-to-view"


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(memory_shard())
    yield found
    await found.shard.store.close()


@pytest.fixture
async def runner(client: ApiClient) -> AsyncIterator[Runner]:
    async with running(client.shard, (lambda _: ClusterRoleAggregation(client.shard),)) as found:
        yield found


async def rules(client: ApiClient, name: str) -> list[object]:
    found: list[object] = (await client.do("GET", f"{ROLES}/{name}")).json["rules"] or []
    return found


async def test_selected_rules_are_joined(client: ApiClient, runner: Runner) -> None:
    selector = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    await client.create(ROLES, {"metadata": {"name": "all"}, "aggregationRule": selector, "rules": [RULE]})
    await idle(runner)
    assert await rules(client, "all") == []
    for name in ("y", "x"):
        rule = {**RULE, "resources": [name]}
        await client.create(ROLES, {"metadata": {"name": name, "labels": {"a": "b"}}, "rules": [rule, RULE]})
    await idle(runner)
    assert await rules(client, "all") == [{**RULE, "resources": ["x"]}, RULE, {**RULE, "resources": ["y"]}]
    await client.do("DELETE", ROLES + "/x")
    await idle(runner)
    assert await rules(client, "all") == [{**RULE, "resources": ["y"]}, RULE]


async def test_a_role_of_the_template_is_written_over_only_where_there_is_something_to_add(
    client: ApiClient, runner: Runner
) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    await client.create(ROLES, {"metadata": {"name": "plain"}, "rules": [RULE]})
    await idle(runner)
    cluster = client.shard.store.find_cluster("root")
    assert cluster is not None
    group_resource = "clusterroles.rbac.authorization.k8s.io"
    assert [i.name for i in client.shard.store.scan_own(cluster, group_resource, None, 10)] == ["plain"]
    await client.create(ROLES, {"metadata": {"name": "widgets", "labels": {LABEL: "true"}}, "rules": [RULE]})
    await idle(runner)
    for name in ("view", "edit", "admin"):
        assert RULE in await rules(client, name)
    assert len(await rules(client, "view")) > 5
