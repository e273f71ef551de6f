"""An audit.k8s.io/v1 Policy → how far a request is recorded, compiled once. Decides only; the first fitting rule wins.

What depends on who asks and for which type of thing is decided once for each such pair; what is left for a request is
to compare namespace and name, mostly with nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kcpfront.request_info import RequestInfo
from kcpshard.api.requests import Identity, decode_identity

NONE, METADATA, REQUEST, REQUEST_RESPONSE = range(4)
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
RECEIVED, STARTED, COMPLETE, PANIC = "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"
STAGES = (RECEIVED, STARTED, COMPLETE, PANIC)

_MAX_PREPARED = 8192  # when full all are forgotten: one is prepared in some ten microseconds
_VERSION = "audit.k8s.io/v1"
_POLICY_MEMBERS = {"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"}
_RULE_MEMBERS = {
    "level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages",
    "omitManagedFields",
}  # fmt: skip
_RESOURCE_MEMBERS = {"group", "resources", "resourceNames"}


class PolicyError(Exception):
    """The policy cannot be used; the text names file and place."""


class Outcome(NamedTuple):
    """How far one request is recorded."""

    level: int
    omitted: frozenset[str] = frozenset()  # stages
    omit_managed_fields: bool = False


NOTHING = Outcome(NONE)


class _Rule(NamedTuple):
    outcome: Outcome
    users: frozenset[str]
    groups: frozenset[str]
    verbs: frozenset[str]
    namespaces: frozenset[str]
    resources: Sequence[tuple[str, Sequence[str], frozenset[str]]]  # group, resources, names
    paths: Sequence[str]


class _Left(NamedTuple):
    """What of a rule is still to be compared. None: nothing."""

    outcome: Outcome
    namespaces: frozenset[str] | None
    names: Sequence[frozenset[str]] | None  # any of them


class Policy:
    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._rules = rules
        self._prepared: dict[tuple[bytes, str, str, str, str], Sequence[_Left]] = {}

    def decide(self, identity: bytes, info: RequestInfo) -> Outcome:
        """`identity` as in Request.identity; empty: nobody was authenticated."""
        resource = info.resource
        # A path is an arbitrary text: it is no key, but compared rule by rule.
        key = (identity, info.verb, info.group, resource, info.subresource.partition("/")[0])
        if not resource:
            return self._of_path(identity, info)
        left = self._prepared.get(key)
        if left is None:
            left = self._prepare(key)
        for outcome, namespaces, names in left:
            if namespaces is not None and info.namespace not in namespaces:
                continue
            if names is None or any(info.name in each for each in names):
                return outcome
        return NOTHING

    def _prepare(self, key: tuple[bytes, str, str, str, str]) -> Sequence[_Left]:
        identity, verb, group, resource, subresource = key
        user = decode_identity(identity) if identity else None
        left = []
        for rule in self._rules:
            if not _is_about(rule, user, verb) or (rule.paths and not rule.resources and not rule.namespaces):
                continue
            names: list[frozenset[str]] | None = None
            if rule.resources:
                fitting = [n for g, r, n in rule.resources if g == group and _names_resource(r, resource, subresource)]
                if not fitting:
                    continue
                names = fitting if all(fitting) else None
            left.append(_Left(rule.outcome, rule.namespaces or None, names))
            if names is None and not rule.namespaces:
                break  # nothing gets past it
        if len(self._prepared) >= _MAX_PREPARED:
            self._prepared.clear()
        self._prepared[key] = left
        return left

    def _of_path(self, identity: bytes, info: RequestInfo) -> Outcome:
        user = decode_identity(identity) if identity else None
        for rule in self._rules:
            if rule.resources or rule.namespaces or not _is_about(rule, user, info.verb):
                continue
            if not rule.paths or any(_is_path(info.path, each) for each in rule.paths):
                return rule.outcome
        return NOTHING


def _is_about(rule: _Rule, user: Identity | None, verb: str) -> bool:
    if rule.users and (user is None or user.username not in rule.users):
        return False
    if rule.groups and (user is None or rule.groups.isdisjoint(user.groups)):
        return False
    return not rule.verbs or verb in rule.verbs


def _names_resource(patterns: Sequence[str], resource: str, subresource: str) -> bool:
    if not patterns:
        return True
    combined = f"{resource}/{subresource}" if subresource else resource
    wanted = {combined, "*", f"{resource}/*"}
    if subresource:
        wanted.add(f"*/{subresource}")
    return not wanted.isdisjoint(patterns)


def _is_path(path: str, pattern: str) -> bool:
    return path.startswith(pattern.rstrip("*")) if pattern.endswith("*") else path == pattern


# --- reading


def read_policy(path: Path) -> Policy:
    """Raises PolicyError."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise PolicyError(f"{path}: cannot be read as a policy: {fault}") from None
    try:
        return compile_policy(document)
    except PolicyError as fault:
        raise PolicyError(f"{path}: {fault}") from None


