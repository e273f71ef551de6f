"""A chain of RBAC and a webhook, asked through the verbs; the webhook is a function."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from kcpshard.authorization import webhook as module
from kcpshard.authorization.configuration import WebhookSettings
from kcpshard.authorization.match_conditions import compile_condition
from kcpshard.authorization.webhook import Webhook
from kcpshard.callouts.answers import Answer
from kcpshard.callouts.errors import Unreachable
from kcpshard.callouts.targets import ClientConfig
from tests.contracts.api_client import CONFIGMAPS, USER, ApiClient, configmap

SETTINGS = WebhookSettings("outside", ClientConfig("https://a.example.com/"), "secret", 1.0, 60.0, 60.0, False)
Status = dict[str, Any]


class Outside:
    """Stands for Callouts."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], Status] = lambda spec: {"allowed": False}
        self.codes: list[int] = []  # of the next answers; then 200

    async def call(
        self, _cluster: int, _config: Any, _method: str, body: bytes, _s: float, _q: str, headers: Any
    ) -> Answer:
        spec = orjson.loads(body)["spec"]
        self.asked.append(spec)
        self.headers.append(headers)
        await asyncio.sleep(0)
        if self.codes:
            return Answer(self.codes.pop(), {}, b"")
        return Answer(200, {}, orjson.dumps({"kind": "SubjectAccessReview", "status": self.answer(spec)}))


@pytest.fixture
async def outside(client: ApiClient) -> AsyncIterator[Outside]:
    found = Outside()
    await client.create(CONFIGMAPS, configmap("a"))
    async with asyncio.TaskGroup() as tasks:
        client.shard.authorizer.ask_also(["RBAC", Webhook(SETTINGS, found, tasks)])  # type: ignore[arg-type]
        yield found


@pytest.fixture
def user(client: ApiClient) -> ApiClient:
    return ApiClient(client.shard, identity=USER)


async def test_it_is_asked_what_rbac_leaves_open(outside: Outside, user: ApiClient) -> None:
    outside.answer = lambda spec: {"allowed": spec["resourceAttributes"]["verb"] == "get", "reason": "I say"}
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200
    refused = await user.do("GET", CONFIGMAPS)
    assert refused.code == 403 and refused.message.endswith('in the namespace "default": I say')
    assert outside.asked[0] == {
        "user": "user",
        "uid": "user",
        "groups": ["system:authenticated"],
        "extra": {"kcp.io/cluster": ["root"]},
        "resourceAttributes": {
            "namespace": "default", "verb": "get", "version": "v1", "resource": "configmaps", "name": "a"
        },
    }  # fmt: skip
    assert outside.headers[0]["Authorization"] == "Bearer secret"


async def test_answers_are_remembered_and_shared(outside: Outside, user: ApiClient) -> None:
    outside.answer = lambda spec: {"allowed": True}
    codes = await asyncio.gather(*(user.do("GET", CONFIGMAPS + "/a") for _ in range(5)))  # noqa: TID251
    assert [reply.code for reply in codes] == [200] * 5
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200
    assert len(outside.asked) == 1


async def test_administrators_and_what_rbac_allows_need_no_webhook(client: ApiClient, outside: Outside) -> None:
    assert (await client.do("GET", CONFIGMAPS + "/a")).code == 200
    assert outside.asked == []


async def test_a_denial_is_final_where_it_comes_first(client: ApiClient, outside: Outside, user: ApiClient) -> None:
    chain = client.shard.authorizer._chain
    client.shard.authorizer.ask_also([*reversed(chain)])
    rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "user"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    await client.create(rbac, {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]})
    outside.answer = lambda spec: {"allowed": False, "denied": spec["resourceAttributes"]["verb"] == "list"}
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200, "no opinion: RBAC is asked"
    assert (await user.do("GET", CONFIGMAPS)).code == 403


async def test_a_failure_is_no_opinion(outside: Outside, user: ApiClient) -> None:
    def fail(spec: Status) -> Status:
        raise Unreachable("gone")

    outside.answer = fail
    assert (await user.do("GET", CONFIGMAPS)).code == 403


async def test_reviews_ask_it_too(client: ApiClient, outside: Outside) -> None:
    outside.answer = lambda spec: {"allowed": spec["user"] == "jane", "reason": "known"}
    question = {"spec": {"user": "jane", "nonResourceAttributes": {"path": "/x", "verb": "get"}}}
    reply = await client.do("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", question)
    assert reply.json["status"] == {"allowed": True, "reason": "known"}


def use(client: ApiClient, outside: Outside, **changes: Any) -> Webhook:
    """The webhook of the chain, with other settings."""
    chain = client.shard.authorizer._chain
    before = next(step for step in chain if isinstance(step, Webhook))
    webhook = Webhook(SETTINGS._replace(**changes), outside, before._tasks)  # type: ignore[arg-type]
    client.shard.authorizer.ask_also(["RBAC", webhook])
    return webhook


async def test_conditions_say_when_it_is_asked(client: ApiClient, outside: Outside, user: ApiClient) -> None:
    outside.answer = lambda spec: {"allowed": True}
    webhook = use(client, outside, conditions=(compile_condition("request.resourceAttributes.verb == 'get'"),))
    assert (await user.do("GET", CONFIGMAPS)).code == 403
    assert outside.asked == [] and webhook.statistics.exclusions == 1
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200
    assert len(outside.asked) == 1 and webhook.statistics.calls["success"] == 1


@pytest.mark.parametrize(("denies", "code"), [(True, 403), (False, 200)])
async def test_a_condition_that_cannot_be_evaluated(
    client: ApiClient, outside: Outside, user: ApiClient, denies: bool, code: int
) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "user"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    await client.create(rbac, {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]})
    webhook = use(
        client, outside, conditions=(compile_condition("request.extra['x'][0] == 'y'"),), denies_on_failure=denies
    )
    client.shard.authorizer.ask_also([webhook, "RBAC"])
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == code
    assert outside.asked == [] and webhook.statistics.condition_errors == 1


async def test_selectors_are_told_and_the_old_version_too(client: ApiClient, outside: Outside, user: ApiClient) -> None:
    use(client, outside, version="v1beta1")
    await user.do("GET", CONFIGMAPS + "?labelSelector=b,a%3Dx&fieldSelector=metadata.name%3Da")
    asked = outside.asked[0]
    assert asked["group"] == ["system:authenticated"] and "groups" not in asked
    attributes = asked["resourceAttributes"]
    assert attributes["fieldSelector"] == {
        "requirements": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]
    }
    assert attributes["labelSelector"]["requirements"] == [
        {"key": "a", "operator": "In", "values": ["x"]}, {"key": "b", "operator": "Exists"},
    ]  # fmt: skip


async def test_an_answer_that_says_later_is_asked_for_again(
    client: ApiClient, outside: Outside, user: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)
    webhook = use(client, outside)
    outside.answer, outside.codes = (lambda spec: {"allowed": True}), [503, 429]
    assert (await user.do("GET", CONFIGMAPS + "/a")).code == 200
    assert webhook.statistics.calls == {"success": 1, "error": 2, "timeout": 0, "canceled": 0}
    outside.codes = [503] * 5
    assert (await user.do("GET", CONFIGMAPS)).code == 403
    assert webhook.statistics.failed_open == 1
