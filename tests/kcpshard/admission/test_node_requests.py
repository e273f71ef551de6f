from typing import Any

import pytest

from kcpshard.admission.attributes import Attributes
from kcpshard.admission.node_requests import forbidden, pod_named
from kcpshard.api.errors import NotFound
from tests.contracts.api_client import ApiClient


def attributes(client: ApiClient, **given: Any) -> Attributes:
    resource = client.shard.catalog.find(None, "", "v1", "pods")
    assert resource is not None
    found = Attributes(
        "CREATE", client.shard.store, None, resource, "", "default", "", {"metadata": {}}, None, b"", False
    )
    return found._replace(**given)


async def test_a_refusal_names_what_has_a_name(full: ApiClient) -> None:
    assert str(forbidden(attributes(full), "no")) == 'pods "Unknown" is forbidden: no'
    named = attributes(full, name="a")
    assert str(forbidden(named, "no")) == 'pods "a" is forbidden: no'
    generated = attributes(full, name="x-abc", is_generated=True, object={"metadata": {"generateName": "x-"}})
    assert str(forbidden(generated, "no")) == 'pods "x-" is forbidden: no'


async def test_a_pod_that_is_not_there(full: ApiClient) -> None:
    with pytest.raises(NotFound, match='pod "gone" not found'):
        pod_named(attributes(full), "gone")
