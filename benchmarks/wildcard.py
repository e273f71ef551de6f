"""CPU per object of a list over many logical clusters beside a plain list of as many objects in one.

The plain list and the wildcard list are taken in turns, so that a slow minute of the machine slows both. Objects are
Secrets of 1 kB, because a logical cluster is born without any; those of the plain list are in a namespace of their own,
which the wildcard list leaves out. The condition: at most 3 times a plain list at one object in each, at most 1.2 times
at a hundred.

usage: python -m benchmarks.wildcard [--objects 2000] [--each 1,100] [--rounds 5]
"""

import argparse
import json
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.cost import cpu_seconds
from benchmarks.target import KcpInstance, Target

HERE = Path(__file__).parent
LISTS = 10  # in a measurement


def secret(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"text": "eHh4" * 170}}


def fill(target: Target, paths: list[str], each: int, namespace: str) -> None:
    def create(place: tuple[str, int]) -> None:
        path, number = place
        url = f"/clusters/{path}/api/v1/namespaces/{namespace}/secrets"
        code, answer = target.request("POST", url, secret(f"s{number}"))
        assert code in (201, 409), answer

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, [(path, number) for path in paths for number in range(each)]))


def cost_us(target: Target, url: str) -> tuple[float, int]:
    """CPU microseconds of all processes per object, and how many objects there were."""
    pids, found = target.pids(), 0
    before = cpu_seconds(pids)
    for _ in range(LISTS):
        code, answer = target.request("GET", url)
        assert code == 200, answer
        found = len(answer["items"])
    return (cpu_seconds(pids) - before) / LISTS / found * 1e6, found


def compare(target: Target, each: int, objects: int, rounds: int) -> dict[str, Any]:
    clusters = objects // each
    fill(target, ["plain"], objects, "kube-public")
    fill(target, [f"many-{number}" for number in range(clusters)], each, "default")
    one, all_ = "/clusters/plain/api/v1/namespaces/kube-public/secrets", "/clusters/*/api/v1/namespaces/default/secrets"
    plain, wild, listed = list[float](), list[float](), 0
    for _ in range(rounds):
        plain.append(cost_us(target, one)[0])
        cost, listed = cost_us(target, all_)
        wild.append(cost)
        print(f"{each} in each: {plain[-1]:.1f} and {cost:.1f} µs an object", file=sys.stderr, flush=True)
    ratio = statistics.median(w / p for w, p in zip(wild, plain, strict=True))
    return {
        "clusters": clusters, "listed": listed, "plain_us": statistics.median(plain),
        "wildcard_us": statistics.median(wild), "ratio": ratio,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=2_000)
    parser.add_argument("--each", default="1,100")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=17953)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, each in enumerate(int(each) for each in args.each.split(",")):
        instance = KcpInstance(args.port + number, args.shards, 1)  # fresh: the wildcard shows everything there is
        try:
            found[each] = compare(instance.wait_ready(), each, args.objects, args.rounds)
        finally:
            instance.stop()
    (args.out / "wildcard.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
