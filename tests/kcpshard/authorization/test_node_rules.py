"""Examples; tests/differential/node_access.py judges thousands beside a real kube-apiserver."""

import pytest

from kcpshard.api.selectors import FieldTerm
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.node_rules import decide
from kcpshard.authorization.rules import Rule

RULES = (Rule(("get",), ("",), ("services",)),)


def related(kind: str, namespace: str, name: str) -> bool:
    return name == "mine"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        pytest.param(Attributes("get", "", "v1", "secrets", "", "a", "mine"), None, id="its secret"),
        pytest.param(
            Attributes("get", "", "v1", "secrets", "", "a", "x"),
            "no relationship found between node 'n' and this object", id="another's",
        ),
        pytest.param(Attributes("list", "", "v1", "secrets", "", "a"), "No Object name found", id="all secrets"),
        pytest.param(Attributes("get", "", "v1", "services", "", "a", "x"), None, id="by the rules of all nodes"),
        pytest.param(Attributes("delete", "", "v1", "services", "", "a", "x"), "", id="beyond them"),
        pytest.param(Attributes("get", path="/metrics"), "", id="a path"),
        pytest.param(Attributes("get", "", "v1", "nodes", "", "", "n"), None, id="itself"),
        pytest.param(
            Attributes("get", "", "v1", "nodes", "", "", "m"),
            "node 'n' cannot read 'm', only its own Node object", id="another node",
        ),
        pytest.param(Attributes("delete", "", "v1", "nodes", "", "", "n"), "", id="not even its own end"),
    ],
)  # fmt: skip
def test_decisions(wanted: Attributes, reason: str | None) -> None:
    found = decide("n", wanted, RULES, related)
    assert found.allowed is (reason is None) and found.reason == (reason or "")


def test_its_pods_by_a_selector() -> None:
    wanted = Attributes("list", "", "v1", "pods")
    assert not decide("n", wanted, RULES, related).allowed
    own = wanted._replace(fields=(FieldTerm("spec.nodeName", True, "n"),))
    assert decide("n", own, RULES, related).allowed
    assert not decide("m", own, RULES, related).allowed
    assert not decide("n", wanted._replace(fields=(FieldTerm("spec.nodeName", False, "n"),)), RULES, related).allowed


def test_nobodys_node() -> None:
    assert decide("", Attributes("get", "", "v1", "services"), RULES, related).reason.startswith("unknown node")
