import pytest

from kcpshard.verbs import history as verb
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap

URL = CONFIGMAPS + "/a?history=true"


async def lived(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a", {"k": "1"}))
    await client.do("PUT", CONFIGMAPS + "/a", configmap("a", {"k": "2"}))
    await client.do("DELETE", CONFIGMAPS + "/a")


async def test_who_did_what_newest_first(client: ApiClient) -> None:
    await lived(client)
    await client.create(CONFIGMAPS, configmap("ab"))
    found = (await client.do("GET", URL)).json
    assert (found["kind"], found["apiVersion"]) == ("ObjectHistory", "history.kcp.io/v1alpha1")
    seen = [(item["operation"], item["object"]["data"], item["user"]) for item in found["items"]]
    assert seen == [
        ("Delete", {"k": "2"}, client.identity.username),
        ("Update", {"k": "2"}, client.identity.username),
        ("Create", {"k": "1"}, client.identity.username),
    ]
    times = [item["time"] for item in found["items"]]
    assert times == sorted(times, reverse=True) and times[0].endswith("Z")
    assert found["items"][1]["resourceVersion"] == found["items"][1]["object"]["metadata"]["resourceVersion"]


async def test_pages(client: ApiClient) -> None:
    await lived(client)
    first = (await client.do("GET", URL + "&limit=2")).json
    rest = (await client.do("GET", f"{URL}&limit=2&continue={first['metadata']['continue']}")).json
    assert [item["operation"] for item in first["items"] + rest["items"]] == ["Delete", "Update", "Create"]
    assert "continue" not in rest["metadata"]


async def test_a_page_is_bounded_in_bytes(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "_PAGE_BYTES", 1)
    await lived(client)
    found = (await client.do("GET", URL)).json
    assert len(found["items"]) == 1 and found["metadata"]["continue"]


@pytest.mark.parametrize("token", ["x", "-1", "99999999999999999999"])
async def test_a_token_of_somebody_else_is_refused(client: ApiClient, token: str) -> None:
    await lived(client)
    assert (await client.do("GET", f"{URL}&continue={token}")).code == 400


async def test_an_object_that_never_was(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("b"))
    assert (await client.do("GET", URL)).json["items"] == []
    assert (await client.do("GET", "/api/v1/nonsense/x?history=true")).code == 404


async def test_nothing_of_a_logical_cluster_not_born(client: ApiClient) -> None:
    assert (await client.do("GET", URL)).json["items"] == []
