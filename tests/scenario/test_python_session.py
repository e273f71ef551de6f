"""What a program does with the Python client, over two fronts and three shards: the session that needs no kubectl."""

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client import ApiException, CoreV1Api, V1ConfigMap, V1Namespace, V1ObjectMeta

from tests.clients.tier import Tier

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def api(tier: Tier) -> Iterator[CoreV1Api]:
    with config.new_client_from_config(str(tier.kubeconfig), context="root") as connection:
        yield CoreV1Api(connection)


def config_map(name: str, **data: str) -> Any:
    return V1ConfigMap(metadata=V1ObjectMeta(name=name), data=data)


def test_an_object_from_its_creation_to_its_end(api: CoreV1Api) -> None:
    made = api.create_namespaced_config_map("default", config_map("python", colour="blue"))
    assert len(made.metadata.resource_version) == 19
    changed = api.patch_namespaced_config_map("python", "default", {"data": {"size": "3"}})
    assert changed.data == {"colour": "blue", "size": "3"}
    assert int(changed.metadata.resource_version) > int(made.metadata.resource_version)
    made.data = {"colour": "red"}
    with pytest.raises(ApiException) as caught:
        api.replace_namespaced_config_map("python", "default", made)
    assert caught.value.status == 409
    api.delete_namespaced_config_map("python", "default")
    with pytest.raises(ApiException) as caught:
        api.read_namespaced_config_map("python", "default")
    assert caught.value.status == 404


def test_a_watch_resumes_where_a_list_ended(api: CoreV1Api) -> None:
    listed = api.list_namespaced_config_map("default")
    for number in range(3):
        api.create_namespaced_config_map("default", config_map(f"watched-{number}"))
    stream = watch.Watch().stream(
        api.list_namespaced_config_map, "default", resource_version=listed.metadata.resource_version, timeout_seconds=5
    )
    seen = []
    for event in stream:
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 3:
            break
    assert seen == [("ADDED", f"watched-{number}") for number in range(3)]


def test_pages_are_one_list(api: CoreV1Api) -> None:
    api.create_namespace(V1Namespace(metadata=V1ObjectMeta(name="pages")))
    for number in range(7):
        api.create_namespaced_config_map("pages", config_map(f"item-{number}"))
    page = api.list_namespaced_config_map("pages", limit=3)
    names, revision = [item.metadata.name for item in page.items], page.metadata.resource_version
    while page.metadata._continue:
        page = api.list_namespaced_config_map("pages", limit=3, _continue=page.metadata._continue)
        assert page.metadata.resource_version == revision
        names += [item.metadata.name for item in page.items]
    assert names == [*(f"item-{number}" for number in range(7)), "kube-root-ca.crt"]


def test_one_object_is_found_by_a_field_selector(api: CoreV1Api) -> None:
    found = api.list_namespace(field_selector="metadata.name=default", resource_version="0", limit=500)
    assert [item.metadata.name for item in found.items] == ["default"]
    assert api.list_namespace(field_selector="metadata.name=none").items == []


def test_nobody_gets_in_without_a_credential(tier: Tier) -> None:
    loaded = client.Configuration()
    config.load_kube_config(str(tier.kubeconfig), client_configuration=loaded)
    loaded.refresh_api_key_hook = None  # would read the kubeconfig again
    loaded.api_key = {"BearerToken": "Bearer guess"}
    with client.ApiClient(loaded) as connection, pytest.raises(ApiException) as caught:
        CoreV1Api(connection).list_namespace()
    assert caught.value.status == 401
