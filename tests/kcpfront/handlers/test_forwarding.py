"""Another server's resources through a front and a shard, with a real server behind."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import kcpfront
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpfront.handlers.forwarding import NOT_REMOTE, USE_PROXY, own_target
from kcpshard.definitions import remote_apis
from tests.contracts.extension_server import GROUP, ROOT, ExtensionServer, extension_server
from tests.contracts.waiting import until

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
FRUITS = f"{ROOT}/namespaces/default/fruits"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Client:
    """Of one logical cluster."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._cluster = cluster
        self._connections: list[http.client.HTTPSConnection] = []

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def open(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        host, _, prefix = self._cluster.url.removeprefix("https://").partition("/")
        context = ssl.create_default_context(cadata=self._cluster.authority)
        connection = http.client.HTTPSConnection(host, context=context, timeout=20)
        self._connections.append(connection)
        sent = {
            "Authorization": f"Bearer {self._cluster.token}",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        connection.request(method, f"/{prefix}{path}", body, sent)
        return connection.getresponse()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        response = self.open(method, path, None if body is None else json.dumps(body).encode(), **headers)
        text = response.read()
        self._connections.pop().close()
        return response.status, json.loads(text) if text[:1] == b"{" else text


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as found:
        yield found


class Served:
    """A logical cluster in which the fruits are registered."""

    def __init__(self, server: EmbeddedServer, stack: ExitStack) -> None:
        self.cluster = server.create_cluster()
        self.client = Client(self.cluster)
        self.server = server
        # The server starts with what the ConfigMap says, which is there once an APIService is.
        spec = {"group": GROUP, "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 10}
        meta = {"name": f"v1.{GROUP}", "annotations": {"apiregistration.kcp.io/url": "https://localhost:1"}}
        document = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": meta, "spec": spec}
        code, made = self.client.ask("POST", SERVICES, document)
        assert code == 201, made
        until(lambda: self.condition()["reason"] == "FailedDiscoveryCheck", "no probe", 20)
        config = self.client.ask("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
        self.config = config[1]["data"]
        allowed = json.loads(self.config["requestheader-allowed-names"])
        manager = extension_server(self.config["requestheader-client-ca-file"].encode(), allowed)
        self.fruits: ExtensionServer = server.run(manager.__aenter__)
        stack.callback(lambda: server.run(manager.__aexit__, None, None, None))
        bundle = base64.b64encode(self.fruits.bundle).decode()
        url = {"apiregistration.kcp.io/url": f"https://localhost:{self.fruits.port}"}
        patch = {"metadata": {"annotations": url}, "spec": {"caBundle": bundle}}
        code, made = self.client.ask(
            "PATCH", f"{SERVICES}/v1.{GROUP}", patch, Content_Type="application/merge-patch+json"
        )
        assert code == 200, made
        until(lambda: self.condition()["reason"] == "Passed", "never available", 20)
        self.fruits.seen.clear()

    def condition(self) -> dict[str, str]:
        found = self.client.ask("GET", f"{SERVICES}/v1.{GROUP}")[1]
        conditions = found["status"].get("conditions") or [{"reason": ""}]
        self.told = conditions[0]
        return self.told


@pytest.fixture(scope="module")
def served(server: EmbeddedServer) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(server, stack)


def fruit(name: str) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Fruit", "metadata": {"name": name}, "spec": {"colour": "red"}}


def fruits_of(client: Client) -> Any:
    """In aggregated discovery."""
    items = client.ask("GET", "/apis", Accept=AGGREGATED)[1]["items"]
    return next(item for item in items if item["metadata"]["name"] == GROUP)


def test_fronts_and_shards_mean_the_same_codes() -> None:
    assert (USE_PROXY, NOT_REMOTE) == (remote_apis.USE_PROXY, remote_apis.NOT_REMOTE)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/clusters/root:a/apis/g/v1/x?a=b%2Fc", "/apis/g/v1/x?a=b%2Fc"),
        ("/apis/g/v1/x%20y", "/apis/g/v1/x%20y"),
        ("/apis/g/v1/x\u00e4", "/apis/g/v1/x%E4"),
    ],
)
def test_a_server_hears_nothing_of_the_logical_cluster_in_the_path(target: str, wanted: str) -> None:
    assert own_target(target) == wanted


def test_objects_are_made_read_listed_and_deleted(served: Served) -> None:
    client = served.client
    assert client.ask("POST", FRUITS, fruit("apple"), Content_Type="application/json")[0] == 201
    assert client.ask("GET", f"{FRUITS}/apple")[1]["spec"] == {"colour": "red"}
    assert [item["metadata"]["name"] for item in client.ask("GET", f"{ROOT}/fruits")[1]["items"]] == ["apple"]
    assert client.ask("DELETE", f"{FRUITS}/apple")[1]["status"] == "Success"
    code, status = client.ask("GET", f"{FRUITS}/apple")
    assert (code, status["message"]) == (404, f'fruits.{GROUP} "apple" not found')


def test_the_server_learns_who_asks_and_nothing_to_ask_with(served: Served) -> None:
    served.client.ask(
        "POST", f"{FRUITS}/a%20b/echo?x=1%2F2", {}, Content_Type="text/plain", X_Remote_User="mallory", Cookie="a=b",
        Impersonate_User="bob", Impersonate_Group="system:masters", Impersonate_Extra_Foo="bar",
    )  # fmt: skip
    seen = served.fruits.seen[-1]
    assert (seen.method, seen.path) == ("POST", f"{FRUITS}/a%20b/echo?x=1%2F2")
    assert (seen.user, seen.groups) == ("bob", ("system:masters", "system:authenticated"))
    assert seen.extra == {"foo": ["bar"], "kcp.io/cluster": [served.cluster.path]}
    assert not {"authorization", "cookie", "impersonate-user"} & seen.headers.keys()


def test_bodies_of_any_form_pass_untouched_and_answers_keep_their_type(served: Served) -> None:
    response = served.client.open("POST", FRUITS, b"\0\xffabc", Content_Type="application/x-own")
    assert (response.status, response.headers["Content-Type"]) == (201, "application/x-own")
    assert response.read() == b"cba\xff\0"
    served.client.close()


def test_large_answers_come_whole(served: Served) -> None:
    body = bytes(range(256)) * 4096
    response = served.client.open("POST", f"{FRUITS}/big/echo", body, Content_Type="application/octet-stream")
    assert response.read() == body
    served.client.close()


def test_headers_pass_but_for_those_that_would_speak_for_our_origin(served: Served) -> None:
    response = served.client.open("POST", FRUITS, json.dumps(fruit("pear")).encode(), Content_Type="application/json")
    response.read()
    served.client.close()
    assert response.headers["Warning"] == '299 - "fruit rots"'
    assert response.headers["Set-Cookie"] is None


def test_errors_are_those_of_the_server(served: Served) -> None:
    code, status = served.client.ask("PUT", f"{FRUITS}/x", {}, Content_Type="application/json")
    assert (code, status["reason"], status["message"]) == (405, "MethodNotAllowed", "fruit does not change")


def test_a_watch_comes_as_it_happens_and_ends_with_its_client(served: Served) -> None:
    response = served.client.open("GET", f"{FRUITS}?watch=true")
    assert response.status == 200
    served.client.ask("POST", FRUITS, fruit("plum"), Content_Type="application/json")
    event = json.loads(response.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "plum")
    assert served.fruits.watching == 1
    response.close()
    served.client.close()
    until(lambda: served.fruits.watching == 0, "the watch goes on without its client", 20)


def test_whoever_may_not_is_refused_before_the_server_hears_of_it(served: Served) -> None:
    served.fruits.seen.clear()
    code, status = served.client.ask("GET", f"{FRUITS}/apple", Impersonate_User="eve")
    assert (code, status["reason"]) == (403, "Forbidden")
    assert status["message"].startswith(f'fruits.{GROUP} "apple" is forbidden: User "eve" cannot get resource "fruits"')
    assert not [seen for seen in served.fruits.seen if seen.path.startswith(FRUITS)]


def test_discovery_names_it(served: Served) -> None:
    client = served.client
    groups = client.ask("GET", "/apis")[1]["groups"]
    entry = {"groupVersion": f"{GROUP}/v1", "version": "v1"}
    (found,) = [group for group in groups if group["name"] == GROUP]
    assert found == {"name": GROUP, "versions": [entry], "preferredVersion": entry}
    assert client.ask("GET", f"/apis/{GROUP}")[1]["kind"] == "APIGroup"
    assert client.ask("GET", ROOT)[1]["resources"][0]["name"] == "fruits"
    item = fruits_of(client)
    assert item["metadata"] == {"name": GROUP}
    version = item["versions"][0]
    assert (version["version"], version["freshness"]) == ("v1", "Current")
    assert version["resources"][0]["subresources"][0]["subresource"] == "echo"
    paths = client.ask("GET", "/openapi/v3")[1]["paths"]
    assert paths[ROOT[1:]] == {"serverRelativeURL": f"/openapi/v3{ROOT}?hash=A1"}
    assert "com.example.fruit.v1.Fruit" in client.ask("GET", f"/openapi/v3{ROOT}")[1]["components"]["schemas"]


def test_openapi_v2_is_of_all_servers(served: Served) -> None:
    response = served.client.open("GET", "/openapi/v2", Accept="application/json")
    found, tag = json.loads(response.read()), response.headers["ETag"]
    served.client.close()
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    assert found["paths"][f"{ROOT}/fruits"] and found["paths"]["/api/v1/namespaces/{name}"]
    assert not [path for path in found["paths"] if "evil" in path or "/apps/v1/deployments" in path]
    fruit = found["definitions"]["com.example.fruit.v1.Fruit"]
    assert fruit["properties"]["metadata"] == {"$ref": f"#/definitions/{meta}_v2"}
    assert found["definitions"][f"{meta}_v2"]["description"] == "Of the fruits."
    assert "com.example.fruit.v1.Unused" not in found["definitions"]
    known = served.client.open("GET", "/openapi/v2", Accept="application/json", If_None_Match=tag)
    assert (known.status, known.read()) == (304, b"")
    served.client.close()


def test_another_logical_cluster_knows_nothing_of_it_and_cannot_speak_for_it(
    served: Served, server: EmbeddedServer
) -> None:
    other = Client(server.create_cluster())
    assert other.ask("GET", FRUITS)[0] == 404
    assert GROUP not in [group["name"] for group in other.ask("GET", "/apis")[1]["groups"]]
    spec = {"group": GROUP, "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 10}
    spec["caBundle"] = base64.b64encode(served.fruits.bundle).decode()
    notes = {"apiregistration.kcp.io/url": f"https://localhost:{served.fruits.port}"}
    meta = {"name": f"v1.{GROUP}", "annotations": notes}
    assert other.ask("POST", SERVICES, {"metadata": meta, "spec": spec})[0] == 201
    until(lambda: other.ask("GET", FRUITS)[0] != 503, "never available", 20)
    assert other.ask("GET", FRUITS)[0] == 401  # its certificate has another name


def test_a_server_that_fails_is_unavailable_until_it_is_well_again(server: EmbeddedServer) -> None:
    with ExitStack() as stack:
        served = Served(server, stack)
        served.fruits.is_ill = True
        patch = {"metadata": {"labels": {"look": "again"}}}
        served.client.ask("PATCH", f"{SERVICES}/v1.{GROUP}", patch, Content_Type="application/merge-patch+json")
        until(lambda: served.condition()["status"] == "False", "it seems well", 20)
        assert served.told["message"].endswith("/apis/fruit.example.com/v1: 500")
        assert served.client.ask("GET", FRUITS) == (503, b"service unavailable\n")
        item = fruits_of(served.client)
        assert item["versions"][0]["freshness"] == "Stale"
        served.fruits.is_ill = False
        until(lambda: served.condition()["status"] == "True", "it stays ill", 20)
        assert served.client.ask("GET", FRUITS)[0] == 200
        assert served.client.ask("DELETE", f"{SERVICES}/v1.{GROUP}")[0] == 200
        until(lambda: served.client.ask("GET", FRUITS)[0] == 404, "it is still there", 20)


def test_a_server_that_is_gone_is_told_of(server: EmbeddedServer) -> None:
    with ExitStack() as stack:
        served = Served(server, stack)
        stack.close()
        code, text = served.client.ask("GET", FRUITS)
        assert code == 503
        assert text.startswith(b"error trying to reach service: dial tcp 127.0.0.1:")
