from typing import Any

import orjson
import pytest

from kcpshard.admission.pod_security_levels import PREFIX
from kcpshard.api import loop_time
from tests.contracts.api_client import MERGE, STRATEGIC, ApiClient, memory_shard

PODS = "/api/v1/namespaces/n/pods"
BAD = {"containers": [{"name": "a", "image": "i", "securityContext": {"privileged": True}}]}
TOLD = 'privileged (container "a" must not set securityContext.privileged=true)'


async def api(**marks: str) -> ApiClient:
    client = ApiClient(memory_shard(api_set="full"))
    labels = {PREFIX + mode: level for mode, level in marks.items()}
    await client.create("/api/v1/namespaces", {"metadata": {"name": "n", "labels": labels}})
    await client.do("POST", "/api/v1/namespaces/n/serviceaccounts", '{"metadata":{"name":"default"}}')
    return client


def pod(name: str = "p", spec: dict[str, Any] = BAD, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}, "spec": spec}


def deployment(spec: dict[str, Any]) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    return {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}


async def ask(client: ApiClient, url: str, body: Any) -> Any:
    return await client.do("POST", url, orjson.dumps(body).decode())


async def test_a_pod_that_violates_what_is_enforced_is_refused() -> None:
    client = await api(enforce="baseline")
    reply = await ask(client, PODS, pod())
    assert (reply.code, reply.message) == (
        403,
        f'pods "p" is forbidden: violates PodSecurity "baseline:latest": {TOLD}',
    )
    assert (await ask(client, PODS, pod(spec={"containers": [{"name": "a", "image": "i"}]}))).code == 201


async def test_workloads_and_lenient_namespaces_are_warned() -> None:
    client = await api(enforce="baseline", warn="restricted")
    fair = {"containers": [{"name": "a", "image": "i"}]}
    for url, body in ((PODS, pod(spec=fair)), ("/apis/apps/v1/namespaces/n/deployments", deployment(fair))):
        reply = await ask(client, url, body)
        assert reply.code == 201 and len(reply.answer.warnings) == 1
        assert reply.answer.warnings[0].startswith('would violate PodSecurity "restricted:latest": allowPrivilege')
    reply = await ask(client, "/apis/apps/v1/namespaces/n/deployments", deployment(BAD))
    assert reply.code in (201, 409)


async def test_only_new_images_and_containers_are_judged_anew() -> None:
    client = await api()
    await client.create(PODS, pod())
    await client.do(
        "PATCH", "/api/v1/namespaces/n", f'{{"metadata":{{"labels":{{"{PREFIX}enforce":"baseline"}}}}}}', MERGE
    )
    assert (await client.do("PATCH", f"{PODS}/p", '{"metadata":{"labels":{"a":"b"}}}', MERGE)).code == 200
    image = '{"spec":{"containers":[{"name":"a","image":"j"}]}}'
    assert (await client.do("PATCH", f"{PODS}/p", image, STRATEGIC)).code == 403


async def test_a_namespace_is_told_which_of_its_pods_would_not_be_admitted() -> None:
    client = await api()
    for name in ("b", "a", "c"):
        await client.create(PODS, pod(name))
    await client.create(PODS, pod("d", {"containers": [{"name": "a", "image": "i"}], "hostPID": True}))
    body = f'{{"metadata":{{"labels":{{"{PREFIX}enforce":"baseline","{PREFIX}enforce-version":"v1.30"}}}}}}'
    reply = await client.do("PATCH", "/api/v1/namespaces/n", body, MERGE)
    assert list(reply.answer.warnings) == [
        'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:v1.30"',
        "a (and 2 other pods): privileged",
        "d: host namespaces",
    ]


async def test_many_pods_are_looked_at_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    client = await api()
    await client.create(PODS, pod(annotations={"a": "x" * 40_000}))
    body = f'{{"metadata":{{"labels":{{"{PREFIX}enforce":"baseline"}}}}}}'
    sizes: list[int] = []
    monkeypatch.setattr(loop_time, "check_size", sizes.append)
    await client.do("PATCH", "/api/v1/namespaces/n", body, MERGE)
    assert max(sizes) > 40_000


async def test_wrong_labels_are_refused_unless_they_were_there() -> None:
    client = await api()
    for level, code in (("x", 422), ("restricted", 200)):
        body = f'{{"metadata":{{"labels":{{"{PREFIX}enforce":"{level}"}}}}}}'
        assert (await client.do("PATCH", "/api/v1/namespaces/n", body, MERGE)).code == code
