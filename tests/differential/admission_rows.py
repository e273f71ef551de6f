# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""Policies and writes that meet them, asked of a real kube-apiserver and of our verbs alike.

A case has a namespace of its own, which its policies select; all cases are set up before the first write is judged, for
a real server takes a moment to see what is registered. `{case}` in a name or body is the case's namespace.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.differential.exchanges import JSON, JSON_PATCH, MERGE, STRATEGIC, Exchange

G = "/apis/admissionregistration.k8s.io/v1"
APPLY = "application/apply-patch+yaml"
Object = dict[str, Any]


class Case(NamedTuple):
    """`setup` is made in order; `writes` are judged."""

    name: str
    setup: list[Exchange]
    writes: list[Exchange]


def make(url: str, body: Object, **more: Any) -> Exchange:
    return Exchange("", "POST", url, body, **more)


def rule(
    resources: str = "configmaps",
    operations: str = "CREATE,UPDATE",
    groups: str = "",
    versions: str = "v1",
    **more: Any,
) -> Object:
    return {
        "apiGroups": groups.split(","),
        "apiVersions": versions.split(","),
        "operations": operations.split(","),
        "resources": resources.split(","),
        **more,
    }


HERE: Object = {"matchLabels": {"kubernetes.io/metadata.name": "{case}"}}


def policy(
    spec: Object,
    rules: list[Object] | None = None,
    kind: str = "Validating",
    name: str = "{case}",
    match: Object | None = None,
) -> Exchange:
    constraints = {"namespaceSelector": HERE, "resourceRules": rules or [rule()], **(match or {})}
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}AdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"matchConstraints": constraints, **spec},
    }
    return make(f"{G}/{kind.lower()}admissionpolicies", body)


def binding(
    kind: str = "Validating", name: str = "{case}", actions: str = "Deny", policy_name: str = "", **spec: Any
) -> Exchange:
    given = {
        "policyName": policy_name or name,
        **({"validationActions": actions.split(",")} if kind == "Validating" else {}),
        **spec,
    }
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}AdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": given,
    }
    return make(f"{G}/{kind.lower()}admissionpolicybindings", body)


CM = "/api/v1/namespaces/{case}/configmaps"


def cm(name: str, data: Object | None = None, **meta: Any) -> Object:
    found: Object = {"metadata": {"name": name, **meta}}
    return {**found, "data": data} if data is not None else found


def create(name: str, data: Object | None = None, query: str = "", **meta: Any) -> Exchange:
    return make(CM + query, cm(name, data, **meta))


def put(name: str, data: Object | None = None, **meta: Any) -> Exchange:
    return Exchange("", "PUT", f"{CM}/{name}", cm(name, data, **meta))


def merge(name: str, body: Object, query: str = "") -> Exchange:
    return Exchange("", "PATCH", f"{CM}/{name}{query}", body, MERGE)


def delete(name: str, body: Any = None) -> Exchange:
    return Exchange("", "DELETE", f"{CM}/{name}", body)


def valid(*expressions: str, **more: Any) -> Object:
    return {"validations": [{"expression": e} for e in expressions], **more}


def truths(name: str, *expressions: str, write: Exchange | None = None, **more: Any) -> Case:
    """Each expression in a policy of its own, warning when it is not true: one write tells of them all."""
    setup: list[Exchange] = []
    for number, expression in enumerate(expressions):
        named = f"{{case}}-{number:02}"
        setup.append(policy(valid(expression, **more), name=named))
        setup.append(binding(name=named, actions="Warn"))
    return Case(name, setup, [write or create("a", {"a": "1", "n": "12"}, labels={"x": "y"})])


