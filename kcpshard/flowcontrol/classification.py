"""Which FlowSchema a request belongs to. Pure; as kube-apiserver matches them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_ACCOUNT = "system:serviceaccount:"

Rule = Mapping[str, Any]


class Digest(NamedTuple):
    """What FlowSchemas look at. `path` is of what is no resource; `resource` has its subresource behind a slash."""

    username: str
    groups: Sequence[str]
    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""


class Schema(NamedTuple):
    """Of one FlowSchema. In the order in which they are asked: the first that matches has the request."""

    precedence: int
    name: str
    uid: str
    level: str
    distinguisher: str  # "", ByUser, ByNamespace
    rules: Sequence[Rule]

    def matches(self, digest: Digest) -> bool:
        return any(_matches(rule, digest) for rule in self.rules)

    def flow_of(self, digest: Digest) -> str:
        """Requests that share it share their queues."""
        if self.distinguisher == "ByUser":
            return digest.username
        return digest.namespace if self.distinguisher == "ByNamespace" else ""


def schema_of(document: Mapping[str, Any]) -> Schema:
    """Of a FlowSchema as it is stored, so a valid one."""
    meta, spec = document["metadata"], document.get("spec") or {}
    return Schema(
        spec.get("matchingPrecedence", 1000),
        meta["name"],
        meta["uid"],
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        spec.get("rules") or (),
    )


def _matches(rule: Rule, digest: Digest) -> bool:
    if not any(_is_subject(subject, digest) for subject in rule.get("subjects") or ()):
        return False
    if digest.path:
        return any(_matches_path(each, digest) for each in rule.get("nonResourceRules") or ())
    return any(_matches_resource(each, digest) for each in rule.get("resourceRules") or ())


def _is_subject(subject: Rule, digest: Digest) -> bool:
    match subject.get("kind"):
        case "User":
            return (subject.get("user") or {}).get("name") in ("*", digest.username)
        case "Group":
            name = (subject.get("group") or {}).get("name")
            return name == "*" or name in digest.groups
        case "ServiceAccount":
            account = subject.get("serviceAccount") or {}
            prefix = f"{_ACCOUNT}{account.get('namespace')}:"
            name = account.get("name")
            return digest.username.startswith(prefix) if name == "*" else digest.username == f"{prefix}{name}"
    return False


def _matches_resource(rule: Rule, digest: Digest) -> bool:
    return (
        _has(rule, "verbs", digest.verb)
        and _has(rule, "resources", digest.resource)
        and _has(rule, "apiGroups", digest.group)
        and (_has(rule, "namespaces", digest.namespace) if digest.namespace else bool(rule.get("clusterScope")))
    )


def _matches_path(rule: Rule, digest: Digest) -> bool:
    if not _has(rule, "verbs", digest.verb):
        return False
    for path in rule.get("nonResourceURLs") or ():
        if path in ("*", digest.path) or digest.path.startswith(f"{path.removesuffix('*').removesuffix('/')}/"):
            return True
    return False


def _has(rule: Rule, member: str, wanted: str) -> bool:
    values = rule.get(member) or ()
    return wanted in values or "*" in values
