"""Faults of single fields that many kinds share: numbers, ports, addresses, label selectors, references.

Each check yields nothing for a good value; the words are kube-apiserver's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.api.names import dns_label_faults, dns_subdomain_faults, path_segment_faults
from kcpshard.api.objects import are_same
from kcpshard.api.selectors import label_value_faults, qualified_name_faults
from kcpshard.definitions.contract import Object
from kcpshard.definitions.quantities import parse_quantity

NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"
_PORT_NAME = re.compile(r"[-a-z0-9]+")
_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
_PERCENT = re.compile(r"[0-9]+%")
_UID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Faults = Iterator[FieldError]


def nonnegative(obj: Object, path: str, *members: str) -> Faults:
    for member in members:
        value = obj.get(member)
        if value is not None and value < 0:
            yield invalid(f"{path}.{member}", value, NEGATIVE)


def unchanged(path: str, new: Any, old: Any) -> Faults:
    if not are_same(new, old):
        yield invalid(path, new, IMMUTABLE)


def dns_label(path: str, value: str) -> Faults:
    yield from (invalid(path, value, text) for text in dns_label_faults(value))


def dns_subdomain(path: str, value: str) -> Faults:
    yield from (invalid(path, value, text) for text in dns_subdomain_faults(value))


def qualified_name(path: str, value: str) -> Faults:
    yield from (invalid(path, value, text) for text in qualified_name_faults(value))


def path_segment(path: str, value: str) -> Faults:
    yield from (invalid(path, value, text) for text in path_segment_faults(value))


def uid(path: str, value: str) -> Faults:
    """A UUID as the server writes them."""
    if not _UID.fullmatch(value):
        form = "`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
        yield invalid(path, value, f"uid must be in RFC 4122 normalized form, {form}")


def domain_prefixed_path(path: str, value: str) -> Faults:
    """Such as acme.io/foo."""
    if not value:
        yield required(path)
        return
    domain, _, rest = value.partition("/")
    if not domain or not rest:
        yield invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
    yield from (invalid(path, domain, text) for text in (dns_subdomain_faults(domain) if domain and rest else ()))
    if rest and not _HTTP_PATH.fullmatch(rest):
        yield invalid(path, rest, "Invalid path")


def labels(path: str, values: Mapping[str, str] | None) -> Faults:
    for key, value in (values or {}).items():
        yield from qualified_name(path, key)
        yield from (invalid(path, value, text) for text in label_value_faults(value))


def annotations(path: str, values: Mapping[str, str] | None) -> Faults:
    for key in values or ():
        yield from qualified_name(path, key.lower())


def port_number(path: str, value: int) -> Faults:
    if not 1 <= value <= 65535:
        yield invalid(path, value, "must be between 1 and 65535, inclusive")


def port_name_faults(name: str) -> list[str]:
    """IsValidPortName: the name of a service in the registry of port names."""
    faults = []
    if len(name) > 15:
        faults.append("must be no more than 15 characters")
    if not _PORT_NAME.fullmatch(name):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        faults.append("must contain at least one letter (a-z)")
    if "--" in name:
        faults.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        faults.append("must not begin or end with a hyphen")
    return faults


def port_or_name(path: str, value: int | str) -> Faults:
    if isinstance(value, int):
        yield from port_number(path, value)
    else:
        yield from (invalid(path, value, text) for text in port_name_faults(value))


def int_or_percent(path: str, value: int | str) -> Faults:
    if isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            yield invalid(
                path, value, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  "
                "or '93%', regex used for validation is '[0-9]+%')",
            )  # fmt: skip
    elif value < 0:
        yield invalid(path, value, NEGATIVE)


def percent(value: int | str | None) -> int | None:
    """What stands before the sign; None for a number or anything malformed."""
    return int(value[:-1]) if isinstance(value, str) and _PERCENT.fullmatch(value) else None


def at_most_everything(path: str, value: int | str) -> Faults:
    found = percent(value)
    if found is not None and found > 100:
        yield invalid(path, value, "must not be greater than 100%")


def is_ip(text: str) -> bool:
    try:
        return "%" not in text and bool(ip_address(text))
    except ValueError:
        return False


def lenient_address(text: str) -> IPv4Address | IPv6Address | None:
    """Also with zeros before the numbers of an IPv4 address, as older versions read it."""
    if ":" not in text and all(part.isascii() and part.isdecimal() for part in text.split(".")):
        text = ".".join(str(int(part)) for part in text.split("."))
    return ip_address(text) if is_ip(text) else None


def lenient_network(text: str) -> IPv4Network | IPv6Network | None:
    """The same for a network, with bits beyond its length too."""
    base, mark, length = text.rpartition("/")
    found = lenient_address(base) if mark and length.isascii() and length.isdecimal() else None
    if found is None or int(length) > found.max_prefixlen:
        return None
    return ip_network(f"{found}/{int(length)}", strict=False)


def address(path: str, text: str) -> Faults:
    if not is_ip(text):
        is_padded = lenient_address(text) is not None
        wrong = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        yield invalid(path, text, "must not have leading 0s" if is_padded else wrong)
    elif getattr(ip_address(text), "ipv4_mapped", None) is not None:
        yield invalid(path, text, "must not be an IPv4-mapped IPv6 address")


def network(path: str, text: str) -> Faults:
    found, (base, _, length) = lenient_network(text), text.rpartition("/")
    if found is None:
        yield invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
    elif not is_ip(base) or str(int(length)) != length:
        yield invalid(path, text, "must not have leading 0s in IP or prefix length")
    elif getattr(ip_address(base), "ipv4_mapped", None) is not None:
        yield invalid(path, text, "must not have an IPv4-mapped IPv6 address")
    elif ip_address(base) != found.network_address:
        yield invalid(path, text, "must not have bits set beyond the prefix length")


_LINK_MULTICAST = ip_network("224.0.0.0/24")
_LOCAL_NETWORKS = (
    (lambda found: found.is_unspecified, "may not be unspecified"),
    (lambda found: found.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
    (lambda found: found.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
    (
        lambda found: found in _LINK_MULTICAST if found.version == 4 else _is_link_multicast(found),
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
    ),
)  # fmt: skip


def _is_link_multicast(found: IPv4Address | IPv6Address) -> bool:
    return found.is_multicast and found.packed[1] & 0xF == 2


def outside_address(path: str, text: str) -> Faults:
    """An address that somebody else can reach. It is one."""
    found = ip_address(text)
    yield from (invalid(path, text, words) for is_local, words in _LOCAL_NETWORKS if is_local(found))


def selector(path: str, given: Object | None) -> Faults:
    """A metav1.LabelSelector."""
    if given is None:
        return
    yield from labels(f"{path}.matchLabels", given.get("matchLabels"))
    for place, expression in enumerate(given.get("matchExpressions") or ()):
        yield from _expression(f"{path}.matchExpressions[{place}]", expression)


def _expression(path: str, expression: Object) -> Faults:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    yield from qualified_name(f"{path}.key", expression.get("key", ""))
    for place, value in enumerate(values):
        yield from (invalid(f"{path}.values[{place}]", value, text) for text in label_value_faults(value))


def is_empty_selector(given: Object) -> bool:
    return not (given.get("matchLabels") or given.get("matchExpressions"))


def is_selected(given: Object | None, found: Mapping[str, str]) -> bool | None:
    """Whether the selector takes these labels (none given: nothing); None if it is not a selector."""
    if given is None:
        return False
    if any(True for _ in selector("", given)):
        return None
    wanted = given.get("matchLabels") or {}
    results: list[bool] = [found.get(key) == value for key, value in wanted.items()]
    for expression in given.get("matchExpressions") or ():
        key, values = expression.get("key", ""), expression.get("values") or ()
        match expression.get("operator"):
            case "In" if values:
                results.append(found.get(key) in values)
            case "NotIn" if values:
                results.append(found.get(key) not in values)
            case "Exists" if not values:
                results.append(key in found)
            case "DoesNotExist" if not values:
                results.append(key not in found)
            case _:
                return None
    return all(results)


def one_supported(path: str, value: str | None, supported: Sequence[str], *, optional: bool = False) -> Faults:
    """`optional`: absence is no fault; otherwise an absent value is required, another one not supported."""
    if value is None or (value == "" and not optional):
        if not optional:
            yield required(path)
    elif value not in supported:
        listed = ", ".join(f'"{word}"' for word in supported)
        text = f'Unsupported value: "{value}": supported values: {listed}'
        yield FieldError(path, "FieldValueNotSupported", text)


def supported(path: str, value: str, words: Sequence[str]) -> Faults:
    """One of these words; the empty text is a wrong word, not a missing one."""
    if value not in words:
        yield unsupported(path, value, words)


def unsupported(path: str, value: str, supported: Sequence[str]) -> FieldError:
    listed = ", ".join(f'"{word}"' for word in supported)
    return FieldError(path, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {listed}')


def not_found(path: str, value: str) -> FieldError:
    return FieldError(path, "FieldValueNotFound", f'Not found: "{value}"')


def present(obj: Object, path: str, *members: str) -> Faults:
    for member in members:
        if not obj.get(member):
            yield required(f"{path}.{member}")


def amount(path: str, text: str) -> Faults:
    """A quantity that may not be negative."""
    if parse_quantity(text).value < 0:
        yield invalid(path, text, NEGATIVE)


def unique(path: str, values: Iterable[str]) -> Faults:
    seen: set[str] = set()
    for place, value in enumerate(values):
        if value in seen:
            yield FieldError(f"{path}[{place}]", "FieldValueDuplicate", f'Duplicate value: "{value}"')
        seen.add(value)
