import pytest

from kcpshard.authorization.attributes import Attributes, of_object, quoted, refused, sentence


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        pytest.param(
            of_object("list", "", "v1", "pods", "", "y", ""),
            'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y"',
            id="in a namespace",
        ),
        pytest.param(
            of_object("get", "apps", "v1", "deployments", "scale", "y", "d"),
            'deployments.apps "d" is forbidden: User "x" cannot get resource "deployments/scale" in API group "apps" '
            'in the namespace "y"',
            id="a subresource of one object",
        ),
        pytest.param(
            of_object("get", "", "v1", "namespaces", "", "", "y"),
            'namespaces "y" is forbidden: User "x" cannot get resource "namespaces" in API group "" '
            'in the namespace "y"',
            id="a Namespace lies in itself",
        ),
        pytest.param(
            of_object("list", "", "v1", "nodes", "", "", ""),
            'nodes is forbidden: User "x" cannot list resource "nodes" in API group "" at the cluster scope',
            id="without a namespace",
        ),
        pytest.param(Attributes("get", path="/metrics"), 'forbidden: User "x" cannot get path "/metrics"', id="a path"),
    ],
)
def test_refusals_are_worded_as_kubernetes_does(wanted: Attributes, text: str) -> None:
    assert refused("x", wanted, "").message == text
    assert refused("x", wanted, "RBAC: why").message == f"{text}: RBAC: why"


def test_the_details_name_the_object() -> None:
    error = refused("x", of_object("get", "apps", "v1", "deployments", "", "y", "d"), "")
    assert error.details() == {"name": "d", "group": "apps", "kind": "deployments"}


def test_what_looks_like_markup_is_escaped() -> None:
    assert sentence("<b>", Attributes("get", path="/a&b")) == 'User "&lt;b&gt;" cannot get path "/a&amp;b"'


@pytest.mark.parametrize(
    ("text", "shown"), [('a"b', '"a\\"b"'), ("a\nb", '"a\\nb"'), ("\x01", '"\\x01"'), ("\u200b", '"\\u200b"')]
)
def test_quoting_as_go_does(text: str, shown: str) -> None:
    assert quoted(text) == shown
