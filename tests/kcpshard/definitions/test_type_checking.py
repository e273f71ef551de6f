"""What is warned of is what kube-apiserver's controller manager 1.36.3 says of the same policy."""

from typing import Any

import pytest

from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.type_checking import kinds_of, warnings

CATALOG = Catalog("full")


def find(group: str, version: str, plural: str) -> Resource | None:
    return CATALOG.find(None, group, version, plural)


def rule(resources: str = "deployments", **more: Any) -> dict[str, Any]:
    return {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": resources.split(","), **more}


def told(*expressions: str, **more: Any) -> list[str]:
    spec = {"matchConstraints": {"resourceRules": [rule()]}, "validations": [{"expression": e} for e in expressions]}
    return [str(w["warning"]) for w in warnings({"spec": {**spec, **more}}, find, find("", "v1", "secrets"))]


def warning(at: int, text: str, expression: str) -> str:
    dots = "." * (at - 1)
    return f"apps/v1, Kind=Deployment: ERROR: <input>:1:{at}: {text}\n | {expression}\n | {dots}^\n"


@pytest.mark.parametrize(
    ("expression", "at", "text"),
    [
        ("object.spec.replicas > '1'", 22, "found no matching overload for '_>_' applied to '(int, string)'"),
        ("object.metadata.foo == 1", 16, "undefined field 'foo'"),
        ("variables.r == 'a'", 13, "found no matching overload for '_==_' applied to '(int, string)'"),
        ("params.data.x == 1", 15, "found no matching overload for '_==_' applied to '(bytes, int)'"),
        ("object.metadata.creationTimestamp == 1", 35,
         "found no matching overload for '_==_' applied to '(timestamp, int)'"),
        ("object.spec.template.spec.containers[0].resources.limits['cpu'] == 1", 50, "undefined field 'limits'"),
        ("authorizer.requestResource.check('x').allowed()", 11,
         "unexpected failed resolution of 'kubernetes.authorization.Authorizer'"),
    ],
)  # fmt: skip
def test_warnings(expression: str, at: int, text: str) -> None:
    more = {
        "variables": [{"name": "r", "expression": "object.spec.replicas"}],
        "paramKind": {"apiVersion": "v1", "kind": "Secret"},
    }
    assert told(expression, **more) == [warning(at, text, expression)]


def test_what_is_right_is_not_mentioned() -> None:
    assert told("object.spec.replicas > 1", "object.spec.strategy.rollingUpdate.maxSurge == 1") == []


def test_rules_with_wildcards_name_no_kind() -> None:
    rules = [rule("*"), rule("deployments/status"), rule(apiGroups=["*"]), rule("statefulsets,deployments,none")]
    assert [k.resource.kind for k in kinds_of({"resourceRules": rules}, find)] == ["Deployment", "StatefulSet"]
