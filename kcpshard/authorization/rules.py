"""One PolicyRule: what it allows, what it covers, how it is written. Pure.

`*` stands for everything in verbs, groups and resources, `*/sub` for one subresource of every resource, and a URL that
ends in `*` for everything that begins with it. A rule with names does not allow what has no name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.authorization.attributes import Attributes, quoted

ALL = "*"


class Rule(NamedTuple):
    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def allows_type(self, wanted: Attributes) -> bool:
        """Whether the rule speaks of the verb and the resource type; its names are left to the caller."""
        verbs, groups = self.verbs, self.groups
        if wanted.verb not in verbs and ALL not in verbs:
            return False
        if wanted.group not in groups and ALL not in groups:
            return False
        resources, subresource = self.resources, wanted.subresource
        if ALL in resources:
            return True
        if not subresource:
            return wanted.resource in resources
        return f"{wanted.resource}/{subresource}" in resources or f"*/{subresource}" in resources

    def allows_path(self, verb: str, path: str) -> bool:
        return (verb in self.verbs or ALL in self.verbs) and any(url_covers(url, path) for url in self.urls)


def url_covers(url: str, path: str) -> bool:
    return url == path or (url.endswith(ALL) and path.startswith(url.rstrip(ALL)))


def read_rule(raw: Mapping[str, Any]) -> Rule:
    """Of a stored, validated role."""
    members = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    return Rule(*(tuple(raw.get(member) or ()) for member in members))


EVERYTHING = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), urls=(ALL,)))


# --- escalation: whether some rules cover others


def missing(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted`, one verb, resource and name each, that no rule of `owned` covers alone."""
    return [part for rule in wanted for part in parts(rule) if not any(covers(owner, part) for owner in owned)]


def parts(rule: Rule) -> Iterator[Rule]:
    for group in rule.groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                if not rule.names:
                    yield Rule((verb,), (group,), (resource,))
                for name in rule.names:
                    yield Rule((verb,), (group,), (resource,), (name,))
    for url in rule.urls:
        for verb in rule.verbs:
            yield Rule((verb,), urls=(url,))


def covers(owner: Rule, part: Rule) -> bool:
    """`part` is one of `parts`."""
    if part.verbs[0] not in owner.verbs and ALL not in owner.verbs:
        return False
    if part.urls:
        return any(url_covers(url, part.urls[0]) for url in owner.urls)
    if part.groups[0] not in owner.groups and ALL not in owner.groups:
        return False
    if owner.names and (not part.names or part.names[0] not in owner.names):
        return False
    return _covers_resource(owner.resources, part.resources[0])


def _covers_resource(owned: Sequence[str], resource: str) -> bool:
    if ALL in owned or resource in owned:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in owned


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Parts that differ only in their verb put together."""
    simple: dict[Rule, list[str]] = {}
    found: list[Rule] = []
    for rule in rules:
        if rule.urls:
            found.append(rule)
        else:
            simple.setdefault(rule._replace(verbs=()), []).extend(rule.verbs)
    return found + [rule._replace(verbs=tuple(verbs)) for rule, verbs in simple.items()]


def shown(rule: Rule) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`."""
    members = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.urls),
        ("ResourceNames", rule.names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{shown_strings(values)}" for name, values in members if values) + "}"


def shown_strings(values: Iterable[str]) -> str:
    """As Go's %q shows a slice."""
    return "[" + " ".join(map(quoted, values)) + "]"
