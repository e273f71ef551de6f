"""Build one of the Go programs beside this file and run it against a logical cluster of its own; its exit code judges.

    python -m tests.clients.go_program informers|operator|wildcard

Needs Go and its module proxy. `make informers`, `make operator` and `make wildcard` run it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.clients.tier import Tenant, running_tier, tenant


def main() -> int:
    (name,) = sys.argv[1:]
    source = Path(__file__).parent / name
    with tempfile.TemporaryDirectory(prefix=f"kcp-{name}-") as directory, running_tier() as tier:
        binary = Path(directory) / name
        building = {**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
        subprocess.run(["go", "build", "-o", str(binary), "."], cwd=source, env=building, check=True)
        cluster, other = tenant(tier, name), tenant(tier, "neighbour")
        before = everything(other)
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        code = subprocess.run([str(binary)], env=environment, check=False, timeout=300).returncode
        assert everything(other) == before, "another logical cluster has changed"
        return code


def everything(of: Tenant) -> object:
    return [of.ask(path)["items"] for path in ("/api/v1/namespaces", "/api/v1/configmaps", "/api/v1/events")]


if __name__ == "__main__":
    sys.exit(main())
