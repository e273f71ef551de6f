"""How long a test waits for the embedded server: python -m benchmarks.embedding

Imports are done first; then five servers are started and stopped, each with a hundred fresh logical clusters.
"""

import statistics
import time

import kcpfront.embedding
from kcpfront import embedded

ROUNDS, CLUSTERS = 5, 100


def main() -> None:
    starts, clusters = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with embedded() as server:
            starts.append(time.perf_counter() - began)
            for _ in range(CLUSTERS):
                began = time.perf_counter()
                server.create_cluster()
                clusters.append(time.perf_counter() - began)
    print(f"imports from {kcpfront.embedding.__name__} not counted")
    print(f"ready after {_shown(starts)}")
    print(f"a logical cluster after {_shown(clusters)}")


def _shown(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.1f} ms (median of {len(seconds)}; up to {1e3 * max(seconds):.1f})"


if __name__ == "__main__":
    main()
