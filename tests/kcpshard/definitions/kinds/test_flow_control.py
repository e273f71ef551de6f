import pytest

from kcpshard.definitions import builtin
from kcpshard.definitions.contract import Object

FULL = {resource.kind: resource for resource in builtin.builtin_resources("full")}
RULE: Object = {
    "subjects": [{"kind": "User", "user": {"name": "u"}}],
    "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}],
}


def schema(rule: Object) -> Object:
    spec = {"priorityLevelConfiguration": {"name": "x"}, "matchingPrecedence": 1000, "rules": [rule]}
    return {"metadata": {"name": "a"}, "spec": spec}


def level(limited: Object) -> Object:
    return {"metadata": {"name": "a"}, "spec": {"type": "Limited", "limited": limited}}


def resource_rule(**members: object) -> Object:
    return {**RULE, "resourceRules": [{**RULE["resourceRules"][0], **members}]}


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        (RULE, []),
        ({**RULE, "subjects": []}, ["subjects"]),
        ({**RULE, "subjects": [{"kind": ""}]}, ["subjects[0].kind"]),
        ({**RULE, "subjects": [{"kind": "User", "user": {"name": "u"}, "group": {}}]}, ["subjects[0].group"]),
        (
            {**RULE, "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}]},
            ["subjects[0].serviceAccount.namespace"],
        ),
        (resource_rule(verbs=["get", "x"]), ["resourceRules[0].verbs"]),
        (resource_rule(verbs=["*", "get"]), ["resourceRules[0].verbs"]),
        (resource_rule(namespaces=["A"]), ["resourceRules[0].namespaces[0]"]),
        (resource_rule(namespaces=["*", "a"]), ["resourceRules[0].namespaces"]),
        (resource_rule(namespaces=[], clusterScope=True), []),
        (
            {**RULE, "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["x", "/a*", "/b/*", "/"]}]},
            ["nonResourceRules[0].nonResourceURLs[0]", "nonResourceRules[0].nonResourceURLs[1]"],
        ),
    ],
)
def test_rules(rule: Object, fields: list[str]) -> None:
    found = [fault.field for fault in FULL["FlowSchema"].strategy.validate_create(schema(rule))]
    assert found == [f"spec.rules[0].{field}" for field in fields]


@pytest.mark.parametrize(
    ("limited", "fields"),
    [
        ({"limitResponse": {"type": "Reject"}}, []),
        ({"limitResponse": {"type": "Reject"}, "lendablePercent": 101}, ["lendablePercent"]),
        ({"limitResponse": {"type": "Reject"}, "borrowingLimitPercent": -1}, ["borrowingLimitPercent"]),
        ({"limitResponse": {}}, ["limitResponse.type"]),
        ({"limitResponse": {"type": "Queue"}}, ["limitResponse.queuing"]),
        (
            {"limitResponse": {"type": "Queue", "queuing": {"queues": 2, "handSize": 8, "queueLengthLimit": 1}}},
            ["limitResponse.queuing.handSize"],
        ),
        (
            {"limitResponse": {"type": "Queue", "queuing": {"queues": 1024, "handSize": 8, "queueLengthLimit": 1}}},
            ["limitResponse.queuing.handSize"],
        ),
    ],
)
def test_levels(limited: Object, fields: list[str]) -> None:
    found = [fault.field for fault in FULL["PriorityLevelConfiguration"].strategy.validate_create(level(limited))]
    assert found == [f"spec.limited.{field}" for field in fields]
