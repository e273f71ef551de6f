import pytest

from kcpshard.api.errors import NotFound
from kcpshard.api.requests import Answer
from kcpshard.verbs import get as verb
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.get import get, served_bodies, served_body, wait_for_revision
from kcpshard.verbs.outcome import AfterSync
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap


async def test_the_stored_bytes_are_the_answer(client: ApiClient) -> None:
    created = await client.do("POST", CONFIGMAPS, configmap("a", {"k": "v"}))
    found = await client.do("GET", CONFIGMAPS + "/a")
    assert (found.code, found.answer.body) == (200, created.answer.body)
    assert not found.waited


@pytest.mark.parametrize(
    ("url", "code"),
    [
        pytest.param(CONFIGMAPS + "/nope", 404, id="missing"),
        pytest.param("/api/v1/nonsense/x", 404, id="unknown resource"),
        pytest.param("/api/v1/configmaps/a", 404, id="namespaced without namespace"),
        pytest.param(CONFIGMAPS + "/a/status", 404, id="unknown subresource"),
        pytest.param("/apis/authentication.k8s.io/v1/tokenreviews/x", 405, id="create only"),
        pytest.param(CONFIGMAPS + "/a?resourceVersion=0", 200, id="any version"),
        pytest.param(CONFIGMAPS + "/a?resourceVersion=1", 200, id="at least an old version"),
        pytest.param(CONFIGMAPS + "/a?resourceVersion=x", 400, id="no version"),
        pytest.param("/api/v1/namespaces/default/status", 200, id="status shows the whole object"),
    ],
)
async def test_get(client: ApiClient, url: str, code: int) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    assert (await client.do("GET", url)).code == code


async def test_a_future_version_is_waited_for_then_refused(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "FUTURE_REVISION_WAIT_S", 0.02)
    monkeypatch.setattr(verb, "_POLL_S", 0.01)
    reply = await client.do("GET", CONFIGMAPS + "/a?resourceVersion=9223372036854775806")
    assert (reply.code, reply.answer.retry_after_s) == (504, 1)
    assert reply.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_waiting_ends_when_the_revision_is_there(client: ApiClient) -> None:
    found = await client.create(CONFIGMAPS, configmap("a"))
    await wait_for_revision(client.shard, int(found["metadata"]["resourceVersion"]))


async def test_what_is_not_durable_is_not_shown(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    accepted = dispatch(client.shard, client.request("PUT", CONFIGMAPS + "/a", configmap("a", {"k": "v"})))
    answer = get(client.shard, client.request("GET", CONFIGMAPS + "/a"))
    assert isinstance(answer, Answer) and isinstance(accepted, AfterSync)
    assert b'"k"' not in answer.body and b'"k"' in accepted.answer.body


async def test_what_is_being_created_is_not_there_and_what_is_being_deleted_is(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    dispatch(client.shard, client.request("POST", CONFIGMAPS, configmap("b")))
    dispatch(client.shard, client.request("DELETE", CONFIGMAPS + "/a"))
    answer = get(client.shard, client.request("GET", CONFIGMAPS + "/a"))
    assert isinstance(answer, Answer) and answer.code == 200
    with pytest.raises(NotFound):
        get(client.shard, client.request("GET", CONFIGMAPS + "/b"))


async def test_another_version_is_converted(client: ApiClient) -> None:
    await client.create("/api/v1/namespaces/default/events", {"metadata": {"name": "e"}, "message": "m"})
    found = await client.get("/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (found["apiVersion"], found["note"]) == ("events.k8s.io/v1", "m")


async def test_columns_come_along_when_asked_for(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    resource = client.shard.catalog.find(None, "", "v1", "configmaps")
    assert resource is not None
    request = client.request("GET", CONFIGMAPS + "/a")
    request.want_columns = True
    assert (await client.send(request)).answer.columns == resource.columns
    store = client.shard.store
    cluster = store.find_cluster(client.cluster)
    assert cluster is not None
    value = store.get(cluster, "configmaps", "default", "a")
    assert value is not None
    assert served_bodies(client.shard, resource, [value]) == [served_body(client.shard, resource, value)]


async def test_system_clusters_are_for_masters(client: ApiClient) -> None:
    client.cluster = "system:shards"
    assert (await client.do("GET", CONFIGMAPS + "/a")).code == 404
    client.identity = USER
    assert (await client.do("GET", CONFIGMAPS + "/a")).code == 403


async def test_the_past_can_be_read(client: ApiClient) -> None:
    first = await client.create(CONFIGMAPS, configmap("a", {"k": "1"}))
    await client.do("PUT", CONFIGMAPS + "/a", configmap("a", {"k": "2"}))
    await client.do("DELETE", CONFIGMAPS + "/a")
    then = await client.do("GET", f"{CONFIGMAPS}/a?at={first['metadata']['resourceVersion']}")
    assert (then.code, then.json["data"]) == (200, {"k": "1"})
    before = int(first["metadata"]["resourceVersion"]) - 1
    assert (await client.do("GET", f"{CONFIGMAPS}/a?at={before}")).code == 404


@pytest.mark.parametrize(
    ("at", "code", "text"),
    [
        pytest.param("1", 410, "no longer kept", id="before the logical cluster was born"),
        pytest.param("2100-01-01T00:00:00Z", 400, "future", id="the future"),
        pytest.param("then", 400, "must be a time", id="neither a time nor a version"),
    ],
)
async def test_points_in_time_that_cannot_be_read(client: ApiClient, at: str, code: int, text: str) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    reply = await client.do("GET", f"{CONFIGMAPS}/a?at={at}")
    assert reply.code == code and text in reply.json["message"]
    reply = await client.do("GET", f"{CONFIGMAPS}?at={at}")
    assert reply.code == code and text in reply.json["message"]


async def test_a_past_state_is_not_also_a_minimum(client: ApiClient) -> None:
    assert (await client.do("GET", f"{CONFIGMAPS}/a?at=1&resourceVersion=5")).code == 400
