"""Who of several replicas works on what. Pure.

Each item belongs to the live member with the highest hash of both names: all replicas that see the same members agree,
and one that comes or goes takes or leaves only its own share.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any


def owner(item: str, members: Iterable[str]) -> str:
    """ "" without members."""
    return max(sorted(members), key=lambda member: hashlib.sha256(f"{member}\0{item}".encode()).digest(), default="")


def members(leases: Iterable[Mapping[str, Any]], seen_at: Mapping[str, float], now: float) -> list[str]:
    """Those whose lease was seen to change within its own duration. `seen_at` and `now` are of our clock; that of
    whoever wrote the lease does not matter."""
    found = []
    for lease in leases:
        name = lease["metadata"]["name"]
        duration_s = (lease.get("spec") or {}).get("leaseDurationSeconds") or 0
        if now - seen_at.get(name, float("-inf")) <= duration_s:
            found.append(name)
    return found


def is_renewed(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> bool:
    return old is None or _renewed(old) != _renewed(new)


def _renewed(lease: Mapping[str, Any]) -> Any:
    return (lease.get("spec") or {}).get("renewTime")


def lease(name: str, namespace: str, duration_s: int, now: datetime) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": duration_s,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
