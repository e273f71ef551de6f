"""ResourceQuota and LimitRange."""

from collections.abc import Iterator, Mapping, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required
from kcpshard.api.selectors import qualified_name_faults
from kcpshard.definitions.contract import Object
from kcpshard.definitions.quantities import Quantity, parse_quantity
from kcpshard.definitions.strategies import Rules

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_POD_COMPUTE = frozenset(
    {"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"}
)  # fmt: skip
_COUNTED = frozenset(
    {
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
_QUOTA = frozenset(
    {
        *_COUNTED, *_COMPUTE, *(f"requests.{n}" for n in _COMPUTE), *(f"limits.{n}" for n in _COMPUTE),
        "requests.storage",
    }
)  # fmt: skip
_STANDARD = _QUOTA | {"storage"}
_HUGEPAGES = ("hugepages-", "requests.hugepages-")
_UNKNOWN = "must be a standard resource type or fully qualified"


def _resource_name_faults(name: str, path: str) -> list[FieldError]:
    faults = [invalid(path, name, text) for text in qualified_name_faults(name)]
    if not faults and "/" not in name and name not in _STANDARD and not name.startswith(_HUGEPAGES):
        faults.append(invalid(path, name, _UNKNOWN))
    return faults


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    return not _is_native(name) and not name.startswith("requests.") and not qualified_name_faults(f"requests.{name}")


# --- ResourceQuota


def _quota_amounts(amounts: Mapping[str, str] | None, path: str) -> Iterator[FieldError]:
    for name, text in (amounts or {}).items():
        here = f"{path}[{name}]"
        yield from _resource_name_faults(name, here)
        if "/" not in name and name not in _QUOTA and not name.startswith(_HUGEPAGES):
            yield invalid(here, name, "must be a standard resource for quota")
        yield from _amount_faults(name, parse_quantity(text), here)


def _amount_faults(name: str, amount: Quantity, path: str) -> Iterator[FieldError]:
    if amount.value < 0:
        yield invalid(path, str(amount), "must be greater than or equal to 0")
    if amount.value.denominator != 1 and (name in _COUNTED or is_extended(name)):
        yield invalid(path, str(amount), "must be an integer")


_SCOPES = (
    "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)  # fmt: skip
_CONFLICTS = ({"Terminating", "NotTerminating"}, {"BestEffort", "NotBestEffort"})
_EXISTS_ONLY = frozenset(_SCOPES) - {"PriorityClass", "VolumeAttributesClass"}
_EXISTS_ONLY_TEXT = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def _is_standard(name: str) -> bool:
    return name in _QUOTA or name.startswith(_HUGEPAGES)


def _applies(scope: str, resource: str) -> bool:
    if scope == "VolumeAttributesClass":
        return resource in ("persistentvolumeclaims", "requests.storage") or resource.endswith("requests.storage")
    if scope == "BestEffort":
        return resource == "pods"
    return resource == "pods" or resource in _POD_COMPUTE


def _quota(obj: Object) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    yield from _quota_amounts(spec.get("hard"), "spec.hard")
    yield from _scope_faults(spec.get("scopes") or [], spec.get("hard") or {})
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    for expression in expressions:
        yield from _expression_faults(expression, spec.get("hard") or {})
    selected = {expression["scopeName"] for expression in expressions}
    yield from (invalid("spec.scopes", spec.get("scopes"), "conflicting scopes") for p in _CONFLICTS if p <= selected)


def _scope_faults(scopes: Sequence[str], hard: Mapping[str, str]) -> Iterator[FieldError]:
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid("spec.scopes", scopes, "unsupported scope")
        for name in hard:
            if _is_standard(name) and not _applies(scope, name):
                yield invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    for pair in _CONFLICTS:
        if pair <= set(scopes):
            yield invalid("spec.scopes", scopes, "conflicting scopes")


def _expression_faults(expression: Object, hard: Mapping[str, str]) -> Iterator[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    scope, operator, values = expression["scopeName"], expression["operator"], expression.get("values") or []
    if scope not in _SCOPES:
        yield invalid(f"{path}.scopeName", scope, "unsupported scope")
    if any(_is_standard(name) and not _applies(scope, name) for name in hard):
        yield invalid(path, [scope], "unsupported scope applied to resource")
    if scope in _EXISTS_ONLY and operator != "Exists":
        yield invalid(f"{path}.operator", operator, _EXISTS_ONLY_TEXT)
    if operator in ("In", "NotIn"):
        if not values:
            text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            yield required(f"{path}.values", text)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            yield invalid(f"{path}.values", values, text)
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")


def _quota_update(new: Object, old: Object) -> Iterator[FieldError]:
    given, had = ((o.get("spec") or {}).get("scopes") or [] for o in (new, old))
    if set(given) != set(had):
        yield invalid("spec.scopes", given, "field is immutable")


def _quota_status(new: Object, old: Object) -> Iterator[FieldError]:
    status = new.get("status") or {}
    yield from _quota_amounts(status.get("hard"), "status.hard")
    yield from _quota_amounts(status.get("used"), "status.used")


def _quota_warnings(obj: Object) -> Iterator[str]:
    hard: Mapping[str, str] = (obj.get("spec") or {}).get("hard") or {}
    for name in ("cpu", "memory", "ephemeral-storage"):
        limit = hard.get(f"limits.{name}")
        request = f"requests.{name}" if f"requests.{name}" in hard else name
        if limit is not None and request in hard and parse_quantity(hard[request]).value > parse_quantity(limit).value:
            yield f"ResourceQuota {request} ({hard[request]}) should be less than limits.{name} ({limit})"


# --- LimitRange

_AMOUNTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")


def _default_limits(obj: Object) -> None:
    """Of containers: the default limit is the maximum, the default request that limit or else the minimum."""
    for limit in (obj.get("spec") or {}).get("limits") or ():
        if limit.get("type") == "Container":
            default = {**(limit.get("max") or {}), **(limit.get("default") or {})}
            request = {**(limit.get("min") or {}), **default, **(limit.get("defaultRequest") or {})}
            limit |= {k: v for k, v in (("default", default), ("defaultRequest", request)) if v}


def _limit_range(obj: Object) -> Iterator[FieldError]:
    seen = set()
    for place, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{place}]", limit["type"]
        yield from _limit_type_faults(kind, f"{path}.type")
        if kind in seen:
            yield duplicate(f"{path}.type", kind)
        seen.add(kind)
        yield from _limit_faults(limit, kind, path)


def _limit_type_faults(kind: str, path: str) -> list[FieldError]:
    faults = [invalid(path, kind, text) for text in qualified_name_faults(kind)]
    if not faults and "/" not in kind and kind not in _LIMIT_TYPES:
        faults.append(invalid(path, kind, "must be a standard limit type or fully qualified"))
    return faults


def _limit_faults(limit: Object, kind: str, path: str) -> Iterator[FieldError]:
    amounts: dict[str, dict[str, Quantity]] = {}
    for member in _AMOUNTS:
        given = limit.get(member) or {}
        if kind == "Pod" and member in ("default", "defaultRequest"):
            if given:
                yield forbidden(f"{path}.{member}", "may not be specified when `type` is 'Pod'")
            continue
        if member == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim" and not _bounds_storage(limit):
            text = "either minimum or maximum storage value is required, but neither was provided"
            yield required(f"{path}.limits", text)
        for name, text in given.items():
            yield from _limited_name_faults(kind, name, f"{path}.{member}[{name}]")
            amounts.setdefault(name, {})[member] = parse_quantity(text)
    for name, found in amounts.items():
        yield from _amount_order_faults(found, name, path)


def _bounds_storage(limit: Object) -> bool:
    return "storage" in (limit.get("min") or {}) or "storage" in (limit.get("max") or {})


def _limited_name_faults(kind: str, name: str, path: str) -> Iterator[FieldError]:
    yield from _resource_name_faults(name, path)
    if kind in ("Pod", "Container"):
        if "/" not in name:
            if name not in _COMPUTE and not name.startswith("hugepages-"):
                yield invalid(path, name, "must be a standard resource for containers")
        elif not _is_native(name) and not is_extended(name):
            yield invalid(path, name, "doesn't follow extended resource name standard")


# (smaller, larger, whose path is named, whose value is shown, sentence): smaller must not exceed larger.
_ORDER = (
    ("min", "max", "min", "min", "min value {0} is greater than max value {1}"),
    (
        "min", "defaultRequest", "defaultRequest", "defaultRequest",
        "min value {0} is greater than default request value {1}",
    ),
    (
        "defaultRequest", "max", "defaultRequest", "defaultRequest",
        "default request value {0} is greater than max value {1}",
    ),
    (
        "defaultRequest", "default", "defaultRequest", "defaultRequest",
        "default request value {0} is greater than default limit value {1}",
    ),
    ("min", "default", "default", "min", "min value {0} is greater than default value {1}"),
    ("default", "max", "default", "max", "default value {0} is greater than max value {1}"),
)  # fmt: skip


def _amount_order_faults(found: Mapping[str, Quantity], name: str, path: str) -> Iterator[FieldError]:
    for smaller, larger, named, shown, text in _ORDER:
        if smaller in found and larger in found and found[smaller].value > found[larger].value:
            sentence = text.format(found[smaller], found[larger])
            yield invalid(f"{path}.{named}[{name}]", str(found[shown]), sentence)
    ratio = found.get("maxLimitRequestRatio")
    if ratio is None:
        return
    here = f"{path}.maxLimitRequestRatio[{name}]"
    if ratio.value < 1:
        yield invalid(here, str(ratio), f"ratio {ratio} is less than 1")
    if "min" in found and "max" in found and found["min"].value:
        bound = found["max"].value / found["min"].value
        if ratio.value > bound:
            yield invalid(here, str(ratio), f"ratio {ratio} is greater than max/min = {float(bound):f}")


def _name_range(obj: Object) -> None:
    """One without a name gets one that nobody else has."""
    if not obj["metadata"].get("name"):
        obj["metadata"]["name"] = obj["metadata"]["uid"]


ROWS = {
    ("", "ResourceQuota"): Rules(
        validate=(_quota,),
        validate_update=(_quota_update,),
        validate_subresource={"status": (_quota_status,)},
        warnings=_quota_warnings,
    ),
    ("", "LimitRange"): Rules(prepare_create=(_name_range,), default=(_default_limits,), validate=(_limit_range,)),
}
