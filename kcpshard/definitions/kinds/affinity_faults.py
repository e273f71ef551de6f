"""Validation of where a pod may run: affinity, tolerations, spreading; and of node selectors (also of volumes)."""

from collections.abc import Iterator, Mapping, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.api.selectors import label_value_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object

Faults = Iterator[FieldError]
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED, _PREFERRED = (f"{w}DuringSchedulingIgnoredDuringExecution" for w in ("required", "preferred"))


def affinity_faults(affinity: Object, path: str) -> Faults:
    node = affinity.get("nodeAffinity") or {}
    if (wanted := node.get(_REQUIRED)) is not None:
        yield from node_selector_faults(wanted, f"{path}.nodeAffinity.{_REQUIRED}")
    for place, term in enumerate(node.get(_PREFERRED) or ()):
        here = f"{path}.nodeAffinity.{_PREFERRED}[{place}]"
        yield from _weight_faults(term, here)
        yield from _term_faults(term.get("preference") or {}, f"{here}.preference", judge_values=False)
    for member in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(member) or {}
        for place, term in enumerate(rules.get(_REQUIRED) or ()):
            yield from _pod_term_faults(term, f"{path}.{member}.{_REQUIRED}[{place}]")
        for place, term in enumerate(rules.get(_PREFERRED) or ()):
            here = f"{path}.{member}.{_PREFERRED}[{place}]"
            yield from _weight_faults(term, here)
            yield from _pod_term_faults(term.get("podAffinityTerm") or {}, f"{here}.podAffinityTerm")


def _weight_faults(term: Object, path: str) -> Faults:
    if not 1 <= term.get("weight", 0) <= 100:
        yield invalid(f"{path}.weight", term.get("weight", 0), "must be in the range 1-100")


def node_selector_faults(selector: Object, path: str) -> Faults:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for place, term in enumerate(terms):
        yield from _term_faults(term, f"{path}.nodeSelectorTerms[{place}]", judge_values=True)


def _term_faults(term: Object, path: str, *, judge_values: bool) -> Faults:
    for place, expression in enumerate(term.get("matchExpressions") or ()):
        yield from _requirement_faults(expression, f"{path}.matchExpressions[{place}]", judge_values)
    for place, expression in enumerate(term.get("matchFields") or ()):
        yield from _field_faults(expression, f"{path}.matchFields[{place}]")


def _requirement_faults(expression: Object, path: str, judge_values: bool) -> Faults:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    yield from checks.qualified_name(f"{path}.key", expression.get("key", ""))
    for place, value in enumerate(values if judge_values else ()):
        yield from (invalid(f"{path}.values[{place}]", value, text) for text in label_value_faults(value))


def _field_faults(expression: Object, path: str) -> Faults:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator not in ("In", "NotIn"):
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{path}.values", text)
    if expression.get("key") != "metadata.name":
        yield invalid(f"{path}.key", expression.get("key", ""), "not a valid field selector key")
    else:
        for place, value in enumerate(values):
            yield from checks.dns_subdomain(f"{path}.values[{place}]", value)


def _pod_term_faults(term: Object, path: str) -> Faults:
    yield from checks.selector(f"{path}.labelSelector", term.get("labelSelector"))
    yield from checks.selector(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    for name in term.get("namespaces") or ():
        yield from checks.dns_label(f"{path}.namespace", name)
    yield from _label_keys_faults(term, path)
    key = term.get("topologyKey", "")
    if not key:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from checks.qualified_name(f"{path}.topologyKey", key)


def _label_keys_faults(term: Object, path: str) -> Faults:
    selector = term.get("labelSelector")
    for member in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = term.get(member) or ()
        if keys and selector is None:
            yield forbidden(f"{path}.{member}", "must not be specified when labelSelector is not set")
        for place, key in enumerate(keys if selector is not None else ()):
            yield from checks.qualified_name(f"{path}.{member}[{place}]", key)
    matching, differing = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or ()
    if selector is not None:
        yield from _selected_twice(matching, selector, path)
    for place, key in enumerate(matching):
        if key in differing:
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid(f"{path}.matchLabelKeys[{place}]", key, text)


def _selected_twice(keys: Sequence[str], selector: Object, path: str) -> Faults:
    """By the selector itself and once more by what was made of the keys, which comes last."""
    seen = set(selector.get("matchLabels") or ())
    for expression in selector.get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in keys and key in seen:
            place = len(keys) - 1 - list(reversed(keys)).index(key)
            yield invalid(f"{path}[{place}]", key, "exists in both matchLabelKeys and labelSelector")
        seen.add(key)


def select_by_label_keys(spec: Object, labels: Mapping[str, str]) -> None:
    """Of a new pod: let its selectors say what `matchLabelKeys` and `mismatchLabelKeys` mean for its own labels."""
    affinity = spec.get("affinity") or {}
    for member in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(member) or {}
        for term in rules.get(_REQUIRED) or ():
            _select(term, labels)
        for term in rules.get(_PREFERRED) or ():
            _select(term.get("podAffinityTerm") or {}, labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        _select(constraint, labels)


def _select(term: Object, labels: Mapping[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    added = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for member, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(member) or ()
        if key in labels
    ]
    if added:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]


def toleration_faults(tolerations: Sequence[Object], path: str) -> Faults:
    for place, toleration in enumerate(tolerations):
        here, key, operator = f"{path}[{place}]", toleration.get("key", ""), toleration.get("operator", "")
        value, effect = toleration.get("value", ""), toleration.get("effect", "")
        if key:
            yield from checks.qualified_name(f"{here}.key", key)
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid(f"{here}.operator", operator, text)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid(f"{here}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator in ("Equal", ""):
            if faults := label_value_faults(value):
                yield invalid(f"{here}.operator", value, ";".join(faults))
        elif operator == "Exists":
            if value:
                yield invalid(f"{here}.operator", value, "value must be empty when `operator` is 'Exists'")
        else:
            yield from checks.one_supported(f"{here}.operator", operator, ("Equal", "Exists"))
        if effect:
            yield from checks.one_supported(f"{here}.effect", effect, EFFECTS)


def spread_faults(constraints: Sequence[Object], path: str) -> Faults:
    named = [(constraint.get("topologyKey", ""), constraint["whenUnsatisfiable"]) for constraint in constraints]
    for place, constraint in enumerate(constraints):
        here, key, action = f"{path}[{place}]", constraint.get("topologyKey", ""), constraint["whenUnsatisfiable"]
        if constraint.get("maxSkew", 0) <= 0:
            yield invalid(f"{here}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero")
        if not key:
            yield required(f"{here}.topologyKey", "can not be empty")
        yield from checks.supported(f"{here}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        if (key, action) in named[place + 1 :]:
            yield duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        least = constraint.get("minDomains")
        if least is not None and least <= 0:
            yield invalid(f"{here}.minDomains", least, "must be greater than zero")
        if least is not None and action != "DoNotSchedule":
            text = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"
            yield invalid(f"{here}.minDomains", least, text)
        for member in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(member) is not None:
                yield from checks.supported(f"{here}.{member}", constraint[member], ("Honor", "Ignore"))
        yield from _label_keys_faults(constraint, here)
        yield from checks.selector(f"{here}.labelSelector", constraint.get("labelSelector"))
