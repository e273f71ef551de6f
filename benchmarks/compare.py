"""The table of costs beside a real kube-apiserver, interleaved, and its plot; a part of `make bench`.

Starts a fresh kcp and, if the peer programs are built, a fresh kube-apiserver with etcd; fills both with the same
objects; then runs each operation in turn against both, round by round. Any other server joins with --kubeconfig.

Reads are measured beside a writer of WRITES_PER_S updates. Nothing is taken off for it: all of the servers' CPU is
divided by the reads, so their figures are too high by about a hundredth, on both sides. Results are written after each
round: what an interrupted run has measured is kept.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import gadgets
from benchmarks.cost import Cost, measure, median_and_spread, memory_pss, run_load, spec_for
from benchmarks.target import PEERS, KcpInstance, KubeInstance, Target, from_kubeconfig

HERE = Path(__file__).parent


class Operation(NamedTuple):
    """`condition` and `aim`: at most that share of the rival's cost."""

    operation: str
    condition: float
    aim: float
    limit: int = 0
    connections: int = 32
    kind: str = "ConfigMap"


_READ, _WRITE = (1 / 2, 1 / 4), (2 / 3, 1 / 3)
OPERATIONS = {
    "get": Operation("get", *_READ),
    "list of 10": Operation("list", *_READ, 10),
    "list of 500": Operation("list", *_READ, 500, 8),
    "list of 5000": Operation("list", *_READ, 5000, 2),
    "create": Operation("create", *_WRITE),
    "update": Operation("update", *_WRITE),
    "merge patch": Operation("patch", *_WRITE),
    "delete": Operation("delete", *_WRITE),
    "apply": Operation("apply", *_WRITE),
    "get custom": Operation("get", *_READ, kind=gadgets.KIND),
    "list of 500 custom": Operation("list", *_READ, 500, 8, gadgets.KIND),
    "create custom": Operation("create", *_WRITE, kind=gadgets.KIND),
    "merge patch custom": Operation("patch", *_WRITE, kind=gadgets.KIND),
    "apply custom": Operation("apply", *_WRITE, kind=gadgets.KIND),
}
CUSTOM_TENANTS, CUSTOM_OBJECTS = 200, 20  # at most; the definition is in each of these tenants
WRITES_PER_S = 20.0
DELETIONS = 2000  # objects that a delete round makes first, then deletes
LARGE_TENANT = 900_000  # the number of the tenant that holds the objects for long lists


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=100, help="ConfigMaps in each tenant")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5, help="length of one measurement")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--fronts", type=int, default=1)
    parser.add_argument("--only", default="", help="comma-separated operations")
    parser.add_argument("--kubeconfig", type=Path, help="another server to measure instead of kube-apiserver")
    parser.add_argument("--pids", default="", help="root processes of that server, comma-separated")
    parser.add_argument("--no-rival", action="store_true")
    parser.add_argument("--port", type=int, default=17443)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def open_targets(args: argparse.Namespace, stack: ExitStack) -> list[Target]:
    kcp = KcpInstance(args.port, args.shards, args.fronts)
    stack.callback(kcp.stop)
    targets = [kcp.wait_ready()]
    if args.kubeconfig:
        roots = [int(p) for p in args.pids.split(",") if p]
        targets.append(from_kubeconfig("rival", args.kubeconfig, False, roots))
    elif not args.no_rival and (PEERS / "bin" / "kube-apiserver").exists():
        rival = KubeInstance(args.port + 10)
        stack.callback(rival.stop)
        targets.append(rival.wait_ready())
    return targets


def populate(target: Target, args: argparse.Namespace) -> None:
    began = time.monotonic()
    done = run_load(spec_for(target, "populate", args.tenants, objects=args.objects))
    large = spec_for(target, "populate", 1, objects=5000)
    large.tenants = [target.tenant(LARGE_TENANT)]
    run_load(large)
    if any(OPERATIONS[name].kind == gadgets.KIND for name in chosen(args)):
        populate_custom(target, args)
    say(
        f"{target.name}: {done.requests} objects in {time.monotonic() - began:.0f} s, answers {done.codes}, "
        f"Pss {memory_pss(target.pids()) / 1e6:.0f} MB"
    )


def populate_custom(target: Target, args: argparse.Namespace) -> None:
    """Beside the ConfigMaps, whose namespaces are there."""
    tenants, objects = custom_size(args)
    large = [target.tenant(LARGE_TENANT)]
    gadgets.define(target, [*(target.tenant(n) for n in range(tenants)), *large])
    some = spec_for(target, "populate", tenants, objects=objects, kind=gadgets.KIND)
    run_load(some)
    many = spec_for(target, "populate", 1, objects=500, kind=gadgets.KIND)
    many.tenants = large
    run_load(many)


def custom_size(args: argparse.Namespace) -> tuple[int, int]:
    """Tenants, and objects in each."""
    return min(args.tenants, CUSTOM_TENANTS), min(args.objects, CUSTOM_OBJECTS)


def chosen(args: argparse.Namespace) -> list[str]:
    return [o for o in OPERATIONS if not args.only or o in args.only.split(",")]


