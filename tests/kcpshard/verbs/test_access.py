import pytest

from kcpshard.api.requests import Identity
from kcpshard.authorization.policy import Decision
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs import access
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("", ""),
        ("metadata.name=a", "a"),
        ("metadata.name==a", "a"),
        ("status.phase=x,metadata.name=a", "a"),
        ("metadata.name!=a", ""),
        ("metadata.namespace=a", ""),
        ("metadata.name=a/b", ""),
    ],
)
def test_the_name_that_a_selector_leaves(selector: str, name: str) -> None:
    assert access.selected_name(selector) == name


def test_paths() -> None:
    document = pb.Request(verb=pb.DOCUMENT, name="/openapi/v3?hash=1")
    assert (access.wanted_of(document).verb, access.wanted_of(document).path) == ("get", "/openapi/v3")
    question = pb.Request(verb=pb.AUTHORIZE, name="/metrics", body=b'{"verb":"post"}')
    assert (access.wanted_of(question).verb, access.wanted_of(question).path) == ("post", "/metrics")


def test_a_record_is_made_once() -> None:
    record = access.Record(b'{"username":"a"}')
    record.impersonated = b'{"username":"b"}'
    record.decision = Decision(True, "RBAC: why")
    assert record.encode() is record.encode()
    wanted = b'{"user":{"username":"a"},"impersonatedUser":{"username":"b"},"decision":"allow","reason":"RBAC: why"}'
    assert record.encode() == wanted


async def test_answers_tell_the_record_when_asked(client: ApiClient) -> None:
    await client.create(CONFIGMAPS, configmap("a"))
    request = client.request("GET", CONFIGMAPS + "/a")
    assert not (await client.send(request)).answer.audit
    request.audit_id = "x"
    assert b'"decision":"allow"' in (await client.send(request)).answer.audit
    listed = client.request("GET", CONFIGMAPS)
    listed.audit_id = "x"
    assert b'"decision":"allow"' in (await client.send(listed)).answer.audit


async def test_a_list_of_one_by_name_asks_for_that_name(client: ApiClient) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"]}
    await client.create(rbac + "/clusterroles", {"metadata": {"name": "one"}, "rules": [rule]})
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "user"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "one"}
    await client.create(
        rbac + "/clusterrolebindings", {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]}
    )
    user = ApiClient(client.shard, identity=USER)
    assert (await user.do("GET", CONFIGMAPS)).code == 403
    assert (await user.do("GET", CONFIGMAPS + "?fieldSelector=metadata.name=a")).code == 200
    assert (await user.do("GET", CONFIGMAPS + "?fieldSelector=metadata.name=b")).code == 403


async def test_an_anonymous_user_is_told_the_version_and_no_more(client: ApiClient) -> None:
    nobody = Identity("system:anonymous", "", ("system:unauthenticated",)).encode()
    question = pb.Request(verb=pb.AUTHORIZE, cluster="root", identity=nobody, name="/version")
    assert (await client.send(question)).code == 200
    question.name = "/metrics"
    refused = await client.send(question)
    assert (refused.code, refused.message) == (403, 'forbidden: User "system:anonymous" cannot get path "/metrics"')


def test_an_objects_past_takes_the_right_to_get_it() -> None:
    asked = pb.Request(verb=pb.HISTORY, version="v1", resource="configmaps", namespace="n", name="a")
    wanted = access.wanted_of(asked)
    assert (wanted.verb, wanted.resource, wanted.namespace, wanted.name) == ("get", "configmaps", "n", "a")


def test_every_verb_of_the_protocol_is_authorised_as_something() -> None:
    # What is forwarded says itself as what (test_forward); of many logical clusters each decides (test_wildcard_view).
    told = (0, pb.FORWARD, pb.CUT, pb.LIST_MANY)
    assert all(access.VERBS[number] for number in pb.Verb.values() if number not in told)


async def test_a_refusal_tells_the_record_too(client: ApiClient) -> None:
    user = ApiClient(client.shard, identity=USER)
    request = user.request("GET", CONFIGMAPS + "/a")
    request.audit_id = "x"
    answer = await user.send(request)
    assert answer.code == 403 and b'"decision":"forbid","reason":""' in answer.answer.audit


def test_a_record_with_annotations_is_made_anew() -> None:
    record = access.Record(b"{}")
    record.annotations["policy/key"] = "value"
    assert record.encode() == b'{"user":{},"annotations":{"policy/key":"value"}}'
    assert access.Record(b"{}").encode() == b'{"user":{}}'
