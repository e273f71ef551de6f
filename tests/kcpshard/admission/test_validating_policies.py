from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.contracts.registrations import refusing, register


async def test_a_refusal_names_policy_and_binding(full: ApiClient) -> None:
    await refusing(full, "object == null || object.data.a == '1'")
    reply = await full.do("POST", CONFIGMAPS, configmap("a", {"a": "2"}))
    text = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: failed expression: "
    assert reply.code == 422 and reply.json["reason"] == "Invalid"
    assert reply.message.startswith(f'configmaps "a" is forbidden: {text}')
    assert reply.json["details"]["causes"][0]["message"].startswith(text)


async def test_what_is_refused_is_not_charged(full: ApiClient) -> None:
    quotas = "/api/v1/namespaces/default/resourcequotas"
    made = await full.create(quotas, {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "5"}}})
    status = {"hard": {"configmaps": "5"}, "used": {"configmaps": "0"}}
    await full.do("PUT", f"{quotas}/q/status", {**made, "status": status})
    await refusing(full, "false")
    assert (await full.do("POST", CONFIGMAPS, configmap("a"))).code == 422
    assert (await full.get(f"{quotas}/q"))["status"]["used"] == {"configmaps": "0"}


async def test_warnings_are_given_beside_success_and_beside_a_refusal(full: ApiClient) -> None:
    await refusing(full, "false", "warns", validationActions=["Warn"])
    reply = await full.do("POST", CONFIGMAPS, configmap("a"))
    wanted = "Validation failed for ValidatingAdmissionPolicy 'warns' with binding 'warns': failed expression: false"
    assert reply.code == 201 and list(reply.answer.warnings) == [wanted]
    await refusing(full, "object.metadata.name == 'a'", "z")
    assert list((await full.do("POST", CONFIGMAPS, configmap("b"))).answer.warnings) == [wanted]


async def test_each_object_of_a_collection_is_judged(full: ApiClient) -> None:
    for name in ("a", "b", "keep"):
        await full.create(CONFIGMAPS, configmap(name))
    await refusing(full, "request.operation != 'DELETE' || oldObject.metadata.name != 'keep'")
    reply = await full.do("DELETE", CONFIGMAPS)
    assert reply.code == 422
    await full.create(CONFIGMAPS, configmap("later"))  # by then what was deleted before is durably gone
    codes = [(await full.do("GET", f"{CONFIGMAPS}/{name}")).code for name in ("a", "b", "keep")]
    assert codes == [404, 404, 200]


async def test_a_dry_run_is_judged_too(full: ApiClient) -> None:
    await refusing(full, "!request.dryRun")
    assert (await full.do("POST", f"{CONFIGMAPS}?dryRun=All", configmap("a"))).code == 422
    assert (await full.do("POST", CONFIGMAPS, configmap("a"))).code == 201


async def test_annotations_that_fail_refuse_unless_failures_are_ignored(full: ApiClient) -> None:
    annotations = {"auditAnnotations": [{"key": "k", "valueExpression": "'x' + object.missing"}]}
    await register(full, "validating", "p", {**annotations, "failurePolicy": "Ignore"})
    assert (await full.do("POST", CONFIGMAPS, configmap("a"))).code == 201
    await register(full, "validating", "q", annotations)
    assert "no such key: missing" in (await full.do("POST", CONFIGMAPS, configmap("b"))).message
