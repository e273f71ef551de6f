"""The views of initializers and terminators, over HTTP and an embedded server."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from kcpfront.embedding import EmbeddedServer, embedded
from kcpfront.handlers.waiting_workspaces import split_view
from kcpshard.api.errors import PageNotFound
from tests.contracts.workspace_tree import binding, workspace

WORKSPACES = "/apis/tenancy.kcp.io/v1alpha1/workspaces"
TYPES = "/apis/tenancy.kcp.io/v1alpha1/workspacetypes"
LOGICAL_CLUSTERS = "/apis/core.kcp.io/v1alpha1/logicalclusters"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


class Client:
    """Requests to a server as its administrator, or as somebody else."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._trust = ssl.create_default_context(cafile=str(server.authority_file))

    def ask(self, method: str, path: str, body: Any = None, user: str = "", kind: str = "") -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._server.token}", "Content-Type": kind or "application/json"}
        if user:
            headers |= {"Impersonate-User": user, "Impersonate-Group": "system:authenticated"}
        request = urllib.request.Request(self._server.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self._trust, timeout=20) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def stream(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self._server.token}"}
        request = urllib.request.Request(self._server.url + path, None, headers)
        return urllib.request.urlopen(request, context=self._trust, timeout=20)

    def create(self, path: str, body: Any, user: str = "") -> Any:
        code, found = self.ask("POST", path, body, user)
        assert code == 201, found
        return found

    def phase(self, path: str, wanted: str) -> Any:
        """The Workspace, once it has that phase."""
        for _ in range(200):
            _, found = self.ask("GET", path)
            if (found.get("status") or {}).get("phase") == wanted:
                return found
            time.sleep(0.02)
        raise AssertionError(found)


def test_targets() -> None:
    view, inside = split_view("/services/initializingworkspaces/root%3Aa/clusters/*/api/v1/pods?x=y")
    assert view is not None and view.name == "root:a" and inside == "/clusters/*/api/v1/pods?x=y"
    assert split_view("/api/v1/pods") == (None, "/api/v1/pods")
    exported = "/services/apiexport/root/widgets/clusters/*/api/v1"
    assert split_view(exported) == (None, exported), "shards decide there"
    for target in ("/services/x", "/services/nope/root:a/clusters/*/a", "/services/terminatingworkspaces/a/clusters/x"):
        with pytest.raises(PageNotFound):
            split_view(target)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with embedded() as made:
        yield Client(made)


def allow(client: Client, user: str, verb: str) -> None:
    rule = {"apiGroups": ["tenancy.kcp.io"], "resources": ["workspacetypes"], "verbs": [verb]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": user}}
    client.create(f"/clusters/root{RBAC}/clusterroles", {**role, "rules": [rule]})
    client.create(f"/clusters/root{RBAC}/clusterrolebindings", binding(user, user, user))


def type_(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "WorkspaceType", "metadata": {"name": name}, "spec": spec,
    }  # fmt: skip


def test_an_initializer_sees_what_waits_for_it_and_nothing_else(client: Client) -> None:
    allow(client, "bot", "initialize")
    client.create(f"/clusters/root{TYPES}", type_("prepared", initializer=True))
    client.create(f"/clusters/root{WORKSPACES}", workspace("plain"))
    client.create(f"/clusters/root{WORKSPACES}", workspace("waits", "prepared"))
    client.phase(f"/clusters/root{WORKSPACES}/waits", "Initializing")
    view = "/services/initializingworkspaces/root:prepared"
    code, found = client.ask("GET", f"{view}/clusters/*{LOGICAL_CLUSTERS}", user="bot")
    assert code == 200, found
    assert [each["metadata"]["annotations"]["kcp.io/cluster"] for each in found["items"]] == ["root:waits"]
    assert client.ask("GET", f"{view}/clusters/*{LOGICAL_CLUSTERS}", user="ann")[0] == 403
    assert client.ask("GET", f"{view}/clusters/*/api/v1/secrets", user="bot")[0] == 403
    assert client.ask("GET", f"{view}/clusters/root:plain{MAPS}", user="bot")[0] == 403
    assert client.ask("GET", f"/clusters/root:waits{MAPS}", user="bot")[0] == 403
    inside = f"{view}/clusters/root:waits"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}}
    client.create(inside + MAPS, body, "bot")
    own = f"{inside}{LOGICAL_CLUSTERS}/cluster"
    other = {"status": {"initializers": ["root:other"]}}
    merge = "application/merge-patch+json"
    assert client.ask("PATCH", f"{own}/status", other, "bot", merge)[0] == 403
    assert client.ask("DELETE", own, user="bot")[0] == 405
    patch = [{"op": "remove", "path": "/status/initializers/0"}]
    code, done = client.ask("PATCH", f"{own}/status", patch, "bot", "application/json-patch+json")
    assert code == 200 and done["status"]["phase"] == "Ready", done
    client.phase(f"/clusters/root{WORKSPACES}/waits", "Ready")
    assert client.ask("GET", inside + MAPS, user="bot")[0] == 403
    for _ in range(100):
        if not client.ask("GET", f"{view}/clusters/*{LOGICAL_CLUSTERS}", user="bot")[1]["items"]:
            break
        time.sleep(0.02)
    else:
        raise AssertionError("it is still seen")


