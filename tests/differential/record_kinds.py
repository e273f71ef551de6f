"""Write tests/golden/kinds.json: what a real kube-apiserver answers to the rows of `kinds`.

    python -m tests.differential.record_kinds KUBECONFIG

test_kinds.py compares our answers with it, so that the comparison runs where no kube-apiserver is.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.differential.compare import RealServer, concrete, masked
from tests.differential.exchanges import Exchange
from tests.differential.kinds import kinds

RECORD = Path(__file__).parents[1] / "golden" / "kinds.json"
NAMESPACE = "kinds"


def main(kubeconfig: str) -> None:
    server = RealServer(kubeconfig)
    server.ask(Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}))
    saved: dict[str, Any] = {}
    lines = {}
    for row in kinds():
        code, document, warnings = server.ask(concrete(row, NAMESPACE, saved))
        if row.save:
            saved[row.save] = document
        lines[row.id] = [code, masked(document, code), warnings]
    text = ",\n".join(f"{json.dumps(key)}:{json.dumps(value, sort_keys=True)}" for key, value in lines.items())
    RECORD.write_text("{" + text + "}\n")


if __name__ == "__main__":
    main(sys.argv[1])
