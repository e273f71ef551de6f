import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

import kcpfront
from kcp.__main__ import main
from kcp.cluster_access import ClusterAccess, connect
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer

PATH = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as started:
        yield started


@pytest.fixture
def cluster(server: EmbeddedServer) -> EmbeddedCluster:
    """With a config map `a` that was created, changed twice and deleted."""
    made = server.create_cluster()
    access = connect(str(made.kubeconfig), None, None)
    write(access, "POST", "1")
    write(access, "PUT", "2")
    write(access, "PUT", "3")
    access.request("DELETE", f"{PATH}/a")
    return made


def write(access: ClusterAccess, method: str, value: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}}
    access.request(method, PATH if method == "POST" else f"{PATH}/a", body=body)


def run(cluster: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--kubeconfig", str(cluster.kubeconfig)])


def test_who_changed_what(cluster: EmbeddedCluster) -> None:
    done = run(cluster, "history", "cm/a")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    heads = [line.split()[1:3] for line in lines if not line.startswith(" ")]
    user = "kcp-admin"
    assert heads == [["Delete", user], ["Update", user], ["Update", user], ["Create", user]]
    assert '      data.k: "2" → "3"' in lines and '      data.k: "1" → "2"' in lines


def test_the_last_change_shown_is_told_by_the_one_before(cluster: EmbeddedCluster) -> None:
    lines = run(cluster, "history", "cm/a", "--limit", "2").output.splitlines()
    assert '      data.k: "2" → "3"' in lines and len(lines) == 3


def test_history_for_programs(cluster: EmbeddedCluster) -> None:
    found = json.loads(run(cluster, "history", "cm/a", "-o", "json").output)
    assert [change["operation"] for change in found] == ["Delete", "Update", "Update", "Create"]


def test_what_was_there_at_some_time(cluster: EmbeddedCluster) -> None:
    found = json.loads(run(cluster, "history", "cm/a", "-o", "json").output)
    then = found[-1]["resourceVersion"]
    assert json.loads(run(cluster, "get", "cm/a", "--at", then, "-o", "json").output)["data"] == {"k": "1"}
    listed = run(cluster, "get", "cm", "-A", "--at", then, "-o", "name").output.splitlines()
    assert "configmaps/a" in listed
    assert "configmaps/a" not in run(cluster, "get", "cm", "--at", found[0]["resourceVersion"], "-o", "name").output
    assert "kind: List" in run(cluster, "get", "cm", "--at", then).output


def test_refusals_are_sentences(cluster: EmbeddedCluster) -> None:
    for arguments in (["history", "cm/other"], ["get", "cm/a", "--at", "yesterday"], ["get", "cm/a", "--at", "1"]):
        done = run(cluster, *arguments)
        assert done.exit_code == 1 and done.output.startswith("kcp: "), done.output
