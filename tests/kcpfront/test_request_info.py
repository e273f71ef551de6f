import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpfront.request_info import parse_query, parse_request
from kcpshard.api.errors import ApiError, BadRequest, NotFound, PageNotFound


def described(method: str, target: str, header: str | None = None) -> dict[str, str]:
    info = parse_request(method, target, header)
    found = {
        name: getattr(info, name)
        for name in ("verb", "group", "version", "resource", "namespace", "name", "subresource")
    }
    if info.cluster != "root":
        found["cluster"] = info.cluster
    if not info.resource:
        found["path"] = info.path
    return {name: value for name, value in found.items() if value}


def core(verb: str, resource: str, **more: str) -> dict[str, str]:
    return {"verb": verb, "version": "v1", "resource": resource} | more


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        pytest.param(
            "GET", "/api/v1/namespaces/a/configmaps/c", core("get", "configmaps", namespace="a", name="c"), id="get"
        ),
        pytest.param("GET", "/api/v1/namespaces/a/configmaps", core("list", "configmaps", namespace="a"), id="list"),
        pytest.param("GET", "/api/v1/configmaps", core("list", "configmaps"), id="list of all namespaces"),
        pytest.param("GET", "/api/v1/configmaps?watch=true", core("watch", "configmaps"), id="watch"),
        pytest.param("GET", "/api/v1/configmaps?watch=1", core("watch", "configmaps"), id="watch=1"),
        pytest.param("GET", "/api/v1/configmaps?watch=x", core("watch", "configmaps"), id="anything but false watches"),
        pytest.param("GET", "/api/v1/configmaps?watch=0", core("list", "configmaps"), id="watch=0 lists"),
        pytest.param("GET", "/api/v1/configmaps?watch=false", core("list", "configmaps"), id="watch=false lists"),
        pytest.param("GET", "/api/v1/watch/configmaps", core("watch", "configmaps"), id="deprecated watch path"),
        pytest.param(
            "GET",
            "/api/v1/watch/namespaces/a/configmaps/c",
            core("watch", "configmaps", namespace="a", name="c"),
            id="deprecated watch of one",
        ),
        pytest.param(
            "POST", "/api/v1/namespaces/a/configmaps", core("create", "configmaps", namespace="a"), id="create"
        ),
        pytest.param(
            "PUT",
            "/api/v1/namespaces/a/configmaps/c",
            core("update", "configmaps", namespace="a", name="c"),
            id="update",
        ),
        pytest.param(
            "PATCH",
            "/api/v1/namespaces/a/configmaps/c",
            core("patch", "configmaps", namespace="a", name="c"),
            id="patch",
        ),
        pytest.param(
            "DELETE",
            "/api/v1/namespaces/a/configmaps/c",
            core("delete", "configmaps", namespace="a", name="c"),
            id="delete",
        ),
        pytest.param(
            "DELETE",
            "/api/v1/namespaces/a/configmaps",
            core("deletecollection", "configmaps", namespace="a"),
            id="delete collection",
        ),
        pytest.param(
            "HEAD",
            "/api/v1/namespaces/a/configmaps/c",
            {"version": "v1", "resource": "configmaps", "namespace": "a", "name": "c"},
            id="head is no verb",
        ),
        pytest.param("GET", "/api/v1/namespaces", core("list", "namespaces"), id="list namespaces"),
        pytest.param(
            "GET", "/api/v1/namespaces/a", core("get", "namespaces", namespace="a", name="a"), id="get a namespace"
        ),
        pytest.param(
            "PUT",
            "/api/v1/namespaces/a/finalize",
            core("update", "namespaces", namespace="a", name="a", subresource="finalize"),
            id="not a resource in a namespace",
        ),
        pytest.param(
            "PUT",
            "/api/v1/namespaces/a/status",
            core("update", "namespaces", namespace="a", name="a", subresource="status"),
            id="status of a namespace",
        ),
        pytest.param(
            "GET",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            {
                "verb": "get",
                "group": "apps",
                "version": "v1",
                "resource": "deployments",
                "namespace": "a",
                "name": "d",
                "subresource": "scale",
            },
            id="subresource of a group",
        ),
        pytest.param("GET", "/api/v1/nodes/n", core("get", "nodes", name="n"), id="cluster scoped"),
        pytest.param(
            "GET",
            "/api/v1/nodes/n/proxy/a/b",
            core("get", "nodes", name="n", subresource="proxy/a/b"),
            id="what follows a subresource is kept",
        ),
        pytest.param(
            "GET",
            "/api/v1/configmaps?fieldSelector=metadata.name%3Dc",
            core("list", "configmaps", name="c"),
            id="field selector names the object",
        ),
        pytest.param(
            "GET",
            "/api/v1/configmaps?watch=1&fieldSelector=metadata.name==c",
            core("watch", "configmaps", name="c"),
            id="field selector of a watch",
        ),
        pytest.param(
            "GET",
            "/api/v1/configmaps?fieldSelector=metadata.name!=c",
            core("list", "configmaps"),
            id="unequal names none",
        ),
        pytest.param("GET", "/api", {"verb": "get", "path": "/api"}, id="discovery"),
        pytest.param("GET", "/apis/apps/v1", {"verb": "get", "path": "/apis/apps/v1"}, id="group version"),
        pytest.param("POST", "/healthz", {"verb": "post", "path": "/healthz"}, id="non-resource verbs are methods"),
        pytest.param("GET", "/", {"verb": "get", "path": "/"}, id="root"),
        pytest.param("GET", "/api/v1/namespaces/", core("list", "namespaces"), id="trailing slash"),
        pytest.param(
            "GET", "/clusters/root:org:a/api/v1/nodes", core("list", "nodes", cluster="root:org:a"), id="cluster"
        ),
        pytest.param(
            "GET", "/clusters/root%3Aorg/api/v1/nodes", core("list", "nodes", cluster="root:org"), id="encoded colon"
        ),
        pytest.param(
            "GET", "/clusters/*/api/v1/configmaps", core("list", "configmaps", cluster="*"), id="every logical cluster"
        ),
        pytest.param(
            "GET",
            "/clusters/a/healthz",
            {"verb": "get", "path": "/healthz", "cluster": "a"},
            id="non-resource path below a cluster",
        ),
        pytest.param("GET", "/clusters/a", {"verb": "get", "path": "/", "cluster": "a"}, id="root of a cluster"),
        pytest.param(
            "GET", "/api/v1/namespaces/a%62/configmaps", core("list", "configmaps", namespace="ab"), id="decoded once"
        ),
        pytest.param(
            "GET",
            "/api/v1/namespaces/%2561/configmaps",
            core("list", "configmaps", namespace="%61"),
            id="and only once",
        ),
    ],
)
def test_a_target_means(method: str, target: str, expected: dict[str, str]) -> None:
    assert described(method, target) == expected


