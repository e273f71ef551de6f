"""Many logical clusters: memory, speed of creation, first request to an idle one; with a plot.

usage: python -m benchmarks.scale [--steps 1000,2000,5000,10000]
"""

import argparse
import http.client
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.cost import cpu_seconds, memory_pss, run_load, spec_for
from benchmarks.target import KcpInstance, Target

HERE = Path(__file__).parent


def create(target: Target, start: int, stop: int) -> dict[str, float]:
    """Bring logical clusters to life by their first ConfigMap."""
    spec = spec_for(target, "populate", 0, objects=1)
    spec.tenants = [target.tenant(n) for n in range(start, stop)]
    pids, before = target.pids(), cpu_seconds(target.pids())
    done = run_load(spec)
    if set(done.codes) != {"201"}:
        raise RuntimeError(f"answers {done.codes}")
    spent = cpu_seconds(pids) - before
    return {"per_s": done.requests / done.seconds, "cpu_us": spent / done.requests * 1e6}


def first_and_second(target: Target, total: int, samples: int = 300) -> dict[str, float]:
    """Latency of the first get in a logical cluster that nobody touched since the restart, and of the second."""
    connection = http.client.HTTPSConnection(target.host, target.port, context=target.ssl_context())
    first: list[float] = []
    second: list[float] = []
    for number in random.Random(1).sample(range(total), samples):
        prefix, namespace = target.tenant(number)
        path = f"{prefix}/api/v1/namespaces/{namespace}/configmaps/cm-000000"
        for kept in (first, second):
            began = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": f"Bearer {target.token}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}")
            kept.append((time.perf_counter() - began) * 1000)
    p99 = [statistics.quantiles(kept, n=100)[98] for kept in (first, second)]
    return {"first_p99_ms": p99[0], "second_p99_ms": p99[1], "first_p50_ms": statistics.median(first),
            "second_p50_ms": statistics.median(second)}  # fmt: skip


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4))
    left.plot([r["clusters"] for r in rows], [r["pss_mb"] for r in rows], "o-", color="#2a6f97")
    left.set(title="memory, all processes", xlabel="logical clusters", ylabel="Pss, MB", ylim=0)
    right.plot([r["clusters"] for r in rows[1:]], [r["cpu_us"] for r in rows[1:]], "o-", color="#2a6f97")
    right.set(title="creation", xlabel="logical clusters", ylabel="CPU µs each", ylim=0)
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="1000,2000,5000,10000")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--fronts", type=int, default=1)
    parser.add_argument("--port", type=int, default=17543)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    instance = KcpInstance(args.port, args.shards, args.fronts)
    try:
        target = instance.wait_ready()
        rows: list[dict[str, Any]] = [{"clusters": 0, "pss_mb": memory_pss(target.pids()) / 1e6}]
        for step in map(int, args.steps.split(",")):
            made = create(target, rows[-1]["clusters"], step)
            time.sleep(2)
            rows.append({"clusters": step, "pss_mb": memory_pss(target.pids()) / 1e6, **made})
            print(rows[-1], file=sys.stderr)
        instance.stop()
        instance = KcpInstance(args.port, args.shards, args.fronts, instance.directory)
        target = instance.wait_ready()
        restarted = {"pss_mb_after_restart": memory_pss(target.pids()) / 1e6} | first_and_second(
            target, rows[-1]["clusters"]
        )
    finally:
        instance.stop()
    slope = (rows[-1]["pss_mb"] - rows[1]["pss_mb"]) * 1e3 / (rows[-1]["clusters"] - rows[1]["clusters"])
    found = {"rows": rows, "kb_per_cluster": slope, **restarted}
    (args.out / "scale.json").write_text(json.dumps(found, indent=1))
    plot(rows, args.out / "scale.svg")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
