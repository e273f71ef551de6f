"""What a physical cluster's nodes add up to. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Raw = Mapping[str, Any]
_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}  # fmt: skip


def quantity(text: object) -> Decimal:
    """Of `1.5Gi`, `100m`, `2e3`, 4. Raises ValueError."""
    word = str(text)
    number = word.rstrip("numkKMGTPEi")
    suffix = word[len(number) :]
    try:
        return Decimal(number) * _SUFFIXES[suffix]
    except (KeyError, InvalidOperation):
        raise ValueError(f"{word} is no quantity") from None


def written(value: Decimal) -> str:
    """In the largest binary unit that keeps it whole from a mebibyte on, else plain, in thousandths if need be."""
    if value == value.to_integral_value():
        whole = int(value)
        for suffix in ("Gi", "Mi"):
            unit = int(_SUFFIXES[suffix])
            if whole and whole % unit == 0:
                return f"{whole // unit}{suffix}"
        return str(whole)
    return f"{int((value * 1000).to_integral_value())}m"


def totals(nodes: Iterable[Raw], field: str) -> dict[str, str]:
    """`field` is capacity or allocatable. Nodes that take no pods count for nothing."""
    found: dict[str, Decimal] = {}
    for node in nodes:
        if not is_usable(node):
            continue
        for name, text in ((node.get("status") or {}).get(field) or {}).items():
            try:
                found[name] = found.get(name, Decimal(0)) + quantity(text)
            except ValueError:
                continue
    return {name: written(value) for name, value in sorted(found.items())}


def is_usable(node: Raw) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return ready and not (node.get("spec") or {}).get("unschedulable")