@pytest.mark.parametrize(
    ("target", "error"),
    [
        pytest.param("/api/v1//namespaces", NotFound, id="empty segment"),
        pytest.param("//api/v1/namespaces", NotFound, id="double slash at the start"),
        pytest.param("/api/v1/namespaces/a/namespaces/a", NotFound, id="a namespace in a namespace"),
        pytest.param("/api/v1/../v1/namespaces", NotFound, id="dot dot"),
        pytest.param("/api/./v1/namespaces", NotFound, id="dot"),
        pytest.param("/api/v1/namespaces/%2e%2e/configmaps", NotFound, id="encoded dot dot"),
        pytest.param("/api/v1/namespaces/a%2Fb", NotFound, id="hidden slash"),
        pytest.param("/api/v1/namespaces/a%00b", NotFound, id="zero byte"),
        pytest.param("/api/v1/namespaces/%ff", BadRequest, id="not UTF-8"),
        pytest.param("api/v1", BadRequest, id="no path"),
        pytest.param("http://other/api/v1", BadRequest, id="absolute form"),
        pytest.param("/clusters/", NotFound, id="no cluster named"),
        pytest.param("/clusters/Root/api", NotFound, id="upper case cluster"),
        pytest.param("/clusters/a::b/api", NotFound, id="empty cluster segment"),
        pytest.param("/clusters/**/api", NotFound, id="double wildcard"),
        pytest.param("/clusters/a%2Fb/api", NotFound, id="hidden slash in the cluster"),
        pytest.param("/clusters/" + "a" * 64 + "/api", NotFound, id="cluster segment too long"),
    ],
)
def test_a_target_is_refused(target: str, error: type[ApiError]) -> None:
    with pytest.raises(error):
        parse_request("GET", target, None)


