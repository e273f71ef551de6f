"""Write down the RBAC objects that a new kube-apiserver begins with: authorization/data/bootstrap-VERSION.jsonl.

usage: kubectl get clusterroles,clusterrolebindings,roles,rolebindings -A -o json | generate_bootstrap_rbac.py VERSION

The server must be fresh. What is particular to it (uid, times, revision) is left out; aggregated roles are filled in as
the aggregation controller would, whether it ran there or not. One object a line, sorted by type, namespace and name.
"""

import json
import sys
from pathlib import Path
from typing import Any

_OWN = ("uid", "creationTimestamp", "resourceVersion", "managedFields")
_DATA = Path(__file__).parents[1] / "kcpshard" / "authorization" / "data"


def cleaned(obj: dict[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in obj["metadata"].items() if key not in _OWN}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": meta} | {
        key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")
    }


def aggregate(roles: list[dict[str, Any]]) -> None:
    """Rules of those that select others. Some select aggregated ones, so until nothing changes."""
    changed = True
    while changed:
        changed = False
        for role in roles:
            if "aggregationRule" in role:
                rules = union(role, roles)
                changed |= rules != role.get("rules")
                role["rules"] = rules


def union(role: dict[str, Any], roles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for selector in role["aggregationRule"]["clusterRoleSelectors"]:
        wanted = selector["matchLabels"].items()
        for other in sorted(roles, key=lambda each: str(each["metadata"]["name"])):
            if other is not role and wanted <= (other["metadata"].get("labels") or {}).items():
                found += [rule for rule in other["rules"] or () if rule not in found]
    return found


def main() -> None:
    objects = [cleaned(obj) for obj in json.load(sys.stdin)["items"]]
    aggregate([obj for obj in objects if obj["kind"] == "ClusterRole"])
    objects.sort(key=lambda o: (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]))
    _DATA.mkdir(exist_ok=True)
    lines = [json.dumps(obj, separators=(",", ":"), sort_keys=False) for obj in objects]
    (_DATA / f"bootstrap-{sys.argv[1]}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
