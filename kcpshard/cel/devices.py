"""Expressions that select devices: what they see of a `device`, and the most that one may cost."""

from functools import lru_cache

from kcpshard.api import loop_time
from kcpshard.cel.checking import Checked, CompileFault, check
from kcpshard.cel.constants import constant_fault
from kcpshard.cel.pricing import estimate
from kcpshard.cel.types import ANY_ATTRIBUTE, BOOL, OPAQUE, STRING, Type, exact_name, map_of, struct

COST_LIMIT = 1_000_000
_WEIGHT = 300  # what compiling a byte takes, in bytes of an object that is decoded and judged: 35 µs
_MAX_ENTRIES = 32  # attributes and capacities of one device together


def _text(size: int) -> Type:
    return Type(STRING.kind, STRING.name, size=size)


def _by_domain(value: Type) -> Type:
    return map_of(_text(63), map_of(_text(32), value, _MAX_ENTRIES), _MAX_ENTRIES)


DEVICE = struct(
    {
        "driver": _text(63),
        "allowMultipleAllocations": BOOL,
        "attributes": _by_domain(ANY_ATTRIBUTE),
        "capacity": _by_domain(OPAQUE["quantity"]),
    },
    0,
    "kubernetes.DRADevice",
)


def selector_fault(text: str) -> str:
    """What is wrong with a selector, in kube-apiserver's words; empty if nothing is. On a loop, raises TooLong for one
    that is long and not known yet."""
    return _compiled(text)[1]


def is_too_complex(text: str) -> bool:
    """Of a selector that compiles."""
    checked, _ = _compiled(text)
    return checked is not None and estimate(checked, DEVICE) > COST_LIMIT


@lru_cache(maxsize=64)  # the same class's or template's selectors come again and again; at most 10 KiB each
def _compiled(text: str) -> tuple[Checked | None, str]:
    loop_time.check_size(len(text) * _WEIGHT)  # where it would hold a loop a worker compiles it
    try:
        checked = check(text, {"device": DEVICE}, binds=True)
    except CompileFault as fault:
        return None, f"compilation failed: {fault}"
    result = checked.root.type
    if result.kind != "bool" and result is not ANY_ATTRIBUTE:
        return None, f"must evaluate to bool or the unknown type, not {exact_name(result)}"
    if unfit := constant_fault(checked):
        return None, f"program instantiation failed: {unfit}"
    return checked, ""
