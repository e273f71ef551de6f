"""The upstream end-to-end suite against a logical cluster over two fronts and three shards.

    python -m tests.clients.conformance [--times N] [--out DIR] [options of the runner]

CONFORMANCE_DIR holds the runner `run` and its list `specs.txt`; PEERS_DIR the upstream programs (e2e.test, kubectl,
kube-controller-manager, which is attached). Every spec has to pass, `--times` in a row. `make conformance` runs it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.clients.peers import controller_manager, program
from tests.clients.tier import running_tier, tenant


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--out", type=Path, default=None, help="logs and results (a temporary directory)")
    args, options = parser.parse_known_args()
    directory = os.environ.get("CONFORMANCE_DIR")
    if not directory:
        raise SystemExit("CONFORMANCE_DIR is not set: the directory of the specs and their runner")
    for needed in ("e2e.test", "kubectl", "kube-controller-manager"):
        program(needed)
    out: Path = args.out or Path(tempfile.mkdtemp(prefix="conformance-"))
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with running_tier() as tier:
        cluster = tenant(tier, "conformance")
        with controller_manager(cluster, out / "controller-manager.log"):
            for time in range(1, args.times + 1):
                print(f"run {time} of {args.times}, logs in {out}", flush=True)
                command = [str(Path(directory) / "run"), str(cluster.kubeconfig), "--out", str(out / f"run-{time}")]
                failed += subprocess.run([sys.executable, *command, *options], check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
