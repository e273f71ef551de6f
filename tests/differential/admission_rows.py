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
        [policy(valid("false"), [rule("*", "*", "*", "*", scope="Namespaced")]), binding()],
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


def mutating_policy(
    *mutations: str, name: str = "{case}", rules: list[Object] | None = None, match: Object | None = None, **more: Any
) -> Exchange:
    """Expressions that begin with a bracket are JSON patches."""
    made = [
        {"patchType": "JSONPatch", "jsonPatch": {"expression": m}}
        if m.lstrip().startswith("[")
        else {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": m}}
        for m in mutations
    ]
    return policy({"reinvocationPolicy": "Never", "mutations": made, **more}, rules, "Mutating", name, match)


def mutation(
    name: str, *mutations: str, writes: list[Exchange] | None = None, rules: list[Object] | None = None, **more: Any
) -> Case:
    judged = writes or [create("a", {"a": "1"}), put("a", {"a": "2"}), merge("a", {"data": {"b": "3"}})]
    return Case(f"mutation-{name}", [mutating_policy(*mutations, rules=rules, **more), binding("Mutating")], judged)


def mutating() -> Iterator[Case]:
    yield mutation("apply", "Object{data: {'added': object.metadata.name}}")
    yield mutation(
        "apply-labels",
        "Object{metadata: Object.metadata{labels: {'x': 'y'}, annotations: {'n': string(size(object.data))}}}",
    )
    yield mutation("apply-several", "Object{data: {'one': '1'}}", "Object{data: {'two': object.data.one}}")
    yield mutation("apply-unknown", "Object{nothing: 'x'}")
    yield mutation("apply-type", "Object{data: 'x'}")
    yield mutation("apply-names", "Object{metadata: Object.spec{labels: {'x': 'y'}}}")
    yield mutation("apply-names-inside", "Object{data: {'x': Object.data{y: 'z'}}}")
    yield mutation("apply-optional", "Object{data: {?'x': object.?data[?'gone'], ?'y': object.?data[?'a']}}")
    yield mutation("apply-null", "Object{data: {'a': dyn(null)}}")
    yield mutation("apply-fault", "Object{data: {'x': string(object.data.gone)}}")
    yield mutation("apply-ignored", "Object{data: {'x': string(object.data.gone)}}", failurePolicy="Ignore")
    yield mutation(
        "apply-variables",
        "Object{data: {'x': variables.v}}",
        variables=[{"name": "v", "expression": "'v' + object.metadata.name"}],
    )
    yield mutation(
        "patch",
        "[JSONPatch{op: 'add', path: '/data/x', value: 'y'}, JSONPatch{op: 'test', path: '/data/x', value: 'y'}, JSONPatch{op: 'copy', from: '/data/x', path: '/data/z'}]",
    )
    yield mutation(
        "patch-escape",
        "[JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}, JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('a.b/c'), value: 'y'}]",
    )
    yield mutation(
        "patch-test",
        "[JSONPatch{op: 'test', path: '/data/a', value: '1'}, JSONPatch{op: 'add', path: '/data/x', value: 'y'}]",
    )
    yield mutation("patch-missing", "[JSONPatch{op: 'replace', path: '/data/gone/more', value: 'y'}]")
    yield mutation("patch-remove", "[JSONPatch{op: 'remove', path: '/data/gone'}]")
    yield mutation("patch-op", "[JSONPatch{op: 'jump', path: '/data/a'}]")
    yield mutation("patch-type", "[JSONPatch{op: 'add', path: '/data', value: 'x'}]")
    yield mutation("patch-unknown", "[JSONPatch{op: 'add', path: '/nothing', value: 'x'}]")
    yield mutation("patch-value", "[JSONPatch{op: 'add', path: '/data', value: Object.data{a: 'b'}}]")
    yield mutation("patch-number", "[JSONPatch{op: 'add', path: '/data/a', value: 1}]")
    yield mutation("patch-quantity", "[JSONPatch{op: 'add', path: '/data/a', value: quantity('1')}]")
    yield mutation("patch-empty", "[]")
    yield mutation(
        "generate-name",
        "[JSONPatch{op: 'add', path: '/data', value: {'named': string(has(object.metadata.name)) + string(has(request.name)) + string(has(object.metadata.uid))}}]",
        writes=[make(CM + "?dryRun=All", {"metadata": {"generateName": "gen-"}})],
    )
    yield mutation(
        "create-object",
        "Object{data: {'uid': string(has(object.metadata.uid)), 'made': string(has(object.metadata.creationTimestamp)), 'managed': string(has(object.metadata.managedFields)), 'ns': string(object.metadata.namespace)}}",
        writes=[create("a", {})],
    )
    yield Case(
        "mutation-conditions",
        [
            mutating_policy(
                "Object{data: {'x': 'y'}}",
                matchConditions=[
                    {"name": "n", "expression": "object.metadata.name != 'skip'"},
                    {"name": "d", "expression": "object.data.a == '1'"},
                ],
            ),
            binding("Mutating"),
        ],
        [create("a", {"a": "1"}), create("skip"), create("b"), create("c", {"a": "2"})],
    )
    yield Case(
        "mutation-params",
        [
            make(
                "/api/v1/namespaces/{case}/secrets",
                {"metadata": {"name": "one", "labels": {"p": "1"}}, "data": {"k": "YQ=="}},
            ),
            make(
                "/api/v1/namespaces/{case}/secrets",
                {"metadata": {"name": "two", "labels": {"p": "1"}}, "data": {"k": "Yg=="}},
            ),
            mutating_policy(
                "Object{data: {string(params.metadata.name): string(params.data.k)}}",
                paramKind={"apiVersion": "v1", "kind": "Secret"},
            ),
            binding("Mutating", paramRef={"selector": {}, "parameterNotFoundAction": "Deny"}),
        ],
        [create("a", {"a": "1"})],
    )
    yield Case(
        "mutation-params-none",
        [
            mutating_policy("Object{data: {'x': 'y'}}", paramKind={"apiVersion": "v1", "kind": "Secret"}),
            binding("Mutating", paramRef={"name": "gone", "parameterNotFoundAction": "Deny"}),
        ],
        [create("a", {"a": "1"})],
    )
    yield Case(
        "mutation-then-validation",
        [
            mutating_policy("Object{data: {'x': 'y'}}"),
            binding("Mutating"),
            policy(valid("object.data.x == 'y'")),
            binding(),
        ],
        [create("a", {"a": "1"}), create("b", {"x": "n"})],
    )
    yield Case(
        "mutation-invalid",
        [mutating_policy("Object{data: {'not a key': 'y'}}"), binding("Mutating")],
        [create("a", {"a": "1"})],
    )
    yield Case(
        "mutation-apply-write",
        [mutating_policy("Object{data: {'x': 'y'}}"), binding("Mutating")],
        [
            Exchange(
                "",
                "PATCH",
                f"{CM}/new?fieldManager=m",
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": "9"}},
                APPLY,
            ),
            Exchange(
                "",
                "PATCH",
                f"{CM}/new?fieldManager=m",
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"b": "9"}},
                APPLY,
            ),
        ],
    )
    yield Case(
        "mutation-reinvocation",
        [
            mutating_policy(
                "Object{data: {'seen': string(has(object.data.second))}}",
                name="{case}-1",
                reinvocationPolicy="IfNeeded",
            ),
            binding("Mutating", "{case}-1"),
            mutating_policy("Object{data: {'second': 'yes'}}", name="{case}-2"),
            binding("Mutating", "{case}-2"),
        ],
        [create("a", {"a": "1"})],
    )
    yield Case(
        "mutation-deployment",
        [
            mutating_policy(
                "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: 'c', env: [Object.spec.template.spec.containers.env{name: 'A', value: 'B'}]}]}}}}",
                rules=[rule("deployments", groups="apps")],
                name="{case}-1",
            ),
            binding("Mutating", "{case}-1"),
            mutating_policy(
                "Object{spec: Object.spec{replicas: 3}}", rules=[rule("deployments", groups="apps")], name="{case}-2"
            ),
            binding("Mutating", "{case}-2"),
        ],
        [make("/apis/apps/v1/namespaces/{case}/deployments", DEPLOYMENT)],
    )
    yield Case(
        "mutation-atomic",
        [
            mutating_policy(
                "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: 'c', args: ['x']}]}}}}",
                rules=[rule("deployments", groups="apps")],
            ),
            binding("Mutating"),
        ],
        [make("/apis/apps/v1/namespaces/{case}/deployments", DEPLOYMENT)],
    )
    yield Case(
        "mutation-pod",
        [
            mutating_policy(
                "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{name: 'side', image: 'x', restartPolicy: 'Always'}]}}",
                "[JSONPatch{op: 'add', path: '/metadata/labels', value: {'tolerations': string(size(object.spec.tolerations))}}]",
                rules=[rule("pods")],
            ),
            binding("Mutating"),
        ],
        [
            make("/api/v1/namespaces/{case}/serviceaccounts", {"metadata": {"name": "default"}}),
            make(
                "/api/v1/namespaces/{case}/pods",
                {
                    "metadata": {"name": "p"},
                    "spec": {"automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]},
                },
            ),
        ],
    )
    yield Case(
        "mutation-event",
        [
            mutating_policy(
                "Object{note: 'changed ' + string(object.note)}", rules=[rule("events", groups="events.k8s.io")]
            ),
            binding("Mutating"),
        ],
        [
            make(
                "/api/v1/namespaces/{case}/events",
                {"metadata": {"name": "a"}, "message": "m", "involvedObject": {"namespace": "{case}"}},
            )
        ],
    )


def hook(behaviour: str, name: str = "one", **more: Any) -> Object:
    config = {"url": "{hook}/{case}/" + f"{behaviour}/{name}", "caBundle": "{bundle}"}
    return {
        "name": f"{name}.hooks.example.com",
        "clientConfig": config,
        "rules": [rule()],
        "namespaceSelector": HERE,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }


def hooks(kind: str, *given: Object, name: str = "{case}") -> Exchange:
    return make(
        f"{G}/{kind.lower()}webhookconfigurations",
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": list(given),
        },
    )