def validating() -> Iterator[Case]:
    yield Case(
        "deny",
        [
            policy(
                {
                    "validations": [
                        {"expression": "object.data.a == '1'", "message": " no "},
                        {"expression": "has(object.data.b)"},
                    ]
                }
            ),
            binding(),
        ],
        [
            create("a", {"a": "1", "b": ""}),
            create("b", {"a": "2"}),
            create("c", {"a": "1"}),
            create("d"),
            put("a", {"a": "3"}),
            merge("a", {"data": {"a": "4"}}),
            merge("a", {"data": {"c": "4"}}),
            Exchange(
                "",
                "PATCH",
                f"{CM}/a?fieldManager=m",
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "9"}},
                APPLY,
            ),
            Exchange(
                "",
                "PATCH",
                f"{CM}/new?fieldManager=m",
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": "9"}},
                APPLY,
            ),
            Exchange("", "PATCH", f"{CM}/a", [{"op": "replace", "path": "/data/a", "value": "x"}], JSON_PATCH),
            Exchange("", "PATCH", f"{CM}/a", {"data": {"a": "y"}}, STRATEGIC),
            create("e", {"a": "2"}, "?dryRun=All"),
            delete("a"),
        ],
    )
    for reason in ("Forbidden", "Invalid", "RequestEntityTooLarge"):
        yield Case(
            f"reason-{reason.lower()}",
            [policy({"validations": [{"expression": "false", "reason": reason}]}), binding()],
            [create("a")],
        )
    yield Case(
        "messages",
        [
            policy(
                {
                    "validations": [
                        {
                            "expression": "!(object.metadata.name.startsWith('m'))",
                            "messageExpression": "'name is ' + object.metadata.name",
                        },
                        {
                            "expression": "object.metadata.name != 'broken'",
                            "message": "fallback",
                            "messageExpression": "string(object.data.missing)",
                        },
                        {
                            "expression": "object.metadata.name != 'lines'",
                            "message": "fallback",
                            "messageExpression": "'a\\nb'",
                        },
                        {"expression": "object.metadata.name != 'empty'", "messageExpression": "'  '"},
                        {"expression": "object.metadata.name != 'spaces'", "messageExpression": "'  x  '"},
                    ]
                }
            ),
            binding(),
        ],
        [create("me"), create("broken"), create("lines"), create("empty"), create("spaces"), create("good")],
    )
    for failure in ("Fail", "Ignore"):
        yield Case(
            f"failure-{failure.lower()}",
            [
                policy(valid("object.data.missing == '1'", failurePolicy=failure)),
                binding(),
                policy(
                    {
                        **valid("false"),
                        "failurePolicy": failure,
                        "matchConditions": [
                            {"name": "x", "expression": "object.data.missing == '1'"},
                            {"name": "y", "expression": "object.metadata.name != 'skip'"},
                        ],
                    },
                    name="{case}-2",
                ),
                binding(name="{case}-2"),
            ],
            [create("a", {"b": "1"}), create("skip", {"b": "1"}), create("c")],
        )
    yield Case(
        "warn",
        [
            policy(
                {"validations": [{"expression": "false", "message": "careful"}, {"expression": "object.data.x == ''"}]}
            ),
            binding(actions="Warn"),
        ],
        [create("a"), put("a", {"a": "1"}), merge("a", {"data": {"q": "1"}}), create("b", {}, "?fieldValidation=Warn")],
    )
    yield Case(
        "warn-delete",
        [
            policy({"validations": [{"expression": "false", "message": "careful"}]}, [rule(operations="DELETE")]),
            binding(actions="Warn"),
        ],
        [create("a"), delete("a")],
    )
    yield Case("audit", [policy({"validations": [{"expression": "false"}]}), binding(actions="Audit")], [create("a")])
    yield Case(
        "warn-audit", [policy({"validations": [{"expression": "false"}]}), binding(actions="Warn,Audit")], [create("a")]
    )
    yield Case(
        "audit-annotation",
        [
            policy(
                {
                    "auditAnnotations": [
                        {"key": "k", "valueExpression": "'v' + object.metadata.name"},
                        {"key": "l", "valueExpression": "null"},
                    ]
                }
            ),
            binding(),
        ],
        [create("a")],
    )
    yield Case(
        "audit-annotation-fault",
        [
            policy({"auditAnnotations": [{"key": "k", "valueExpression": "'v' + object.data.missing"}]}),
            binding(actions="Audit"),
        ],
        [create("a")],
    )
    yield Case("unbound", [policy(valid("false"))], [create("a")])
    yield Case(
        "two-bindings",
        [
            policy(valid("false")),
            binding(
                name="{case}-1", policy_name="{case}", matchResources={"resourceRules": [rule(resourceNames=["a"])]}
            ),
            binding(name="{case}-2", policy_name="{case}", actions="Warn"),
        ],
        [create("a"), create("b")],
    )
    yield Case(
        "variables",
        [
            policy(
                {
                    "variables": [
                        {"name": "a", "expression": "object.data.a"},
                        {"name": "n", "expression": "int(variables.a) + 1"},
                        {"name": "bad", "expression": "object.data.missing"},
                        {"name": "l", "expression": "[1, 2, 3]"},
                        {"name": "q", "expression": "quantity('1k')"},
                    ],
                    "validations": [
                        {"expression": "variables.n < 10", "messageExpression": "'n is ' + string(variables.n)"},
                        {"expression": "variables.n < 5 || variables.bad == 'x'"},
                        {"expression": "variables.l.all(x, x < variables.n + 3)"},
                        {"expression": "variables.q.isGreaterThan(quantity('1'))"},
                        {"expression": "has(variables.a)"},
                    ],
                }
            ),
            binding(),
        ],
        [
            create("a", {"a": "1"}),
            create("b", {"a": "12"}),
            create("c", {"a": "6"}),
            create("d", {"a": "x"}),
            create("e", {"a": "-1"}),
        ],
    )
    kind = {"apiVersion": "v1", "kind": "Secret"}
    text = valid("!has(object.data.n) || object.data.n != string(params.data.k)", paramKind=kind)
    yield Case(
        "params-secret",
        [
            make(
                "/api/v1/namespaces/{case}/secrets",
                {"metadata": {"name": "one", "labels": {"p": "1"}}, "data": {"k": "YQ=="}},
            ),
            make(
                "/api/v1/namespaces/{case}/secrets",
                {"metadata": {"name": "two", "labels": {"p": "1"}}, "data": {"k": "Yg=="}},
            ),
            policy(text),
            binding(
                name="{case}-sel",
                policy_name="{case}",
                paramRef={"selector": {"matchLabels": {"p": "1"}}, "parameterNotFoundAction": "Deny"},
            ),
            policy(text, name="{case}-2"),
            binding(name="{case}-2", actions="Warn", paramRef={"name": "one", "parameterNotFoundAction": "Deny"}),
            policy(text, name="{case}-3"),
            binding(
                name="{case}-3",
                matchResources={"objectSelector": {"matchLabels": {"gone": "1"}}},
                paramRef={"name": "gone", "parameterNotFoundAction": "Deny"},
            ),
            policy(text, name="{case}-4"),
            binding(name="{case}-4", paramRef={"name": "gone", "parameterNotFoundAction": "Allow"}),
            policy(text, name="{case}-5"),
            binding(name="{case}-5", matchResources={"objectSelector": {"matchLabels": {"noref": "1"}}}),
            policy(text, name="{case}-6"),
            binding(
                name="{case}-6",
                matchResources={"objectSelector": {"matchLabels": {"other": "1"}}},
                paramRef={"name": "one", "namespace": "default", "parameterNotFoundAction": "Deny"},
            ),
        ],
        [
            create("a", {"n": "c"}),
            create("b", {"n": "YQ=="}),
            create("c", {"n": "Yg=="}),
            create("d", {"n": "x"}, labels={"gone": "1"}),
            create("e", {"n": "x"}, labels={"noref": "1"}),
            create("f", {"n": "x"}, labels={"other": "1"}),
        ],
    )
    yield Case(
        "params-cluster",
        [
            policy(
                {
                    **valid("object.metadata.name == params.metadata.name"),
                    "paramKind": {"apiVersion": "v1", "kind": "Namespace"},
                }
            ),
            binding(paramRef={"name": "{case}", "parameterNotFoundAction": "Deny"}),
            policy({**valid("true"), "paramKind": {"apiVersion": "v1", "kind": "Namespace"}}, name="{case}-2"),
            binding(
                name="{case}-2",
                matchResources={"objectSelector": {"matchLabels": {"ns": "1"}}},
                paramRef={"name": "{case}", "namespace": "default", "parameterNotFoundAction": "Deny"},
            ),
        ],
        [create("{case}"), create("b"), create("{case}", labels={"ns": "1"}, query="?dryRun=All")],
    )
    yield Case(
        "params-unknown",
        [
            policy({**valid("true"), "paramKind": {"apiVersion": "rules.example.com/v1", "kind": "Nothing"}}),
            binding(paramRef={"name": "x", "parameterNotFoundAction": "Allow"}),
        ],
        [create("a")],
    )
    yield Case(
        "params-unknown-ignored",
        [
            policy(
                {
                    **valid("true"),
                    "failurePolicy": "Ignore",
                    "paramKind": {"apiVersion": "rules.example.com/v1", "kind": "Nothing"},
                }
            ),
            binding(paramRef={"name": "x", "parameterNotFoundAction": "Allow"}),
        ],
        [create("a")],
    )
    yield Case(
        "exclude",
        [
            policy(
                valid("false"),
                [rule(operations="*")],
                match={
                    "excludeResourceRules": [rule(operations="CREATE", resourceNames=["a"]), rule(operations="DELETE")]
                },
            ),
            binding(),
        ],
        [create("a"), create("b"), put("a", {"a": "1"}), delete("a")],
    )
    yield Case(
        "names",
        [policy(valid("false"), [rule(resourceNames=["a", "b"])]), binding()],
        [create("a"), create("c"), make(CM, {"metadata": {"generateName": "gen-"}})],
    )
    yield Case(
        "wildcards",
        [policy(valid("false"), [rule("*", "*", "*", "*")]), binding()],
        [create("a"), make("/apis/coordination.k8s.io/v1/namespaces/{case}/leases", {"metadata": {"name": "a"}})],
    )
    yield Case("scope-cluster", [policy(valid("false"), [rule(scope="Cluster")]), binding()], [create("a")])
    yield Case("scope-namespaced", [policy(valid("false"), [rule(scope="Namespaced")]), binding()], [create("a")])
    yield Case(
        "object-selector",
        [
            policy(
                valid("false"),
                [rule(operations="*")],
                match={"objectSelector": {"matchExpressions": [{"key": "x", "operator": "In", "values": ["1", "2"]}]}},
            ),
            binding(),
        ],
        [
            create("a"),
            create("b", labels={"x": "1"}),
            merge("a", {"metadata": {"labels": {"x": "2"}}}),
            merge("a", {"data": {"a": "1"}}),
            delete("a"),
        ],
    )
    yield Case(
        "delete",
        [
            policy(
                {
                    "validations": [
                        {"expression": "object == null && oldObject.metadata.name != 'keep'", "message": "kept"},
                        {"expression": "request.operation == 'DELETE' && request.name == oldObject.metadata.name"},
                    ]
                },
                [rule(operations="DELETE")],
            ),
            binding(),
        ],
        [
            create("keep"),
            create("b"),
            delete("keep"),
            delete("b", {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}),
            create("c"),
            Exchange("", "DELETE", CM + "/c?dryRun=All"),
        ],
    )
    yield Case(
        "delete-collection",
        [
            policy(
                {
                    "validations": [
                        {
                            "expression": "oldObject.metadata.name != 'keep'",
                            "messageExpression": "'kept ' + (has(request.name) ? request.name : 'unnamed')",
                        }
                    ]
                },
                [rule(operations="DELETE")],
            ),
            binding(),
        ],
        [
            create("a"),
            Exchange("", "DELETE", CM + "?fieldSelector=metadata.name%3Da"),
            create("keep"),
            Exchange("", "DELETE", CM + "?fieldSelector=metadata.name%3Dkeep"),
        ],
    )
    yield Case(
        "update-only",
        [
            policy(
                {
                    "validations": [
                        {"expression": "object.data.a == oldObject.data.a", "message": "a is fixed"},
                        {
                            "expression": "oldObject.metadata.uid == object.metadata.uid && has(object.metadata.resourceVersion)"
                        },
                    ]
                },
                [rule(operations="UPDATE")],
            ),
            binding(),
        ],
        [
            create("a", {"a": "1"}),
            put("a", {"a": "1", "b": "2"}),
            put("a", {"a": "2"}),
            merge("a", {"data": {"a": None}}),
        ],
    )
    yield truths(
        "request",
        "request.operation == 'CREATE'",
        "request.name == 'a'",
        "request.namespace == '{case}'",
        "request.kind.kind == 'ConfigMap' && request.kind.version == 'v1' && request.kind.group == ''",
        "request.resource.resource == 'configmaps'",
        "request.requestKind == request.kind",
        "request.requestResource == request.resource",
        "!has(request.subResource)",
        "!has(request.requestSubResource)",
        "'system:masters' in request.userInfo.groups",
        "request.userInfo.username != ''",
        "!has(request.userInfo.extra)",
        "request.dryRun == false",
        "request.options.kind == 'CreateOptions'",
        "request.options.apiVersion == 'meta.k8s.io/v1'",
        "!has(request.options.dryRun)",
        "!has(request.options.fieldManager)",
        "oldObject == null",
        "has(object.metadata.uid)",
        "has(object.metadata.creationTimestamp)",
        "object.apiVersion == 'v1' && object.kind == 'ConfigMap'",
        "has(object.metadata.managedFields)",
        "object.metadata.namespace == '{case}'",
        "!has(object.metadata.resourceVersion)",
        "request.subResource == ''",
        "object.nope == 1",
        "object.data.a == 1",
        "type(object.data) == map",
        "dyn(1) + 'a' == ''",
        "object.metadata.?labels[?'x'].orValue('') == 'y'",
    )
    yield truths(
        "options",
        "request.options.fieldManager == 'me' && request.options.fieldValidation == 'Strict'",
        "request.dryRun && request.options.dryRun == ['All']",
        write=create("a", {"a": "1"}, "?dryRun=All&fieldManager=me&fieldValidation=Strict"),
    )
    yield truths(
        "generate-name",
        "!has(request.name)",
        "has(object.metadata.name) && object.metadata.name.startsWith('gen-')",
        "request.name == ''",
        write=make(CM + "?dryRun=All", {"metadata": {"generateName": "gen-"}}),
    )
    yield truths(
        "namespace-object",
        "namespaceObject.metadata.name == '{case}'",
        "namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == '{case}'",
        "namespaceObject.spec.finalizers == ['kubernetes']",
        "namespaceObject.status.phase == 'Active'",
        "has(namespaceObject.metadata.resourceVersion)",
        "!has(namespaceObject.metadata.deletionTimestamp)",
        "namespaceObject.metadata.creationTimestamp < timestamp('2000-01-01T00:00:00Z')",
        "!has(namespaceObject.metadata.annotations)",
        "namespaceObject.metadata.generation == 0",
    )
    yield truths(
        "authorizer",
        "authorizer.group('').resource('configmaps').namespace('{case}').check('create').allowed()",
        "authorizer.requestResource.check('create').allowed()",
        "authorizer.path('/healthz').check('get').allowed()",
        "authorizer.group('').resource('').check('get').allowed()",
        "authorizer.path(' ').check('get').allowed()",
        "authorizer.serviceAccount('A', 'b').group('').resource('x').check('get').allowed()",
        "authorizer.serviceAccount('a', 'B!').group('').resource('x').check('get').allowed()",
        "authorizer.group('apps').resource('deployments').subresource('scale').namespace('x').name('y').check('update').errored()",
        "authorizer.requestResource.check('get').error() == ''",
        "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=x').labelSelector('a=b').check('list').allowed()",
        "authorizer.requestResource.check('a').allowed() && authorizer.requestResource.check('b').allowed() && authorizer.requestResource.check('c').allowed()",
    )
    yield truths(
        "libraries",
        "quantity('1Gi').isGreaterThan(quantity('1G'))",
        "isQuantity('x')",
        "url('https://a.b:80/c?d=e').getHost() == 'a.b:80'",
        "ip('10.0.0.1').family() == 4",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3')",
        "semver('1.2.3').isLessThan(semver('1.10.0'))",
        "'abc'.find('b+') == 'b'",
        "'a,b'.split(',').size() == 2",
        "[1, 2, 3].sum() == 6",
        "sets.contains([1, 2], [1])",
        "!format.dns1123Label().validate('a-b').hasValue()",
        "{'a': 1}.exists(k, v, k == 'a' && v == 1)",
        "[3, 1, 2].sort() == [1, 2, 3]",
        "optional.none().orValue(1) == 1",
        "'%s-%d'.format(['a', 1]) == 'a-1'",
        "[1, 2].transformList(i, v, i + v) == [1, 3]",
        "duration('1h').getHours() == 1",
        "timestamp('2024-01-01T00:00:00Z').getFullYear() == 2024",
        "'a'.charAt(0) == 'a'",
        "[[1], [2]].flatten() == [1, 2]",
        "lists.range(3) == [0, 1, 2]",
        "[1, 2, 2].distinct() == [1, 2]",
        "'abc'.substring(1) == 'bc'",
        "strings.quote('a') == '\"a\"'",
        "isSemver('v1.2', true)",
        "semver('v1.2', true).major() == 1",
        "ip.isCanonical('::1')",
        "cidr('::1/128').masked().prefixLength() == 128",
        "[1, 2, 3].slice(1, 2) == [2]",
        "['b', 'a'].sortBy(x, x) == ['a', 'b']",
        "[1,2].first().value() == 1",
        "[2, 1].last().hasValue()",
    )
    yield Case(
        "costly",
        [policy(valid("lists.range(1000).all(x, lists.range(1000).all(y, y >= 0))")), binding()],
        [create("a")],
    )
    yield Case(
        "budget",
        [policy(valid(*["lists.range(400).all(x, lists.range(500).all(y, y >= 0))"] * 16)), binding()],
        [create("a")],
    )
    yield Case(
        "events",
        [
            policy(
                valid(
                    "object.kind == 'Event' && request.kind.group == 'events.k8s.io' && request.requestKind.group == '' && has(object.regarding)"
                ),
                [rule("events", groups="events.k8s.io")],
            ),
            binding(),
        ],
        [
            make(
                "/api/v1/namespaces/{case}/events",
                {"metadata": {"name": "a"}, "involvedObject": {"namespace": "{case}"}},
            )
        ],
    )
    yield Case(
        "events-exact",
        [policy(valid("false"), [rule("events", groups="events.k8s.io")], match={"matchPolicy": "Exact"}), binding()],
        [
            make(
                "/api/v1/namespaces/{case}/events",
                {"metadata": {"name": "a"}, "involvedObject": {"namespace": "{case}"}},
            )
        ],
    )
    yield Case(
        "status",
        [
            policy(
                {
                    "validations": [
                        {"expression": "request.subResource == 'status' && request.kind.kind == 'Deployment'"},
                        {"expression": "object.status.replicas < 3", "message": "too many"},
                    ]
                },
                [rule("deployments/status", groups="apps")],
            ),
            binding(),
        ],
        [
            make("/apis/apps/v1/namespaces/{case}/deployments", DEPLOYMENT),
            Exchange(
                "", "PATCH", "/apis/apps/v1/namespaces/{case}/deployments/d/status", {"status": {"replicas": 5}}, MERGE
            ),
            Exchange(
                "", "PATCH", "/apis/apps/v1/namespaces/{case}/deployments/d/status", {"status": {"replicas": 2}}, MERGE
            ),
        ],
    )
    yield Case(
        "namespace-itself",
        [
            policy(
                {
                    "validations": [
                        {"expression": "namespaceObject == null"},
                        {"expression": "request.namespace == request.name"},
                        {"expression": "!has(object.metadata.annotations)", "message": "plain"},
                    ]
                },
                [rule("namespaces")],
            ),
            binding(),
        ],
        [
            Exchange("", "PATCH", "/api/v1/namespaces/{case}", {"metadata": {"labels": {"a": "b"}}}, MERGE),
            Exchange("", "PATCH", "/api/v1/namespaces/{case}", {"metadata": {"annotations": {"a": "b"}}}, MERGE),
        ],
    )
    yield Case(
        "reviews",
        [
            policy(
                valid("false"),
                [rule("*", "*", "*", "*")],
                match={"namespaceSelector": {}, "objectSelector": {"matchLabels": {"reviews": "{case}"}}},
            ),
            binding(),
        ],
        [
            make(
                "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
            ),
            make(CM, cm("a", labels={"reviews": "{case}"})),
        ],
    )


