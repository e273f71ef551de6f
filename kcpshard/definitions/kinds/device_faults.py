"""Validation of how devices are asked for: requests, constraints and configuration of claims, templates and classes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required, too_long, too_many
from kcpshard.api.selectors import label_value_faults
from kcpshard.cel import devices as environment
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.volume_sources import driver_name

Faults = Iterator[FieldError]
MAX_ITEMS = 32  # requests, selectors, constraints, configurations, results
TAINT_EFFECTS = ("NoExecute", "NoSchedule", "None")
_MAX_ALTERNATIVES = 8
_MAX_EXPRESSION = _MAX_PARAMETERS = 10 * 1024  # bytes
_MAX_IDENTIFIER = 32
_NO_SUCH_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
_ONE_FORM = "exactly one of `exactly` or `firstAvailable` is required"
_MODES = ("All", "ExactCount")
_IDENTIFIER_START = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"  # noqa: E501 - one sentence of the API
RequestNames = Mapping[str, frozenset[str]]  # of requests, with those of their alternatives


def device_claim_faults(devices: Object, path: str) -> Faults:
    """What a claim's spec asks for."""
    requests, names = devices.get("requests") or (), request_names(devices)
    yield from set_faults(f"{path}.requests", requests, _request_faults, lambda item: item.get("name", ""))
    yield from slice_faults(
        f"{path}.constraints", devices.get("constraints") or (), lambda here, c: _constraint_faults(here, c, names)
    )
    yield from slice_faults(
        f"{path}.config", devices.get("config") or (), lambda here, c: claim_configuration_faults(here, c, names)
    )


def request_names(devices: Object) -> RequestNames:
    return {
        request.get("name", ""): frozenset(part.get("name", "") for part in request.get("firstAvailable") or ())
        for request in devices.get("requests") or ()
    }


def slice_faults(
    path: str, items: Sequence[Any], check: Callable[[str, Any], Iterable[FieldError]], limit: int = MAX_ITEMS
) -> Faults:
    """Of a list that is looked into only if it is short enough."""
    if len(items) > limit:
        yield too_many(path, len(items), limit)
        return
    for place, item in enumerate(items):
        yield from check(f"{path}[{place}]", item)


def set_faults(
    path: str, items: Sequence[Any], check: Callable[[str, Any], Iterable[FieldError]], key: Callable[[Any], Any],
    limit: int = MAX_ITEMS,
) -> Faults:  # fmt: skip
    """The same where no two may have one key."""
    yield from slice_faults(path, items, check, limit)
    seen: set[Any] = set()
    for place, item in enumerate(items if len(items) <= limit else ()):
        if (found := key(item)) in seen:
            yield duplicate(f"{path}[{place}]", found)
        seen.add(found)


def _request_faults(path: str, request: Object) -> Faults:
    yield from checks.dns_label(f"{path}.name", request.get("name", ""))
    alternatives, exactly = request.get("firstAvailable") or (), request.get("exactly")
    if exactly is not None and alternatives:
        yield invalid(path, None, f"{_ONE_FORM}, but multiple fields are set")
    elif exactly is not None:
        yield from _asked_faults(f"{path}.exactly", exactly)
    elif alternatives:
        key: Callable[[Object], str] = lambda item: item.get("name", "")  # noqa: E731 - typed
        yield from set_faults(f"{path}.firstAvailable", alternatives, _alternative_faults, key, _MAX_ALTERNATIVES)
    else:
        yield required(path, _ONE_FORM)


def _alternative_faults(path: str, request: Object) -> Faults:
    yield from checks.dns_label(f"{path}.name", request.get("name", ""))
    yield from _asked_faults(path, request)


def _asked_faults(path: str, asked: Object) -> Faults:
    if name := asked.get("deviceClassName"):
        yield from checks.dns_subdomain(f"{path}.deviceClassName", name)
    else:
        yield required(f"{path}.deviceClassName")
    yield from slice_faults(f"{path}.selectors", asked.get("selectors") or (), selector_faults)
    mode, count = asked.get("allocationMode", ""), asked.get("count") or 0
    if mode not in _MODES:
        yield checks.unsupported(f"{path}.allocationMode", mode, _MODES)
    elif mode == "All" and count:
        yield invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'")
    elif mode == "ExactCount" and count <= 0:
        yield invalid(f"{path}.count", count, "must be greater than zero")
    for place, toleration in enumerate(asked.get("tolerations") or ()):
        yield from _toleration_faults(f"{path}.tolerations[{place}]", toleration)


