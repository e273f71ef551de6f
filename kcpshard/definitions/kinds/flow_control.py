"""FlowSchema and PriorityLevelConfiguration."""

import math
from collections.abc import Iterator, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.pod_defaults import fill
from kcpshard.definitions.strategies import Rules

Faults = Iterator[FieldError]
FLOW = "flowcontrol.apiserver.k8s.io"
_MAX_PRECEDENCE = 10_000
_MAX_QUEUES = 10_000_000
_HASH_BITS = 60  # of what a flow's hand is dealt from
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_SHARES = "must be a non-negative integer"
_PERCENT = "must be between 0 and 100, inclusive"


def _default_flow(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def _flow(obj: Object) -> Faults:
    spec, path = obj.get("spec") or {}, "spec.matchingPrecedence"
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        yield invalid(path, precedence, "must be a positive value")
    if precedence > _MAX_PRECEDENCE:
        yield invalid(path, precedence, f"must not be greater than {_MAX_PRECEDENCE}")
    if precedence == 1 and obj["metadata"].get("name") != "exempt":
        yield invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    if (method := spec.get("distinguisherMethod")) is not None:
        kinds = ("ByNamespace", "ByUser")
        yield from checks.supported("spec.distinguisherMethod.type", method.get("type", ""), kinds)
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    if not level:
        yield required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        yield from checks.dns_subdomain("spec.priorityLevelConfiguration.name", level)
    for place, rule in enumerate(spec.get("rules") or ()):
        yield from _rule_faults(rule, f"spec.rules[{place}]")


def _rule_faults(rule: Object, path: str) -> Faults:
    if not rule.get("subjects"):
        yield required(f"{path}.subjects", "subjects must contain at least one value")
    for place, subject in enumerate(rule.get("subjects") or ()):
        yield from _subject_faults(subject, f"{path}.subjects[{place}]")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        yield required(path, text)
    for place, given in enumerate(rule.get("resourceRules") or ()):
        yield from _resource_faults(given, f"{path}.resourceRules[{place}]")
    for place, given in enumerate(rule.get("nonResourceRules") or ()):
        yield from _url_faults(given, f"{path}.nonResourceRules[{place}]")


def _subject_faults(subject: Object, path: str) -> Faults:
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        yield checks.unsupported(f"{path}.kind", kind, tuple(_SUBJECTS))
        return
    own = _SUBJECTS[kind]
    if subject.get(own) is None:
        yield required(f"{path}.{own}", f"{own} is required when subject kind is '{kind}'")
    elif own == "serviceAccount":
        yield from _account_faults(subject[own], f"{path}.{own}")
    else:
        yield from checks.present(subject[own], f"{path}.{own}", "name")
    for other, member in _SUBJECTS.items():
        if member != own and subject.get(member) is not None:
            yield forbidden(f"{path}.{member}", f"{member} is forbidden when subject kind is not '{other}'")


def _account_faults(account: Object, path: str) -> Faults:
    name, namespace = account.get("name", ""), account.get("namespace", "")
    if not name:
        yield required(f"{path}.name")
    elif name != "*":
        yield from checks.dns_subdomain(f"{path}.name", name)
    if not namespace:
        yield required(f"{path}.namespace", "must specify namespace for service account")
    else:
        yield from checks.dns_label(f"{path}.namespace", namespace)


def _alone(path: str, values: Sequence[str], word: str) -> Faults:
    """A wildcard says all that the others could."""
    if "*" in values and len(values) > 1:
        yield invalid(path, values, f"if '*' is present, must not specify other {word}")


def _verb_faults(rule: Object, path: str) -> Faults:
    verbs = rule.get("verbs") or ()
    if not verbs:
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    yield from _alone(f"{path}.verbs", verbs, "verbs")
    if "*" not in verbs and not set(verbs) <= set(_VERBS):
        shown = invalid("", verbs, "").detail.removeprefix("Invalid value: ").removesuffix(": ")
        listed = ", ".join(f'"{verb}"' for verb in _VERBS)
        text = f"Unsupported value: {shown}: supported values: {listed}"
        yield FieldError(f"{path}.verbs", "FieldValueNotSupported", text)


def _resource_faults(rule: Object, path: str) -> Faults:
    yield from _verb_faults(rule, path)
    for member, one, several in (
        ("apiGroups", "api group", "api groups"), ("resources", "resource", "resources"),
    ):  # fmt: skip
        given = rule.get(member) or ()
        if not given:
            yield required(f"{path}.{member}", f"resource rules must supply at least one {one}")
        yield from _alone(f"{path}.{member}", given, several)
    namespaces = rule.get("namespaces") or ()
    if not namespaces and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        yield required(f"{path}.namespaces", text)
    yield from _alone(f"{path}.namespaces", namespaces, "namespaces")
    for place, name in enumerate(namespaces if "*" not in namespaces else ()):
        for fault in checks.dns_label(f"{path}.namespaces[{place}]", name):
            shown, _, text = fault.detail.rpartition(f'"{name}": ')
            intro = "each member of this list must be '*' or a DNS-1123 label; "
            yield fault._replace(detail=f'{shown}"{name}": {intro}{text}')


def _url_faults(rule: Object, path: str) -> Faults:
    yield from _verb_faults(rule, path)
    urls = rule.get("nonResourceURLs") or ()
    if not urls:
        yield required(f"{path}.nonResourceURLs", "nonResourceURLs must contain at least one value")
    yield from _alone(f"{path}.nonResourceURLs", urls, "non-resource URLs")
    for place, url in enumerate(urls if "*" not in urls else ()):
        if fault := _url_fault(url):
            yield invalid(f"{path}.nonResourceURLs[{place}]", url, fault)


def _url_fault(url: str) -> str:
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    stars = url.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not url.endswith("/*")) else ""