DEPLOYMENT: Object = {
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}


def invalid() -> Iterator[Exchange]:
    """Registrations that are judged themselves; dry runs, so that they judge nothing. Each yields a row."""
    specs: list[Object] = [
        {},
        valid("object.x"),
        valid("true"),
        valid("nope"),
        valid("1 +"),
        valid(""),
        valid("  "),
        {"validations": [{"expression": "true", "message": "a\nb"}]},
        {"validations": [{"expression": "true", "message": " "}]},
        {"validations": [{"expression": "true", "reason": "Foo"}]},
        {"validations": [{"expression": "true", "messageExpression": "1"}]},
        {"validations": [{"expression": "true", "messageExpression": " "}]},
        {"validations": [{"expression": "true", "messageExpression": "authorizer.path('/').check('get').reason()"}]},
        valid("params.a == 1"),
        valid("params.a == 1", paramKind={"apiVersion": "v1", "kind": "ConfigMap"}),
        valid("true", paramKind={}),
        valid("true", paramKind={"apiVersion": "a/b/c", "kind": "X"}),
        valid("true", paramKind={"apiVersion": "A!/v1", "kind": "X y"}),
        valid("true", paramKind={"apiVersion": "a/1", "kind": "x"}),
        valid("true", failurePolicy="Maybe"),
        valid("true", matchConditions=[{"name": "", "expression": ""}]),
        valid(
            "true",
            matchConditions=[
                {"name": "a", "expression": "1"},
                {"name": "a", "expression": "true"},
                {"name": "a b", "expression": "x"},
            ],
        ),
        valid(
            "true",
            matchConditions=[{"name": "a", "expression": "variables.x"}],
            variables=[{"name": "x", "expression": "true"}],
        ),
        valid("variables.x", variables=[{"name": "x", "expression": "true"}]),
        valid("variables.y", variables=[{"name": "x", "expression": "true"}]),
        valid(
            "true",
            variables=[
                {"name": "1x", "expression": "true"},
                {"name": "if", "expression": "true"},
                {"name": "", "expression": ""},
            ],
        ),
        valid(
            "variables.b == 1", variables=[{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}]
        ),
        {
            "auditAnnotations": [
                {"key": "", "valueExpression": ""},
                {"key": "a b", "valueExpression": "'x'"},
                {"key": "k", "valueExpression": "1"},
                {"key": "k", "valueExpression": "null"},
            ]
        },
        {"auditAnnotations": [{"key": f"k{n}", "valueExpression": "'x'"} for n in range(21)]},
        {"auditAnnotations": [{"key": "k", "valueExpression": "'" + "x" * 5200 + "'"}]},
        valid("Object{}.x == 1"),
        valid("jsonpatch.escapeKey('a') == 'a'"),
        valid("authorizer.requestResource.check('a').allowed()"),
        valid("authorizer.nope"),
        valid("request.userInfo.nope"),
        valid("namespaceObject.metadata.nope"),
        valid("request.name"),
        valid("object.a.b(1)"),
        valid("string(1) == 1"),
        valid("[1, 'a'].size() == 1"),
        valid("duration('x') == duration('1s')"),
        valid("'a'.matches('[')"),
    ]
    for number, spec in enumerate(specs):
        yield policy(spec, name=f"p{number}")._replace(id=f"policy {number}")
    rules: list[Object] = [
        {},
        rule(operations="FOO"),
        rule(operations="*,CREATE"),
        rule(groups="*,a"),
        rule(versions="*,v1"),
        rule(versions=","),
        rule("*,pods"),
        rule("*/*,pods"),
        rule("pods/*,pods/status"),
        rule("*/status,pods/status"),
        rule(""),
        rule("pods,"),
        rule(scope="Some"),
        rule(resourceNames=["a", "a", "a/b", ".."]),
        rule("pods/status"),
    ]
    for number, given in enumerate(rules):
        yield policy(valid("true"), [given], name=f"r{number}")._replace(id=f"rule {number}")
    matches: list[Object] = [
        {"resourceRules": []},
        {"matchPolicy": "Some"},
        {"namespaceSelector": {"matchLabels": {"a b": "c"}}},
        {"objectSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}},
        {"excludeResourceRules": [{}]},
    ]
    for number, given in enumerate(matches):
        yield policy(valid("true"), name=f"m{number}", match=given)._replace(id=f"match {number}")
    bindings: list[tuple[str, Object]] = [
        ("Deny", {}),
        ("Deny,Warn", {}),
        ("Deny,Deny", {}),
        ("Foo", {}),
        ("Deny", {"policyName": ""}),
        ("Deny", {"policyName": "A b"}),
        ("Deny", {"paramRef": {}}),
        ("Deny", {"paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Deny"}}),
        ("Deny", {"paramRef": {"name": "a/b", "parameterNotFoundAction": "x"}}),
        ("Deny", {"paramRef": {"selector": {"matchLabels": {"a b": "c"}}, "parameterNotFoundAction": "Allow"}}),
        ("Deny", {"matchResources": {"resourceRules": [{}]}}),
        ("Deny", {"matchResources": {}}),
        ("Deny", {"validationActions": []}),
    ]
    for number, (actions, spec) in enumerate(bindings):
        yield binding(name=f"b{number}", actions=actions, **spec)._replace(id=f"binding {number}")


def registrations() -> list[Exchange]:
    return [e._replace(url=e.url + "?dryRun=All") for e in invalid()]


def cases() -> list[Case]:
    return list(validating())


__all__ = ["JSON", "Case", "cases", "registrations"]
