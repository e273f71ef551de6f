"""CPU per request over 1, 2, 4 and 8 shards: it should not grow, because a request concerns one shard only.

usage: python -m benchmarks.shards [--shards 1,2,4,8] [--rounds 3]
"""

import argparse
import json
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.cost import measure, run_load, spec_for
from benchmarks.target import KcpInstance, Target

HERE = Path(__file__).parent
OPERATIONS = ("get", "create", "patch")


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    figure, axis = pyplot.subplots(figsize=(5, 3.4))
    for operation, costs in found.items():
        axis.plot([int(n) for n in costs], [c["cpu_us"] for c in costs.values()], "o-", label=operation)
    axis.set(title="cost over shards", xlabel="shards", ylabel="CPU µs per request", ylim=0)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="1,2,4,8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=32, help="a shard: batches are then as full everywhere")
    parser.add_argument("--port", type=int, default=17843)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    costs: dict[str, dict[str, list[float]]] = {o: {} for o in OPERATIONS}
    with ExitStack() as stack:
        targets: dict[int, Target] = {}
        for place, number in enumerate(map(int, args.shards.split(","))):
            instance = KcpInstance(args.port + place, number, 1)
            stack.callback(instance.stop)
            targets[number] = instance.wait_ready()
            run_load(spec_for(targets[number], "populate", 200, objects=20))
        for turn in range(args.rounds):
            for operation in OPERATIONS:
                for number, target in targets.items():
                    spec = spec_for(target, operation, 200, objects=20, seconds=args.seconds, seed=turn)
                    spec.connections, spec.batch = args.connections * number, f"r{turn}"
                    cost = measure(target, spec)
                    costs[operation].setdefault(str(number), []).append(cost.cpu_us)
                    print(f"{operation} {number} shards: {cost.cpu_us:.0f} µs", file=sys.stderr, flush=True)
    found = {
        operation: {number: {"cpu_us": statistics.median(values), "rounds": values} for number, values in by.items()}
        for operation, by in costs.items()
    }
    (args.out / "shards.json").write_text(json.dumps(found, indent=1))
    plot(found, args.out / "shards.svg")
    for operation, by in found.items():
        print(operation, {number: round(values["cpu_us"]) for number, values in by.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
