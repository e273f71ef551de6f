"""Write tests/golden/workload_kinds.json: what a real kube-apiserver answers to the rows of `workload_kinds`.

    python -m tests.differential.record_workload_kinds KUBECONFIG      (a cluster with static token, controllers off)

Of a refusal only code, reason and the causes' types and fields are kept: the values shown are Go structs.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.differential.compare import RealServer, concrete, masked
from tests.differential.exchanges import Exchange
from tests.differential.workload_kinds import workload_kinds

RECORD = Path(__file__).parents[1] / "golden" / "workload_kinds.json"
NAMESPACE = "workload-kinds"


def setup() -> list[Exchange]:
    account = {"metadata": {"name": "default"}}
    return [
        Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
        Exchange("", "POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account),
    ]


def judged(code: int, document: Any) -> list[Any]:
    """What is compared of an answer."""
    if code < 400:
        return [code, masked(document, code)]
    causes = {(c.get("reason"), c.get("field")) for c in (document.get("details") or {}).get("causes") or ()}
    return [code, document.get("reason"), sorted(map(list, causes))]


def main(kubeconfig: str) -> None:
    server = RealServer(kubeconfig)
    for exchange in setup():
        server.ask(exchange)
    saved: dict[str, Any] = {}
    lines = []
    for row in workload_kinds():
        code, document, _ = server.ask(concrete(row, NAMESPACE, saved))
        if row.save:
            saved[row.save] = document
        lines.append(f"{json.dumps(row.id)}:{json.dumps(judged(code, document), sort_keys=True)}")
    RECORD.write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main(sys.argv[1])
