"""A child program for the supervisor's tests: says `ready` and then behaves as its options ask."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="fake")
    parser.add_argument("--number")
    parser.add_argument(
        "--journal",
        type=Path,
        default=os.environ.get("KCP_FAKE_JOURNAL"),
        help="one line per thing that happens, of all processes",
    )
    parser.add_argument("--refuse", help="give up with this sentence before being ready")
    parser.add_argument("--say", help="a line for standard error")
    parser.add_argument("--deaf", action="store_true", help="ignore SIGTERM")
    parser.add_argument("--silent", action="store_true", help="never become ready")
    parser.add_argument("--stop-takes", type=float, default=0.0)
    parser.add_argument("--with-worker", action="store_true", help="start a process of its own")
    options, _ = parser.parse_known_args()  # the real programs have many more
    if options.number:
        options.name = f"shard-{options.number}"
        options.refuse = os.environ.get("KCP_FAKE_SHARD_REFUSES")

    def note(what: str) -> None:
        with options.journal.open("a") as journal:
            journal.write(f"{options.name} {what} {os.getpid()}\n")

    def stop(*_: object) -> None:
        note("stopping")
        time.sleep(options.stop_takes)
        note("stopped")
        os._exit(0)

    if options.refuse:
        print(options.refuse, file=sys.stderr)
        sys.exit(3)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if options.deaf else stop)
    if options.with_worker and os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("worker")
        time.sleep(60)
        os._exit(0)
    note("started")
    if options.say:
        print(options.say, file=sys.stderr, flush=True)
    if not options.silent:
        print("ready", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
