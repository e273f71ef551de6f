#!/usr/bin/env python3
"""Write kcpshard/definitions/data/builtin.jsonl: the structural facts on every built-in kind of a kube-apiserver.

Usage: scripts/generate_facts.py KUBECONFIG [OUTPUT]. The server must run with the APIs it serves by default. Reads only
discovery and /openapi/v3; descriptions are left out (they come at run time from kubernetes-validate). The output has
one JSON value per line, so that a new Kubernetes release shows as a readable difference:

    {"kubernetes": "1.36.3", "major": "1", "minor": "36"}
    {"group": "apps", "versions": [{"version": "v1", "resources": [APIResourceDiscovery + storageVersionHash]}]}  …
    {"definition": "io.k8s.api.core.v1.ConfigMap", "schema": {…}}  …
"""

import base64
import json
import ssl
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import yaml

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
OUTPUT = Path(__file__).parents[1] / "kcpshard/definitions/data/builtin.jsonl"


class Server:
    """Reads of one kube-apiserver, by kubeconfig with a token or client certificate data."""

    def __init__(self, kubeconfig: str) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.address = cluster["server"]
        self.token = user.get("token", "")
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as pem:
                for part in ("client-certificate-data", "client-key-data"):
                    pem.write(base64.b64decode(user[part]))
                pem.flush()
                self.context.load_cert_chain(pem.name)

    def get(self, path: str, accept: str = "application/json") -> Any:
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        request = urllib.request.Request(self.address + path, headers=headers)
        with urllib.request.urlopen(request, context=self.context) as answer:
            return json.load(answer)


def without_descriptions(schema: Any, names: bool = False) -> Any:
    """`schema` is a schema, or with `names` a mapping from property names (one may be called description)."""
    if isinstance(schema, dict):
        return {
            key: value
            if key == "default" and not names
            else without_descriptions(value, key == "properties" and not names)
            for key, value in schema.items()
            if names or key != "description"
        }
    return [without_descriptions(item) for item in schema] if isinstance(schema, list) else schema


def definitions(server: Server) -> dict[str, Any]:
    """Component schemas of all groups. The two whose group-version-kinds differ by document get the core group's."""
    found: dict[str, Any] = {}
    paths = server.get("/openapi/v3")["paths"]
    for path, entry in sorted(paths.items()):
        for name, schema in server.get(entry["serverRelativeURL"]).get("components", {}).get("schemas", {}).items():
            schema = without_descriptions(schema)
            if name in found and found[name] != schema:
                own = {k: v for k, v in schema.items() if k != "x-kubernetes-group-version-kind"}
                if own != {k: v for k, v in found[name].items() if k != "x-kubernetes-group-version-kind"}:
                    raise SystemExit(f"{name} differs between documents, at {path}")
                continue
            found[name] = schema
    for name, kind in (("DeleteOptions", "DeleteOptions"), ("WatchEvent", "WatchEvent")):
        gvk = [{"group": "", "kind": kind, "version": "v1"}]
        found[f"io.k8s.apimachinery.pkg.apis.meta.v1.{name}"]["x-kubernetes-group-version-kind"] = gvk
    return found


def groups(server: Server) -> list[dict[str, Any]]:
    """Groups in the server's order, versions in order of preference, resources with their storage version hash."""
    found = []
    items = server.get("/api", AGGREGATED)["items"] + server.get("/apis", AGGREGATED)["items"]
    for item in items:
        name = item["metadata"].get("name", "")
        versions = []
        for version in item["versions"]:
            path = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
            hashes = {r["name"]: r.get("storageVersionHash", "") for r in server.get(path)["resources"]}
            for resource in version["resources"]:
                if hash_ := hashes[resource["resource"]]:
                    resource["storageVersionHash"] = hash_
            versions.append({"version": version["version"], "resources": version["resources"]})
        found.append({"group": name, "versions": versions})
    return found


def main(kubeconfig: str, output: Path) -> None:
    server = Server(kubeconfig)
    version = server.get("/version")
    lines: list[dict[str, Any]] = [
        {"kubernetes": version["gitVersion"].lstrip("v"), "major": version["major"], "minor": version["minor"]}
    ]
    lines += groups(server)
    lines += [{"definition": name, "schema": schema} for name, schema in sorted(definitions(server).items())]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    output.write_text(text.replace("#/components/schemas/", "#/"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else OUTPUT)