def one_round(target: Target, name: str, number: int, args: argparse.Namespace) -> Cost:
    row = OPERATIONS[name]
    operation, is_custom = row.operation, row.kind == gadgets.KIND
    tenants, objects = custom_size(args) if is_custom else (args.tenants, args.objects)
    spec = spec_for(target, operation, tenants, objects=objects, seconds=args.seconds, seed=number, kind=row.kind)
    spec.connections, spec.limit, spec.batch = row.connections, row.limit, f"{name[:1]}{number}"
    if operation == "list" and row.limit > objects:
        spec.tenants = [target.tenant(LARGE_TENANT)]
    if operation in ("get", "list"):
        spec.writes_per_s = WRITES_PER_S
    if operation == "delete":
        run_load(spec_for(target, "create in order", args.tenants, requests=DELETIONS, batch=spec.batch))
        spec.requests, spec.seconds = DELETIONS, 0
    return measure(target, spec)


def summarise(found: dict[str, dict[str, list[Cost]]], targets: list[Target]) -> list[dict[str, Any]]:
    rows = []
    for name, by_target in found.items():
        row: dict[str, Any] = {"operation": name, "condition": OPERATIONS[name].condition, "aim": OPERATIONS[name].aim}
        for target in targets:
            costs = by_target[target.name]
            cpu, spread = median_and_spread([c.cpu_us for c in costs])
            quiet = [c for c in costs if c.is_quiet]
            row[target.name] = {
                "cpu_us": round(cpu, 1),
                "spread": round(spread, 3),
                "kilo_instructions": round(statistics.median(c.kilo_instructions for c in costs), 1),
                "requests_per_s": round(statistics.median(c.requests_per_s for c in costs)),
                "quiet_rounds": len(quiet),
                "p50_ms": statistics.median(c.latencies_ms["p50"] for c in quiet) if quiet else None,
                "p99_ms": statistics.median(c.latencies_ms["p99"] for c in quiet) if quiet else None,
            }
        if len(targets) > 1:
            ours, theirs = by_target[targets[0].name], by_target[targets[1].name]
            ratios = [a.cpu_us / b.cpu_us for a, b in zip(ours, theirs, strict=True)]
            row["ratio"], row["ratio_spread"] = (round(x, 3) for x in median_and_spread(ratios))
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]], targets: list[Target]) -> str:
    names = [t.name for t in targets]
    lines = ["| operation | " + " | ".join(f"{n}: CPU µs (±)" for n in names) + " | ratio (±) | condition | aim |"]
    lines.append("|---|" + "---|" * (len(names) + 3))
    for row in rows:
        cells = [f"{row[n]['cpu_us']} (±{row[n]['spread'] * 100:.0f} %)" for n in names]
        ratio = f"{row['ratio']} (±{row['ratio_spread'] * 100:.0f} %)" if "ratio" in row else "–"
        lines.append(
            f"| {row['operation']} | "
            + " | ".join(cells)
            + f" | {ratio} | ≤ {row['condition']:.2f} | {row['aim']:.2f} |"
        )
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], targets: list[Target], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    lines = -(-len(rows) // 8)
    across = -(-len(rows) // lines)
    figure, grid = pyplot.subplots(lines, across, figsize=(2.1 * across, 3.6 * lines), squeeze=False)
    for unused in list(grid.flat)[len(rows) :]:
        unused.set_visible(False)
    colours = ["#2a6f97", "#c9ada7", "#9a8c98"]
    for axis, row in zip(grid.flat, rows, strict=False):
        for place, target in enumerate(targets):
            values = row[target.name]
            axis.bar(place, values["cpu_us"], yerr=values["cpu_us"] * values["spread"], color=colours[place], capsize=3)
        if len(targets) > 1:
            axis.axhline(
                row[targets[1].name]["cpu_us"] * row["condition"], color="#b23a48", linestyle="--", linewidth=1
            )
        axis.set_title(row["operation"], fontsize=9)
        axis.set_xticks(range(len(targets)), [t.name for t in targets], rotation=30, fontsize=7)
        axis.tick_params(axis="y", labelsize=7)
    figure.suptitle("CPU µs per request over all server processes; dashed: the condition", fontsize=10)
    figure.tight_layout()
    figure.savefig(path)


def save(found: dict[str, dict[str, list[Cost]]], targets: list[Target], args: argparse.Namespace) -> None:
    """What every target has measured equally often so far."""
    whole = {name: by for name, by in found.items() if all(by.values())}
    rows = summarise(whole, targets)
    raw = {n: {t: [asdict(c) for c in costs] for t, costs in by.items()} for n, by in whole.items()}
    head = {"machine": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    head |= {"arguments": vars(args) | {"out": ""}, "memory_mb": args.memory_mb}
    document = {**head, "targets": [t.name for t in targets], "rows": rows, "rounds": raw}
    (args.out / "compare.json").write_text(json.dumps(document, indent=1, default=str))
    if rows:
        plot(rows, targets, args.out / "compare.svg")


def main() -> int:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        targets = open_targets(args, stack)
        for target in targets:
            populate(target, args)
        args.memory_mb = {t.name: round(memory_pss(t.pids()) / 1e6) for t in targets if t.roots}
        found: dict[str, dict[str, list[Cost]]] = {o: {t.name: [] for t in targets} for o in chosen(args)}
        for number in range(args.rounds):
            for name in found:
                for target in targets if number % 2 == 0 else targets[::-1]:
                    cost = one_round(target, name, number, args)
                    found[name][target.name].append(cost)
                    say(
                        f"round {number + 1} {name} {target.name}: {cost.cpu_us:.0f} µs, {cost.requests_per_s:.0f}/s, "
                        f"p99 {cost.latencies_ms['p99']} ms, timer {cost.timer_p99_ms:.2f} ms"
                    )
            save(found, targets, args)
    rows = summarise(found, targets)
    print(table(rows, targets))
    missed = [r["operation"] for r in rows if r.get("ratio", 0) > r["condition"]]
    if missed:
        print(f"condition missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