def compile_policy(document: Any) -> Policy:
    """Raises PolicyError. What is not understood is refused: a policy with a slip of the pen would not record."""
    is_policy = isinstance(document, dict) and document.get("kind") == "Policy"
    if not is_policy or document.get("apiVersion") != _VERSION:
        raise PolicyError(f"is no Policy of {_VERSION}")
    _known(document, _POLICY_MEMBERS, "")
    rules = _list(document, "rules", "", dict)
    if not rules:
        raise PolicyError("has no rules: nothing would be recorded")
    omitted = _stages(document, "")
    default = _boolean(document, "omitManagedFields", "", False)
    return Policy([_rule(rule, f"rules[{place}].", omitted, default) for place, rule in enumerate(rules)])


def _rule(rule: Mapping[str, Any], where: str, omitted: frozenset[str], omit_managed_fields: bool) -> _Rule:
    _known(rule, _RULE_MEMBERS, where)
    level = rule.get("level")
    if level not in LEVELS:
        raise PolicyError(f"{where}level: {level!r} is none of {', '.join(LEVELS)}")
    resources = [
        _resource(each, f"{where}resources[{place}].")
        for place, each in enumerate(_list(rule, "resources", where, dict))
    ]
    names = _strings(rule, where)
    namespaces, paths = names("namespaces"), names("nonResourceURLs")
    if paths and (resources or namespaces):
        raise PolicyError(f"{where}nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs")
    for path in paths:
        if path != "*" and not path.startswith("/"):
            raise PolicyError(f"{where}nonResourceURLs: {path!r} does not begin with '/'")
        if "*" in path[:-1]:
            raise PolicyError(f"{where}nonResourceURLs: {path!r} has a '*' that is not its last character")
    outcome = Outcome(
        LEVELS.index(level),
        omitted | _stages(rule, where),
        _boolean(rule, "omitManagedFields", where, omit_managed_fields),
    )
    sets = [frozenset(names(member)) for member in ("users", "userGroups", "verbs")]
    return _Rule(outcome, sets[0], sets[1], sets[2], frozenset(namespaces), resources, paths)


def _resource(each: Mapping[str, Any], where: str) -> tuple[str, Sequence[str], frozenset[str]]:
    _known(each, _RESOURCE_MEMBERS, where)
    group = each.get("group") or ""
    names = _strings(each, where)
    resources, chosen = names("resources"), names("resourceNames")
    if not isinstance(group, str) or "/" in group:
        raise PolicyError(f"{where}group: {group!r} is no name of a group; it must not have a version")
    if chosen and not resources:
        raise PolicyError(f"{where}resourceNames: using resourceNames requires at least one resource")
    return group, resources, frozenset(chosen)


def _strings(holder: Mapping[str, Any], where: str) -> Callable[[str], list[str]]:
    return lambda member: _list(holder, member, where, str)


def _stages(holder: Mapping[str, Any], where: str) -> frozenset[str]:
    stages = _list(holder, "omitStages", where, str)
    for stage in stages:
        if stage not in STAGES:
            raise PolicyError(f"{where}omitStages: {stage!r} is none of {', '.join(STAGES)}")
    return frozenset(stages)


def _list(holder: Mapping[str, Any], member: str, where: str, of: type) -> list[Any]:
    found = holder.get(member)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, of) for each in found):
        raise PolicyError(f"{where}{member}: is no list of {'names' if of is str else 'objects'}")
    return found


def _boolean(holder: Mapping[str, Any], member: str, where: str, default: bool) -> bool:
    found = holder.get(member)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise PolicyError(f"{where}{member}: is neither true nor false")
    return found


def _known(holder: Mapping[str, Any], members: set[str], where: str) -> None:
    for member in holder:
        if member not in members:
            raise PolicyError(f"{where}{member}: unknown field")
