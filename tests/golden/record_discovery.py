"""Write tests/golden/discovery.json: a real kube-apiserver's discovery documents, cut down to the minimal API set.

python -m tests.golden.record_discovery KUBECONFIG
"""

import json
import sys
from pathlib import Path
from typing import Any

from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.contract import Resource
from scripts.generate_facts import AGGREGATED, Server

RECORD = Path(__file__).parent / "discovery.json"


def cut_list(document: dict[str, Any], served: dict[str, Resource]) -> dict[str, Any]:
    """A legacy APIResourceList with only the resources and subresources that we serve."""
    kept = []
    for entry in document["resources"]:
        plural, _, subresource = entry["name"].partition("/")
        if plural in served and (not subresource or subresource in served[plural].subresources):
            kept.append(entry)
    return {**document, "resources": kept}


def cut_aggregated(document: dict[str, Any], served: dict[tuple[str, str, str], Resource]) -> dict[str, Any]:
    items = []
    for item in document["items"]:
        group, versions = item["metadata"].get("name", ""), []
        for version in item["versions"]:
            kept = []
            for entry in version.get("resources", ()):
                resource = served.get((group, version["version"], entry["resource"]))
                if resource is None:
                    continue
                subresources = [s for s in entry.pop("subresources", []) if s["subresource"] in resource.subresources]
                kept.append(entry | ({"subresources": subresources} if subresources else {}))
            if kept:
                versions.append({**version, "resources": kept})
        if versions:
            items.append({**item, "versions": versions})
    return {**document, "items": items}


def main(kubeconfig: str) -> None:
    server, resources = Server(kubeconfig), builtin_resources("minimal")
    places = {(r.group, r.version, r.plural): r for r in resources}
    groups = {r.group for r in resources}
    documents: dict[str, Any] = {"/api": server.get("/api") | {"serverAddressByClientCIDRs": []}}
    listed = server.get("/apis")
    documents["/apis"] = listed | {"groups": [g for g in listed["groups"] if g["name"] in groups]}
    for group in sorted(groups - {""}):
        documents[f"/apis/{group}"] = server.get(f"/apis/{group}")
    for group, version in sorted({(r.group, r.version) for r in resources}):
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        served = {r.plural: r for r in resources if (r.group, r.version) == (group, version)}
        documents[path] = cut_list(server.get(path), served)
    for path in ("/api", "/apis"):
        documents[f"aggregated {path}"] = cut_aggregated(server.get(path, AGGREGATED), places)
    RECORD.write_text(json.dumps(documents, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