def test_the_type_says_what_it_may_and_where_the_view_is(client: Client) -> None:
    allow(client, "clerk", "initialize")
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    client.create(f"/clusters/root{TYPES}", type_("narrow", initializer=True, initializerPermissions=rules))
    client.create(f"/clusters/root{WORKSPACES}", workspace("strict", "narrow"))
    client.phase(f"/clusters/root{WORKSPACES}/strict", "Initializing")
    _, found = client.ask("GET", f"/clusters/root{TYPES}/narrow")
    (place,) = found["status"]["virtualWorkspaces"]
    assert place["type"] == "initializing" and place["url"].endswith("/services/initializingworkspaces/root:narrow")
    inside = place["url"].partition("/services")[1] + place["url"].partition("/services")[2] + "/clusters/root:strict"
    assert client.ask("GET", inside + MAPS, user="clerk")[0] == 200
    assert client.ask("GET", f"{inside}/api/v1/namespaces/default/secrets", user="clerk")[0] == 403


def test_a_terminator_clears_up(client: Client) -> None:
    allow(client, "undertaker", "terminate")
    client.create(f"/clusters/root{TYPES}", type_("careful", terminator=True))
    client.create(f"/clusters/root{WORKSPACES}", workspace("ends", "careful"))
    client.phase(f"/clusters/root{WORKSPACES}/ends", "Ready")
    view = "/services/terminatingworkspaces/root:careful"
    everything = f"{view}/clusters/*{LOGICAL_CLUSTERS}"
    assert client.ask("GET", everything, user="undertaker")[1]["items"] == []
    client.ask("DELETE", f"/clusters/root{WORKSPACES}/ends")
    client.phase(f"/clusters/root{WORKSPACES}/ends", "Terminating")
    code, found = client.ask("GET", everything, user="undertaker")
    assert code == 200 and len(found["items"]) == 1
    own = f"{view}/clusters/root:ends{LOGICAL_CLUSTERS}/cluster"
    code, seen = client.ask("GET", own, user="undertaker")
    assert code == 200
    seen["status"].pop("terminators")
    assert client.ask("PUT", f"{own}/status", seen, "undertaker")[0] == 200
    for _ in range(200):
        if client.ask("GET", f"/clusters/root{WORKSPACES}/ends")[0] == 404:
            return
        time.sleep(0.02)
    raise AssertionError("it is still there")


def test_an_open_watch_hears_of_every_object_and_ends(client: Client) -> None:
    client.create(f"/clusters/root{WORKSPACES}", workspace("watched", "universal"))
    client.phase(f"/clusters/root{WORKSPACES}/watched", "Ready")
    client.create(f"/clusters/root:watched{MAPS}", {"metadata": {"name": "c"}})
    place = f"/clusters/root:watched{MAPS}?watch=true&fieldSelector=metadata.name=c"
    with client.stream(place) as response:
        events = (json.loads(line) for line in response)
        assert next(events)["type"] == "ADDED"
        client.ask("DELETE", f"/clusters/root{WORKSPACES}/watched")
        assert next(events)["type"] == "DELETED"
        last = next(events)
    assert (last["type"], last["object"]["code"]) == ("ERROR", 404)
