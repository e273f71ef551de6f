"""CPU per request over few and many logical clusters: what is found for each of them again must not grow with them.

usage: python -m benchmarks.clusters [--steps 1,1000,10000] [--rounds 3]
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.cost import measure, run_load, spec_for
from benchmarks.target import KcpInstance, Target

HERE = Path(__file__).parent
OPERATIONS = ("get", "list", "create", "patch")


def rounds(target: Target, clusters: int, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """One object in each logical cluster; every request goes to a random one."""
    costs: dict[str, list[float]] = {operation: [] for operation in OPERATIONS}
    for turn in range(args.rounds):
        for operation in OPERATIONS:
            spec = spec_for(target, operation, clusters, objects=1, seconds=args.seconds, seed=turn)
            spec.limit, spec.batch = 10, f"c{clusters}-{turn}"
            costs[operation].append(measure(target, spec).cpu_us)
            print(f"{operation} {clusters} clusters: {costs[operation][-1]:.0f} µs", file=sys.stderr, flush=True)
    return {o: {"cpu_us": statistics.median(found), "rounds": found} for o, found in costs.items()}


def plot(found: dict[str, dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    figure, axis = pyplot.subplots(figsize=(5, 3.4))
    for operation in OPERATIONS:
        points = [(int(n), by[operation]["cpu_us"]) for n, by in found.items()]
        axis.semilogx([n for n, _ in points], [cpu for _, cpu in points], "o-", label=operation)
    axis.set(title="cost over logical clusters", xlabel="logical clusters", ylabel="CPU µs per request", ylim=0)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="1,1000,10000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--port", type=int, default=17943)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    instance = KcpInstance(args.port, 1, 1)
    try:
        target = instance.wait_ready()
        found, made = {}, 0
        for clusters in map(int, args.steps.split(",")):
            spec = spec_for(target, "populate", 0, objects=1)
            spec.tenants = [target.tenant(n) for n in range(made, clusters)]
            run_load(spec)
            made = clusters
            found[str(clusters)] = rounds(target, clusters, args)
            (args.out / "clusters.json").write_text(json.dumps(found, indent=1))
    finally:
        instance.stop()
    plot(found, args.out / "clusters.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