def _conditions(new: Object, old: Object) -> Faults:
    seen: set[str] = set()
    for place, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        path, kind = f"status.conditions[{place}].type", condition.get("type", "")
        if kind in seen:
            yield duplicate(path, kind)
        seen.add(kind)
        if not kind:
            yield required(path)


# --- priority levels


def _default_level(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if (exempt := spec.get("exempt")) is not None:
        fill(exempt, nominalConcurrencyShares=0, lendablePercent=0)
    if (limited := spec.get("limited")) is not None:
        fill(limited, nominalConcurrencyShares=30, lendablePercent=0)
        if (queuing := (limited.get("limitResponse") or {}).get("queuing")) is not None:
            for member, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
                queuing[member] = queuing.get(member) or value


def _level(obj: Object) -> Faults:
    spec, kind = obj.get("spec") or {}, (obj.get("spec") or {}).get("type", "")
    if (obj["metadata"].get("name") == "exempt") != (kind == "Exempt"):
        yield invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    yield from checks.one_supported("spec.type", kind, ("Exempt", "Limited"))
    exempt, limited = spec.get("exempt"), spec.get("limited")
    if kind == "Exempt":
        if limited is not None:
            yield forbidden("spec.limited", "must be nil if the type is not Limited")
        yield from _share_faults(exempt or {}, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            yield forbidden("spec.exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required("spec.limited", "must not be empty when type is Limited")
        else:
            yield from _limited_faults(limited, "spec.limited")


def _share_faults(given: Object, path: str) -> Faults:
    shares, percent = given.get("nominalConcurrencyShares"), given.get("lendablePercent")
    if shares is not None and shares < 0:
        yield invalid(f"{path}.nominalConcurrencyShares", shares, _SHARES)
    if percent is not None and not 0 <= percent <= 100:
        yield invalid(f"{path}.lendablePercent", percent, _PERCENT)


def _limited_faults(limited: Object, path: str) -> Faults:
    yield from _share_faults(limited, path)
    borrowed = limited.get("borrowingLimitPercent")
    if borrowed is not None and borrowed < 0:
        yield invalid(f"{path}.borrowingLimitPercent", borrowed, "if specified, must be a non-negative integer")
    response, here = limited.get("limitResponse") or {}, f"{path}.limitResponse"
    kind, queuing = response.get("type", ""), response.get("queuing")
    yield from checks.one_supported(f"{here}.type", kind, ("Queue", "Reject"))
    if kind == "Queue" and queuing is None:
        yield required(f"{here}.queuing", "must not be empty if limited.limitResponse.type is Limited")
    if kind == "Reject" and queuing is not None:
        yield forbidden(f"{here}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    if kind == "Queue" and queuing is not None:
        yield from _queue_faults(queuing, f"{here}.queuing")


def _queue_faults(queuing: Object, path: str) -> Faults:
    for member in ("queueLengthLimit", "queues", "handSize"):
        if queuing.get(member, 0) <= 0:
            yield invalid(f"{path}.{member}", queuing.get(member, 0), "must be positive")
    queues, hand = queuing.get("queues", 0), queuing.get("handSize", 0)
    if queues > _MAX_QUEUES:
        yield invalid(f"{path}.queues", queues, f"must not be greater than {_MAX_QUEUES}")
    if hand > 0 and hand > queues:
        yield invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})")
    elif hand > 0 and _entropy_bits(queues, hand) > _HASH_BITS:
        text = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {_HASH_BITS}"
        yield invalid(f"{path}.handSize", hand, text)


def _entropy_bits(queues: int, hand: int) -> int:
    """How many bits choose a hand: log2 of queues · (queues - 1) · …"""
    return math.ceil(math.log2(queues) * hand)


ROWS = {
    (FLOW, "FlowSchema"): Rules(
        default=(_default_flow,),
        validate=(_flow,),
        validate_subresource={"status": (_conditions,)},
        generation=True,
        status_alone=True,
    ),
    (FLOW, "PriorityLevelConfiguration"): Rules(
        default=(_default_level,),
        validate=(_level,),
        validate_subresource={"status": (_conditions,)},
        generation=True,
        status_alone=True,
    ),
}