def webhooks() -> Iterator[Case]:
    one = [create("a", {"a": "1"})]
    three = [create("a", {"a": "1"}), put("a", {"a": "2"}), merge("a", {"data": {"b": "3"}})]
    for kind in ("Validating", "Mutating"):
        word = "v" if kind == "Validating" else "m"
        for behaviour in ("allow", "deny", "message", "reason", "code", "success", "warn", "warn-deny", "annotate"):
            yield Case(f"hook-{word}-{behaviour}", [hooks(kind, hook(behaviour))], three)
        for behaviour in ("error", "gone", "absent", "uid", "version", "no-type", "no-patch", "add"):
            yield Case(f"hook-{word}-fail-{behaviour}", [hooks(kind, hook(behaviour))], one)
            yield Case(f"hook-{word}-pass-{behaviour}", [hooks(kind, hook(behaviour, failurePolicy="Ignore"))], one)
        yield Case(
            f"hook-{word}-beta",
            [
                hooks(
                    kind,
                    hook("allow", admissionReviewVersions=["v1beta1", "v1"]),
                    hook("uid", "two", admissionReviewVersions=["v3", "v1beta1"]),
                )
            ],
            one,
        )
        yield Case(
            f"hook-{word}-two", [hooks(kind, hook("allow"), hook("message", "two"), hook("allow", "three"))], one
        )
        yield Case(
            f"hook-{word}-delete",
            [hooks(kind, hook("deny-delete", rules=[rule(operations="*")]))],
            [
                create("keep"),
                create("b"),
                delete("keep"),
                delete("b"),
                create("c"),
                Exchange("", "DELETE", CM + "/c?dryRun=All"),
                Exchange("", "DELETE", CM + "?fieldSelector=metadata.name%3Dc"),
                Exchange("", "DELETE", CM + "?fieldSelector=metadata.name%3Dkeep"),
            ],
        )
        yield Case(
            f"hook-{word}-echo",
            [hooks(kind, hook("echo", rules=[rule(operations="CREATE")]))],
            [
                create("a", {"a": "1"}, "?dryRun=All&fieldManager=me"),
                create("a", {"a": "1"}, labels={"x": "y"}),
                make(CM, {"metadata": {"generateName": "gen-"}}),
                Exchange(
                    "",
                    "PATCH",
                    f"{CM}/new?fieldManager=m",
                    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": "9"}},
                    APPLY,
                ),
            ],
        )
        yield Case(
            f"hook-{word}-echo-update",
            [hooks(kind, hook("echo", rules=[rule(operations="UPDATE,DELETE")]))],
            [
                create("a", {"a": "1"}),
                put("a", {"a": "2"}),
                merge("a", {"data": {"b": "3"}}, "?fieldManager=me"),
                delete("a"),
                delete(
                    "a",
                    {
                        "apiVersion": "v1",
                        "kind": "DeleteOptions",
                        "propagationPolicy": "Orphan",
                        "gracePeriodSeconds": 0,
                    },
                ),
                Exchange("", "DELETE", CM),
            ],
        )
        yield Case(
            f"hook-{word}-conditions",
            [
                hooks(
                    kind,
                    hook(
                        "deny",
                        matchConditions=[
                            {"name": "a", "expression": "object.metadata.name != 'skip'"},
                            {"name": "b", "expression": "object.data.a == '1'"},
                        ],
                    ),
                )
            ],
            [create("a", {"a": "1"}), create("skip"), create("b"), create("c", {"a": "2"})],
        )
        yield Case(
            f"hook-{word}-conditions-ignore",
            [
                hooks(
                    kind,
                    hook(
                        "deny",
                        failurePolicy="Ignore",
                        matchConditions=[{"name": "b", "expression": "object.data.a == '1'"}],
                    ),
                )
            ],
            [create("a", {"a": "1"}), create("b")],
        )
        yield Case(
            f"hook-{word}-selector",
            [hooks(kind, hook("deny", objectSelector={"matchLabels": {"x": "y"}}))],
            [create("a"), create("b", labels={"x": "y"}), merge("a", {"metadata": {"labels": {"x": "y"}}})],
        )
        yield Case(
            f"hook-{word}-events",
            [hooks(kind, hook("echo", rules=[rule("events", groups="events.k8s.io")]))],
            [
                make(
                    "/api/v1/namespaces/{case}/events",
                    {"metadata": {"name": "a"}, "involvedObject": {"namespace": "{case}"}},
                )
            ],
        )
        yield Case(
            f"hook-{word}-exact",
            [hooks(kind, hook("echo", rules=[rule("events", groups="events.k8s.io")], matchPolicy="Exact"))],
            [
                make(
                    "/api/v1/namespaces/{case}/events",
                    {"metadata": {"name": "a"}, "involvedObject": {"namespace": "{case}"}},
                )
            ],
        )
        yield Case(
            f"hook-{word}-status",
            [hooks(kind, hook("echo", rules=[rule("deployments/status", groups="apps")]))],
            [
                make("/apis/apps/v1/namespaces/{case}/deployments", DEPLOYMENT),
                Exchange(
                    "",
                    "PATCH",
                    "/apis/apps/v1/namespaces/{case}/deployments/d/status",
                    {"status": {"replicas": 5}},
                    MERGE,
                ),
            ],
        )
        yield Case(
            f"hook-{word}-unreachable",
            [hooks(kind, hook("allow", clientConfig={"url": "https://localhost:1/x", "caBundle": "{bundle}"}))],
            one,
        )
        yield Case(
            f"hook-{word}-open",
            [
                hooks(
                    kind,
                    hook(
                        "allow",
                        failurePolicy="Ignore",
                        clientConfig={"url": "https://localhost:1/x", "caBundle": "{bundle}"},
                    ),
                )
            ],
            one,
        )
        yield Case(f"hook-{word}-slow", [hooks(kind, hook("hang", timeoutSeconds=1))], one)
        yield Case(
            f"hook-{word}-untrusted",
            [hooks(kind, hook("allow", clientConfig={"url": "{hook}/{case}/allow/one"}, failurePolicy="Ignore"))],
            one,
        )
        yield Case(
            f"hook-{word}-invalid-object",
            [hooks(kind, hook("allow"))],
            [create("Not a name"), create("a", {"not a key": "x"}), create("ok", {"a": "1"}), create("ok", {"a": "1"})],
        )
    for behaviour in (
        "add",
        "add-invalid",
        "add-number",
        "add-unknown",
        "add-missing",
        "test",
        "nothing",
        "label",
        "undecodable",
        "other-type",
    ):
        yield Case(f"hook-patch-{behaviour}", [hooks("Mutating", hook(behaviour))], three)
    yield Case("hook-patch-undecodable-pass", [hooks("Mutating", hook("undecodable", failurePolicy="Ignore"))], one)
    yield Case("hook-patch-other-pass", [hooks("Mutating", hook("other-type", failurePolicy="Ignore"))], one)
    yield Case(
        "hook-patch-delete",
        [hooks("Mutating", hook("add", rules=[rule(operations="DELETE")]))],
        [create("a"), delete("a")],
    )
    yield Case(
        "hook-order",
        [
            hooks("Mutating", hook("after-second"), name="{case}-b"),
            hooks("Mutating", hook("add-second", "two"), name="{case}-a"),
        ],
        one,
    )
    yield Case("hook-never", [hooks("Mutating", hook("after-second"), hook("add-second", "two"))], one)
    yield Case(
        "hook-if-needed",
        [
            hooks(
                "Mutating",
                hook("after-second", reinvocationPolicy="IfNeeded"),
                hook("add-second", "two"),
                hook("allow", "three", reinvocationPolicy="IfNeeded"),
            )
        ],
        one,
    )
    yield Case(
        "hook-if-needed-alone",
        [hooks("Mutating", hook("add", reinvocationPolicy="IfNeeded"), hook("allow", "two"))],
        one,
    )
    yield Case(
        "hook-selects-changed",
        [hooks("Mutating", hook("label"), hook("add", "two", objectSelector={"matchLabels": {"by": "hook"}}))],
        one,
    )
    yield Case(
        "hook-all",
        [
            mutating_policy("Object{data: {'policy': 'p'}}"),
            binding("Mutating"),
            hooks("Mutating", hook("add")),
            policy(valid("object.data.policy == 'p' && object.data.added == 'yes'", "object.metadata.name != 'no'")),
            binding(),
            hooks("Validating", hook("echo")),
        ],
        [create("a", {"a": "1"}), create("no", {"a": "1"})],
    )
    yield Case(
        "hook-policy-again",
        [
            mutating_policy("Object{data: {'seen': string(has(object.data.added))}}", reinvocationPolicy="IfNeeded"),
            binding("Mutating"),
            hooks("Mutating", hook("add")),
        ],
        one,
    )


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
    mutations: list[Object] = [
        {"mutations": []},
        {"reinvocationPolicy": "Often"},
        {"reinvocationPolicy": ""},
        {"mutations": [{}]},
        {"mutations": [{"patchType": "Other"}]},
        {"mutations": [{"patchType": "JSONPatch"}]},
        {"mutations": [{"patchType": "ApplyConfiguration", "jsonPatch": {"expression": "[]"}}]},
        {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": " "}, "applyConfiguration": {}}]},
        {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[1]"}}]},
        {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "Object{}"}}]},
        {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 1}]"}}]},
        {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{operation: 'add'}]"}}]},
        {"mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object.spec{}"}}]},
        {"mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "{'a': 'b'}"}}]},
        {"mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Other{}"}}]},
        {
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{data: nope}"}}
            ]
        },
        {"mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "object"}}]},
        {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "true ? [] : [JSONPatch{}]"}}]},
    ]
    for number, spec in enumerate(mutations):
        made = mutating_policy("[]", name=f"u{number}")
        yield made._replace(id=f"mutation {number}", body=_with_spec(made.body, spec))
    bad: list[Object] = [
        hook("x"),
        hook("x", name="one", sideEffects="Some"),
        hook("x", timeoutSeconds=0),
        hook("x", rules=[{}]),
        hook("x", clientConfig={}),
        hook("x", clientConfig={"url": "http://x"}),
        hook("x", clientConfig={"url": "https://u@x/?q#f"}),
        hook("x", clientConfig={"url": "/x"}),
        hook("x", clientConfig={"service": {"name": "", "namespace": "", "path": "a//b", "port": 0}}),
        hook("x", admissionReviewVersions=[]),
        hook("x", admissionReviewVersions=["v1", "v1", "X!"]),
        hook("x", admissionReviewVersions=["v3"]),
        hook("x", matchConditions=[{"name": "a", "expression": "params.x"}]),
        hook("x", matchConditions=[{"name": "a", "expression": "1"}]),
        hook("x", failurePolicy="Maybe"),
        hook("x", matchPolicy="Maybe"),
        {**hook("x"), "name": "a.b"},
        {**hook("x"), "name": ""},
        {**hook("x"), "name": "A.b.c"},
        {**hook("x"), "sideEffects": None},
        hook("x", objectSelector={"matchLabels": {"a b": "c"}}),
        hook("x", matchConditions=[{"name": f"n{n}", "expression": "true"} for n in range(65)]),
    ]
    for number, given in enumerate(bad):
        for kind in ("Validating", "Mutating"):
            yield hooks(kind, given, name=f"h{number}")._replace(id=f"hook {kind} {number}")
    yield hooks("Validating", hook("x"), hook("x"), name="twice")._replace(id="hook twice")
    yield hooks("Mutating", hook("x", reinvocationPolicy="Often"), name="often")._replace(id="hook often")
    yield mutating_policy("[]", name="delete", rules=[rule(operations="DELETE")])._replace(id="mutation delete")
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


def _with_spec(body: Object, spec: Object) -> Object:
    return {**body, "spec": {**body["spec"], **spec}}


def registrations() -> list[Exchange]:
    return [e._replace(url=e.url + "?dryRun=All") for e in invalid()]


def cases() -> list[Case]:
    return [*validating(), *mutating(), *webhooks()]


__all__ = ["JSON", "Case", "cases", "registrations"]
