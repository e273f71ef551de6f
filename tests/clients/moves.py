"""kubectl and a client-go informer in a logical cluster that is moved from shard to shard: `make moving-clients`.

The informer's program (tests/clients/informers/moving) and what `kubectl get -w` prints judge; no request may fail, no
event be lost or repeated, no list or second watch be sent. Needs Go and its module proxy, and kubectl.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.clients.tier import Tenant, Tier, running_tier, tenant

MOVES = 6
PATH = "wandering"


def main() -> int:
    os.environ["KCP_SHARD_SETTINGS"] = "departed_grace_s=1"  # so that it may come back soon
    with tempfile.TemporaryDirectory(prefix="kcp-moving-") as directory, running_tier() as tier:
        binary = Path(directory) / "moving"
        building = {**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
        source = Path(__file__).parent / "informers"
        subprocess.run(["go", "build", "-o", str(binary), "./moving"], cwd=source, env=building, check=True)
        cluster = tenant(tier, PATH)
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        watched = Path(directory) / "watched"
        with watched.open("wb") as out:
            command = [
                "kubectl",
                "get",
                "configmaps",
                "-w",
                "--output-watch-events",
                "--no-headers",
                "-o",
                'jsonpath={.type} {.object.metadata.name} {.object.metadata.resourceVersion}{"\\n"}',
            ]
            kubectl = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        program = subprocess.Popen(
            [str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        try:
            code = judge(tier, cluster, program, kubectl, watched)
        finally:
            program.kill()
            kubectl.kill()
        return code


def judge(
    tier: Tier, cluster: Tenant, program: "subprocess.Popen[str]", kubectl: "subprocess.Popen[bytes]", watched: Path
) -> int:
    assert program.stdin and program.stdout
    assert program.stdout.readline() == "ready\n"
    time.sleep(1)
    for number in range(MOVES):
        move(tier, f"shard-{number % 3 + 1}")
    program.stdin.write("stop\n")
    program.stdin.close()
    said = program.stdout.read()
    print(said, end="")
    if program.wait(60):
        return 1
    time.sleep(2)
    assert kubectl.poll() is None, "kubectl's watch has ended"
    return compare(watched.read_text(), cluster)


def compare(text: str, cluster: Tenant) -> int:
    """kubectl has printed each state once, in order, and the last state of everything there is."""
    lines = [line.split() for line in text.splitlines() if line.startswith(("ADDED", "MODIFIED", "DELETED"))]
    repeated = [line for line, count in Counter(map(tuple, lines)).items() if count > 1]
    last = {name: version for kind, name, version in lines if kind != "DELETED"}
    there = {
        item["metadata"]["name"]: item["metadata"]["resourceVersion"]
        for item in cluster.ask("/api/v1/namespaces/default/configmaps")["items"]
    }
    # The first state comes by name, so the order of time holds for each object.
    histories: dict[str, list[int]] = {}
    for _, name, version in lines:
        histories.setdefault(name, []).append(int(version))
    is_ordered = all(versions == sorted(versions) for versions in histories.values())
    print(f"kubectl printed {len(lines)} events, {len(repeated)} of them twice")
    if repeated or last != there or not is_ordered:
        print(f"kubectl has not seen what is there: {len(last)} objects, {len(there)} there; {repeated[:3]}")
        return 1
    return 0


def move(tier: Tier, shard: str) -> None:
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "kcp", "move", PATH, "--to", shard, "--root-directory", str(tier.root)]
    subprocess.run(command, check=True, timeout=120)
    print(f"moved to {shard} in {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
