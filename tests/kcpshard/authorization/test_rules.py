import pytest

from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.rules import EVERYTHING, Rule, compact, missing, read_rule, shown, url_covers

PODS = Rule(("get", "list"), ("",), ("pods",))


@pytest.mark.parametrize(
    ("rule", "wanted", "allowed"),
    [
        pytest.param(PODS, Attributes("get", "", "", "pods"), True, id="named"),
        pytest.param(PODS, Attributes("get", "", "", "pods", "log"), False, id="not its subresource"),
        pytest.param(PODS, Attributes("get", "apps", "", "pods"), False, id="another group"),
        pytest.param(PODS, Attributes("watch", "", "", "pods"), False, id="another verb"),
        pytest.param(PODS._replace(resources=("*",)), Attributes("get", "", "", "pods", "log"), True, id="everything"),
        pytest.param(
            PODS._replace(resources=("*/log",)), Attributes("get", "", "", "pods", "log"), True, id="any's log"
        ),
        pytest.param(PODS._replace(resources=("*/log",)), Attributes("get", "", "", "pods"), False, id="only the log"),
        pytest.param(
            PODS._replace(resources=("pods/log",)), Attributes("get", "", "", "pods", "log"), True, id="its log"
        ),
        pytest.param(PODS._replace(verbs=("*",)), Attributes("frobnicate", "", "", "pods"), True, id="every verb"),
        pytest.param(PODS._replace(groups=("*",)), Attributes("get", "apps", "", "pods"), True, id="every group"),
    ],
)
def test_types(rule: Rule, wanted: Attributes, allowed: bool) -> None:
    assert rule.allows_type(wanted) is allowed


@pytest.mark.parametrize(
    ("url", "path", "covered"),
    [
        ("*", "/anything", True),
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/ping", False),
        ("/healthz/*", "/healthz/ping", True),
        ("/healthz/*", "/healthz", False),
        ("/api*", "/apis/apps", True),
        ("/a/*/b", "/a/x/b", False),
    ],
)
def test_paths(url: str, path: str, covered: bool) -> None:
    assert url_covers(url, path) is covered
    assert Rule(("get",), urls=(url,)).allows_path("get", path) is covered
    assert not Rule(("get",), urls=(url,)).allows_path("post", path)


@pytest.mark.parametrize(
    ("owned", "wanted", "left"),
    [
        pytest.param([PODS], PODS, [], id="the same"),
        pytest.param([PODS], PODS._replace(names=("a",)), [], id="one of them"),
        pytest.param([PODS._replace(names=("a",))], PODS, ["get", "list"], id="all when owning one"),
        pytest.param([Rule(("*",), ("*",), ("*",))], Rule(("*",), ("*",), ("*",)), [], id="everything"),
        pytest.param([PODS._replace(verbs=("get",)), PODS._replace(verbs=("list",))], PODS, [], id="from two rules"),
        pytest.param([PODS._replace(verbs=("get",))], PODS._replace(verbs=("*",)), ["*"], id="every verb"),
        pytest.param(
            [PODS._replace(resources=("*/log",))], PODS._replace(resources=("pods/log",)), [], id="any's subresource"
        ),
        pytest.param([Rule(("get",), urls=("/a/*",))], Rule(("get",), urls=("/a/b",)), [], id="a path"),
        pytest.param([Rule(("get",), urls=("/a/b",))], Rule(("get",), urls=("/a/*",)), ["get"], id="more paths"),
        pytest.param(list(EVERYTHING), Rule(("x",), urls=("/y",)), [], id="an administrator"),
    ],
)
def test_coverage(owned: list[Rule], wanted: Rule, left: list[str]) -> None:
    assert [part.verbs[0] for part in missing(owned, [wanted])] == left


def test_missing_rights_are_shown_together() -> None:
    parts = missing([], [PODS, Rule(("get",), urls=("/x",))])
    assert sorted(map(shown, compact(parts))) == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
    ]


def test_a_stored_rule_may_leave_things_out() -> None:
    assert read_rule({"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": None}) == Rule(("get",), urls=("/x",))
