"""Ten starts of an installation, beside the bare import of the libraries that any start must pay.

usage: python -m benchmarks.startup
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.target import KcpInstance

HERE = Path(__file__).parent


def import_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import grpc.aio, aiohttp, rocksdict"], check=True)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--port", type=int, default=17743)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    first = KcpInstance(args.port, 1, 1)
    first.wait_ready()
    first.stop()
    starts, imports = [], []
    for _ in range(args.starts):
        imports.append(import_seconds())
        began = time.perf_counter()
        instance = KcpInstance(args.port, 1, 1, first.directory)
        instance.wait_ready()
        starts.append(time.perf_counter() - began)
        instance.stop()
    found = {
        "start_s": statistics.median(starts),
        "import_s": statistics.median(imports),
        "ratio": statistics.median(starts) / statistics.median(imports),
        "starts": starts,
    }
    (args.out / "startup.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
