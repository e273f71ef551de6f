"""Whether a policy, a binding or a webhook is about a write: selectors, rules, the same objects in other versions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kcpshard.admission.subject import NAMESPACES, Subject
from kcpshard.api.errors import ApiError
from kcpshard.definitions.checks import is_empty_selector, is_selected
from kcpshard.definitions.contract import Resource

Rule = Mapping[str, Any]


def matched_resource(subject: Subject, match: Mapping[str, Any]) -> Resource | None:
    """The version of the resource in which matchConstraints or matchResources take the write; None if they do not.
    Raises NotFound if a namespace selector asks for a namespace that is not there."""
    missing = None
    try:
        if not takes_namespace(subject, match.get("namespaceSelector")):
            return None
    except ApiError as error:
        missing = error
    if not takes_object(subject, match.get("objectSelector")):
        return None
    is_exact = match.get("matchPolicy") == "Exact"
    if _by_named_rules(subject, match.get("excludeResourceRules") or (), is_exact) is not None:
        return None
    rules = match.get("resourceRules") or ()
    found = _by_named_rules(subject, rules, is_exact) if rules else subject.resource
    if found is not None and missing is not None:
        raise missing
    return found


def takes_namespace(subject: Subject, selector: Mapping[str, Any] | None) -> bool:
    if not selector or is_empty_selector(dict(selector)):
        return True
    if not subject.namespace and subject.resource.plural != NAMESPACES:
        return True
    return bool(is_selected(dict(selector), subject.namespace_labels()))


def takes_object(subject: Subject, selector: Mapping[str, Any] | None) -> bool:
    if not selector or is_empty_selector(dict(selector)):
        return True
    return any(is_selected(dict(selector), labels) for labels in subject.labels())


def resource_by_rules(subject: Subject, rules: Sequence[Rule], is_exact: bool) -> Resource | None:
    """The version of the resource that one of a webhook's rules names."""
    if any(takes(rule, subject, subject.resource) for rule in rules):
        return subject.resource
    if is_exact:
        return None
    return next((r for rule in rules for r in subject.equivalents if takes(rule, subject, r)), None)


def _by_named_rules(subject: Subject, rules: Sequence[Rule], is_exact: bool) -> Resource | None:
    if any(takes(rule, subject, subject.resource) and _takes_name(rule, subject) for rule in rules):
        return subject.resource
    if is_exact:
        return None
    for rule in rules:
        for resource in subject.equivalents:
            if takes(rule, subject, resource) and _takes_name(rule, subject):
                return resource
    return None


def _takes_name(rule: Rule, subject: Subject) -> bool:
    names = rule.get("resourceNames")
    return not names or subject.name in names


def takes(rule: Rule, subject: Subject, resource: Resource) -> bool:
    """A rule, without its resourceNames, over the write as if it came through `resource`."""
    return (
        _is_in_scope(rule.get("scope") or "*", subject)
        and _names(rule.get("operations") or (), subject.attributes.operation)
        and _names(rule.get("apiGroups") or (), resource.group)
        and _names(rule.get("apiVersions") or (), resource.version)
        and any(
            _takes_resource(name, resource.plural, subject.attributes.subresource)
            for name in rule.get("resources") or ()
        )
    )


def _is_in_scope(scope: str, subject: Subject) -> bool:
    if scope == "*":
        return True
    is_namespaced = not subject.is_namespace and bool(subject.namespace)
    return is_namespaced is (scope == "Namespaced")


def _names(values: Iterable[str], wanted: str) -> bool:
    return any(value in ("*", wanted) for value in values)


def _takes_resource(name: str, plural: str, subresource: str) -> bool:
    resource, _, sub = name.partition("/")
    return resource in ("*", plural) and sub in ("*", subresource)