def test_the_header_names_the_cluster() -> None:
    assert parse_request("GET", "/api", "root:a").cluster == "root:a"
    assert parse_request("GET", "/clusters/root:a/api", "root:a").cluster == "root:a"
    assert parse_request("GET", "/api", None).cluster == "root"
    with pytest.raises(BadRequest):
        parse_request("GET", "/clusters/root:a/api", "root:b")
    with pytest.raises(NotFound):
        parse_request("GET", "/api", "No")


def test_the_query_is_read_as_go_reads_it() -> None:
    assert parse_query("a=1&a=2&b=x+y%26&c&d=e=f&bad;=1&&") == {"a": ["1", "2"], "b": ["x y&"], "c": [""], "d": ["e=f"]}


@given(st.text(max_size=60))
def test_no_target_breaks_the_parser(text: str) -> None:
    try:
        info = parse_request("GET", "/" + text, None)
    except ApiError as error:
        assert error.code in (400, 404)
    else:
        for part in (info.namespace, info.name, info.resource, info.group, info.version):
            assert "/" not in part and part not in (".", "..")


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_a_legal_cluster_gets_through(cluster: str, rest: str) -> None:
    try:
        info = parse_request("GET", f"/clusters/{cluster}/api/v1/{rest}", None)
    except ApiError:
        return
    assert info.cluster == "*" or all(s and s == s.lower() and s.isascii() for s in info.cluster.split(":"))


def test_the_view_of_an_export() -> None:
    target = "/services/apiexport/root:org/widgets/clusters/*/apis/example.dev/v1/namespaces/a/widgets?limit=1"
    found = parse_request("GET", target, None)
    assert (found.view, found.cluster, found.path) == (
        b'["root:org","widgets"]', "*", "/apis/example.dev/v1/namespaces/a/widgets"
    )  # fmt: skip
    assert (found.verb, found.resource, found.namespace) == ("list", "widgets", "a")
    one = parse_request("GET", "/services/apiexport/root%3Aorg/widgets/clusters/root:b/api", None)
    assert (one.view, one.cluster, one.path) == (b'["root:org","widgets"]', "root:b", "/api")


@pytest.mark.parametrize(
    "target",
    ["/services/apiexport/root/widgets/api", "/services/apiexport/ROOT/widgets/clusters/*/api", "/services/apiexport"],
)
def test_what_is_no_view(target: str) -> None:
    with pytest.raises(PageNotFound):
        parse_request("GET", target, None)


@pytest.mark.parametrize(
    "target",
    [
        "/clusters/*;env=prod,example.com%2Ftier!=x/api/v1/configmaps",
        "/clusters/*%3Benv=prod,example.com%2Ftier!=x/api/v1/configmaps",
        "/clusters/*/api/v1/configmaps?workspaceSelector=env%3Dprod,example.com/tier!%3Dx",
    ],
)
def test_workspaces_are_chosen_by_their_labels(target: str) -> None:
    info = parse_request("GET", target, None)
    assert (info.cluster, info.workspaces) == ("*", "env=prod,example.com/tier!=x")
    assert (info.verb, info.resource, info.path) == ("list", "configmaps", "/api/v1/configmaps")


@pytest.mark.parametrize(
    "target",
    [
        "/clusters/root;env=prod/api/v1/configmaps",
        "/clusters/root/api/v1/configmaps?workspaceSelector=env=prod",
        "/clusters/*;env=prod/api/v1/configmaps?workspaceSelector=env=test",
    ],
)
def test_a_choice_of_workspaces_that_means_nothing_is_refused(target: str) -> None:
    with pytest.raises(BadRequest):
        parse_request("GET", target, None)
