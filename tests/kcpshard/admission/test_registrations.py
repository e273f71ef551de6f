from kcpshard.admission.registrations import POLICY_KINDS
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.contracts.registrations import API, refusing


def registered(client: ApiClient) -> object:
    return client.shard.admission.of(client.shard.store.find_cluster(client.cluster))


async def test_without_registrations_there_is_nothing_and_that_is_remembered(full: ApiClient) -> None:
    await full.create(CONFIGMAPS, configmap("a"))
    assert registered(full) is None
    cluster = full.shard.store.find_cluster(full.cluster)
    assert cluster is not None
    before = cluster.cached["admission"]
    assert registered(full) is None
    assert cluster.cached["admission"] is before


async def test_a_policy_counts_from_its_binding_to_its_deletion(full: ApiClient) -> None:
    await refusing(full, "false")
    assert (await full.do("POST", CONFIGMAPS, configmap("a"))).code == 422
    await full.do("DELETE", f"{API}/validatingadmissionpolicybindings/p")
    assert (await full.do("POST", CONFIGMAPS, configmap("a"))).code == 201


async def test_what_has_not_changed_is_not_compiled_again(full: ApiClient) -> None:
    await refusing(full, "true")
    await full.create(CONFIGMAPS, configmap("a"))
    cluster = full.shard.store.find_cluster(full.cluster)
    assert cluster is not None
    found = full.shard.admission.of(cluster)
    assert found is not None
    program = found.validating_policies[0].program  # type: ignore[attr-defined]
    await refusing(full, "true", "q")
    again = full.shard.admission.of(cluster)
    assert again is not None and again is not found
    assert again.validating_policies[0].program is program  # type: ignore[attr-defined]


async def test_another_logical_cluster_does_not_notice(full: ApiClient) -> None:
    await refusing(full, "false")
    other = ApiClient(full.shard, "other")
    await other.create(CONFIGMAPS, configmap("a"))


async def test_policies_are_judged_by_nobody(full: ApiClient) -> None:
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    spec = {"matchConstraints": {"resourceRules": [everything]}, "validations": [{"expression": "false"}]}
    await full.create(f"{API}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": spec})
    bound = {"policyName": "p", "validationActions": ["Deny"]}
    await full.create(f"{API}/validatingadmissionpolicybindings", {"metadata": {"name": "p"}, "spec": bound})
    assert (await full.do("POST", CONFIGMAPS, configmap("a"))).code == 422
    configuration = {"metadata": {"name": "w"}, "webhooks": []}
    assert (await full.do("POST", f"{API}/validatingwebhookconfigurations", configuration)).code == 422
    for kind in POLICY_KINDS:
        assert (await full.do("DELETE", f"{API}/{kind.partition('.')[0]}/p")).code in (200, 404)
