"""Unmodified programs of Kubernetes, found in $PEERS_DIR (or its `bin`) and attached to a logical cluster."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.clients.tier import Tenant

# The logical cluster publishes its certificate itself: two publishers could overwrite each other for ever.
LEFT_OUT = "-root-ca-certificate-publisher-controller"


def find_program(name: str) -> str | None:
    directory = os.environ.get("PEERS_DIR", "")
    return shutil.which(name, path=f"{directory}:{directory}/bin:{os.environ['PATH']}")


def program(name: str) -> str:
    found = find_program(name)
    if not found:
        raise SystemExit(f"{name} is neither in PEERS_DIR nor on the PATH")
    return found


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def controller_manager(of: Tenant, log: Path) -> Iterator[int]:
    """kube-controller-manager at work in a logical cluster; gives its secure port."""
    port = free_port()
    flags = [*_access(of, port), f"--root-ca-file={of.authority}", f"--controllers=*,{LEFT_OUT}"]
    flags += ["--kube-api-qps=200", "--kube-api-burst=400"]
    with _running("kube-controller-manager", flags, log):
        _wait_until_healthy(port, log)
        yield port


@contextmanager
def scheduler_and_kubelets(of: Tenant, directory: Path) -> Iterator[None]:
    """kube-scheduler, and KWOK that plays the kubelets of whatever nodes there are."""
    peers = Path(os.environ.get("PEERS_DIR", ""))
    stages = [f"--config={path}" for path in sorted((peers / "stages").glob("*.yaml"))]
    assert stages, f"no stages of KWOK in {peers}"
    port = free_port()
    with ExitStack() as running:
        running.enter_context(_running("kube-scheduler", _access(of, port), directory / "scheduler.log"))
        flags = [f"--kubeconfig={of.kubeconfig}", "--manage-all-nodes=true", "--node-lease-duration-seconds=40"]
        running.enter_context(_running("kwok", [*flags, *stages], directory / "kwok.log"))
        _wait_until_healthy(port, directory / "scheduler.log")
        yield


def _access(of: Tenant, port: int) -> list[str]:
    given = [f"--{kind}kubeconfig={of.kubeconfig}" for kind in ("", "authentication-", "authorization-")]
    return [*given, "--bind-address=127.0.0.1", f"--secure-port={port}", "--leader-elect=false"]


@contextmanager
def _running(name: str, flags: list[str], log: Path) -> Iterator[None]:
    with log.open("ab") as file:
        process = subprocess.Popen([program(name), *flags], stdout=file, stderr=file, cwd=log.parent)
        try:
            yield
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{log.read_text()[-3000:]}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(port: int, log: Path) -> None:
    # Its certificate is of its own making, and asked is only whether it runs.
    untrusting = ssl._create_unverified_context()
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", context=untrusting, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    raise AssertionError(f"not healthy after 60 s:\n{log.read_text()[-3000:]}")
