from datetime import UTC, datetime

from kcpsyncer.join_manifest import Joining, agent_arguments, bootstrap_kubeconfig, manifest, token_secret
from kcpsyncer.kubeconfig import parse

JOINING = Joining("east", "u1", "root:a", "https://kcp/clusters/root:a", "-----BEGIN x", ["deployments.apps"], "image")
TOKEN = "abcdef.0123456789abcdef"


def test_the_token_is_short_lived_and_for_one_cluster() -> None:
    made = token_secret(
        "abcdef", "0123456789abcdef", {"metadata": {"name": "east", "uid": "u1"}}, datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert made["metadata"]["name"] == "bootstrap-token-abcdef" and made["metadata"]["namespace"] == "kube-system"
    assert made["metadata"]["annotations"] == {"cluster.example.dev/cluster": "u1"}
    assert made["stringData"]["expiration"] == "2026-01-01T00:00:00Z"
    assert made["stringData"]["auth-extra-groups"] == "system:bootstrappers:kcp:syncers"


def test_the_kubeconfig_is_one_that_we_use() -> None:
    access = parse(bootstrap_kubeconfig(JOINING, "abcdef.0123456789abcdef"))
    assert (access.server, access.token, access.authority) == (
        JOINING.server,
        "abcdef.0123456789abcdef",
        "-----BEGIN x",
    )


def test_no_administrator_s_token_leaves() -> None:
    """D-18: what stands in the physical cluster is a token for one certificate, in a Secret."""
    made = manifest(JOINING, "abcdef.0123456789abcdef")
    holders = [each["kind"] for each in made if "0123456789abcdef" in str(each)]
    assert holders == ["Secret"] and not any(each["kind"] == "ConfigMap" for each in made)


def test_rights_in_the_physical_cluster_cover_what_is_done_there() -> None:
    """D-2"""
    (role,) = (each for each in manifest(JOINING, "t") if each["kind"] == "ClusterRole")
    rules = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert {"list", "watch", "delete", "patch"} <= rules["deployments"] and {
        "list",
        "watch",
        "delete",
        "patch",
    } <= rules["secrets"]
    assert rules["nodes"] == {"get", "list", "watch"} and "*" not in str(role["rules"])


def test_the_agent_knows_whose_it_is() -> None:
    found = agent_arguments(JOINING, "/k")
    assert found[0] == "agent" and "--uid=u1" in found and "--resource=deployments.apps" in found
    (run,) = (each for each in manifest(JOINING, "t") if each["kind"] == "Deployment")
    assert run["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "--in-cluster"
