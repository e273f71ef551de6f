"""`make bench`: every measurement of RESULTS.md in one command, each part in a process of its own.

    make bench                     about eighteen minutes, on a machine that does nothing else
    make bench ARGS=--quick        three minutes, to see that everything runs; its figures say little
    make bench ARGS=--resume       leaves out what has been measured with the same arguments
    make bench ARGS="--kubeconfig FILE [--pids 1,2]"    beside any other server instead of a kube-apiserver

Parts write results/*.json and plots; at the end the tables of RESULTS.md are made of them. Exit code 1 if a condition
is missed or a part failed.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.report import write_report

HERE = Path(__file__).parent

# part → arguments; then those of a quick run
PARTS: dict[str, tuple[list[str], list[str]]] = {
    "compare": (["--rounds", "5"], ["--rounds", "2", "--seconds", "1", "--tenants", "100", "--objects", "20"]),
    "clusters": (["--rounds", "3", "--seconds", "1.5"], ["--rounds", "1", "--seconds", "1", "--steps", "1,500"]),
    "scale": ([], ["--steps", "200,500"]),
    "watchers": (["--rival"], ["--rival", "--idle", "300", "--fanout", "1,100"]),
    "shards": (["--rounds", "2", "--seconds", "2"], ["--rounds", "1", "--seconds", "1", "--shards", "1,2"]),
    "startup": ([], ["--starts", "2"]),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated")
    parser.add_argument("--port", type=int, default=17400, help="the first of a few hundred")
    parser.add_argument("--kubeconfig", default="")
    parser.add_argument("--pids", default="")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--no-report", action="store_true", help="leave RESULTS.md as it is")
    return parser.parse_args()


def command(part: str, args: argparse.Namespace) -> list[str]:
    more = list(PARTS[part][args.quick])
    if part == "compare" and args.kubeconfig:
        more += ["--kubeconfig", args.kubeconfig, "--pids", args.pids]
    if part == "watchers" and args.kubeconfig:
        more.remove("--rival")
    port = args.port + 50 * list(PARTS).index(part)
    return [sys.executable, "-m", f"benchmarks.{part}", "--port", str(port), "--out", str(args.out), *more]


def main() -> int:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    state_file = args.out / "suite.json"
    state = json.loads(state_file.read_text()) if state_file.exists() else {}
    failed = []
    for part in args.parts.split(","):
        asked = command(part, args)
        if args.resume and state.get(part, {}).get("command") == asked[2:]:
            print(f"{part}: measured before", file=sys.stderr)
            continue
        began = time.monotonic()
        code = subprocess.run(asked, stdout=subprocess.DEVNULL, cwd=HERE.parent).returncode
        took = round(time.monotonic() - began)
        print(f"{part}: {took} s, exit code {code}", file=sys.stderr)
        if code:
            failed.append(part)
        if not code or part == "compare":  # a condition that is missed has been measured too
            state[part] = {"command": asked[2:], "seconds": took, "code": code, "at": time.strftime("%Y-%m-%d %H:%M")}
            state_file.write_text(json.dumps(state, indent=1))
    if not args.no_report:
        write_report(args.out, HERE / "RESULTS.md")
    print(f"failed or missed: {', '.join(failed)}" if failed else "all measured, every condition met", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