def _toleration_faults(path: str, toleration: Object) -> Faults:
    operator, value, effect = (toleration.get(m) or "" for m in ("operator", "value", "effect"))
    if key := toleration.get("key"):
        yield from checks.qualified_name(f"{path}.key", key)
    yield from checks.one_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    if operator == "Exists" and value:
        yield invalid(f"{path}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        yield from (invalid(f"{path}.value", value, text) for text in label_value_faults(value))
    if effect:
        yield from checks.supported(f"{path}.effect", effect, TAINT_EFFECTS)


def selector_faults(path: str, selector: Object) -> Faults:
    if (found := selector.get("cel")) is None:
        yield required(f"{path}.cel")
        return
    text, place = found.get("expression", ""), f"{path}.cel.expression"
    if len(text.encode()) > _MAX_EXPRESSION:
        yield too_long(place, _MAX_EXPRESSION)
        return
    if fault := environment.selector_fault(text):
        yield invalid(place, text, fault)
    elif environment.is_too_complex(text):
        yield forbidden(place, "too complex, exceeds cost limit")


def _constraint_faults(path: str, constraint: Object, names: RequestNames) -> Faults:
    yield from _named_requests(path, constraint, names)
    for member in ("matchAttribute", "distinctAttribute"):
        if (attribute := constraint.get(member)) is not None:
            yield from _full_name(f"{path}.{member}", attribute)
            return
    text = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    yield required(path, text)


def claim_configuration_faults(path: str, config: Object, names: RequestNames) -> Faults:
    yield from _named_requests(path, config, names)
    yield from configuration_faults(path, config)


def _named_requests(path: str, item: Object, names: RequestNames) -> Faults:
    check: Callable[[str, str], Faults] = lambda here, name: request_reference_faults(here, name, names)  # noqa: E731
    yield from set_faults(f"{path}.requests", item.get("requests") or (), check, str)


def request_reference_faults(path: str, name: str, names: RequestNames) -> Faults:
    """`name` is a request's, or a request's and an alternative's with a slash between."""
    first, *rest = name.split("/")
    if len(rest) <= 1:
        for part in (first, *rest):
            yield from checks.dns_label(path, part)
    if len(rest) > 1 or first not in names or (rest and rest[0] not in names[first]):
        yield invalid(path, name, _NO_SUCH_REQUEST)


def configuration_faults(path: str, config: Object) -> Faults:
    """What is handed to a driver as it is."""
    if (opaque := config.get("opaque")) is None:
        yield required(f"{path}.opaque")
        return
    yield from driver_name(opaque.get("driver", ""), f"{path}.opaque.driver")
    yield from raw_faults(f"{path}.opaque.parameters", opaque.get("parameters"))


def raw_faults(path: str, value: Any) -> Faults:
    """A member that may be any JSON object."""
    if value is None:
        yield required(path)
    elif len(orjson.dumps(value)) > _MAX_PARAMETERS:
        yield too_long(path, _MAX_PARAMETERS)
    elif not isinstance(value, dict):
        yield invalid(path, "<value omitted>", "must be a valid JSON object")


def attribute_name_faults(path: str, name: str) -> Faults:
    """An attribute or capacity, with its domain or without. What has two slashes is let through, as everywhere."""
    parts = name.split("/")
    if len(parts) == 1:
        yield from _identifier(path, name)
    elif len(parts) == 2:
        domain, plain = parts
        if domain:
            yield from driver_name(domain, path)
        else:
            yield invalid(path, "", "the domain must not be empty")
        if plain:
            yield from _identifier(path, plain)
        else:
            yield invalid(path, "", "the name must not be empty")


def _full_name(path: str, name: str) -> Faults:
    yield from attribute_name_faults(path, name)
    if "/" not in name:
        text = "a fully qualified name must be a domain and a name separated by a slash"
        yield invalid(path, name, text)


def _identifier(path: str, name: str) -> Faults:
    if len(name.encode()) > _MAX_IDENTIFIER:
        yield too_long(path, _MAX_IDENTIFIER)
    if not (name.isascii() and name.isidentifier()):
        yield invalid(path, name, _IDENTIFIER_START)
