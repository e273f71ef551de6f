"""Write kcpshard/definitions/data/birth.jsonl: what a kube-apiserver puts into an empty cluster, but for its addresses.

    python scripts/generate_birth_objects.py KUBECONFIG      (a kube-apiserver just started, controllers off)

Kept are priority classes, flow schemas and priority levels, without what differs from cluster to cluster.
"""

import http.client
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import yaml

OUTPUT = Path(__file__).parents[1] / "kcpshard/definitions/data/birth.jsonl"
TYPES = (
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
    "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
)
VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "managedFields")


def main(kubeconfig: str) -> None:
    config = yaml.safe_load(Path(kubeconfig).read_text())
    address = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
    # The peer is a throw-away process on loopback.
    connection = http.client.HTTPSConnection(address, context=ssl._create_unverified_context())
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    lines = []
    for path in TYPES:
        connection.request("GET", path, headers=headers)
        found = json.loads(connection.getresponse().read())
        for item in found["items"]:
            obj = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List"), **bare(item)}
            lines.append(json.dumps(obj, separators=(",", ":")))
    OUTPUT.write_text("\n".join(lines) + "\n")


def bare(item: dict[str, Any]) -> dict[str, Any]:
    item["metadata"] = {key: value for key, value in item["metadata"].items() if key not in VOLATILE}
    for condition in (item.get("status") or {}).get("conditions") or ():
        del condition["lastTransitionTime"]
    return item


if __name__ == "__main__":
    main(sys.argv[1])
