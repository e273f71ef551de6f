"""Three machines, as network namespaces joined by a bridge: an installation, a shard and a front that join it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml


def namespaces_missing() -> str:
    """Why machines cannot be pretended here; empty if they can."""
    if os.getuid() != 0:
        return "needs root, to make network namespaces"
    if not shutil.which("ip"):
        return "needs ip (iproute2)"
    name = f"kcp-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "this kernel or container does not allow network namespaces"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


MISSING = namespaces_missing()
pytestmark = [pytest.mark.process, pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")]

KCP = (sys.executable, "-P", "-m", "kcp")
# Runs inside a namespace: one HTTPS request, its answer on standard output.
REQUEST = """
import json, ssl, sys, urllib.request
authority, token, method, url, body = sys.argv[1:]
asked = urllib.request.Request(url, method=method, data=body.encode() or None)
asked.add_header("Authorization", "Bearer " + token)
asked.add_header("Content-Type", "application/json")
context = ssl.create_default_context(cafile=authority)
print(urllib.request.urlopen(asked, timeout=20, context=context).read().decode())
"""


class Machines:
    """Namespaces on one bridge, addressed 10.213.7.1, .2, …; everything is gone after `close`."""

    def __init__(self, directory: Path, number: int) -> None:
        self.directory = directory
        self._processes: list[subprocess.Popen[str]] = []
        self._tag = f"k{os.getpid() % 100000}"
        self._names = [f"{self._tag}n{n}" for n in range(1, number + 1)]
        self._switch = f"{self._tag}sw"
        self._ip("netns", "add", self._switch)
        self._ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        self._ip("-n", self._switch, "link", "set", "bridge", "up")
        for n, name in enumerate(self._names, 1):
            self._ip("netns", "add", name)
            self._ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", f"port{n}", "netns", self._switch)
            self._ip("-n", self._switch, "link", "set", f"port{n}", "master", "bridge", "up")
            self._ip("-n", name, "addr", "add", f"{self.address(n)}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                self._ip("-n", name, "link", "set", link, "up")

    @staticmethod
    def address(machine: int) -> str:
        return f"10.213.7.{machine}"

    def run(self, machine: int, *command: str) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self._names[machine - 1], *command], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
        return done.stdout

    def start(self, machine: int, *command: str) -> subprocess.Popen[str]:
        """A kcp command that becomes ready and keeps running."""
        log = self.directory / f"machine-{machine}.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._names[machine - 1], *command],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._processes.append(process)
        assert process.stdout
        assert " is ready " in process.stdout.readline(), log.read_text()[-5000:]
        return process

    def stop(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.communicate()
        for name in (*self._names, self._switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    made = Machines(tmp_path, 3)
    try:
        yield made
    finally:
        made.close()


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_shard_and_a_front_join_from_other_machines(machines: Machines, tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    root = ("--root-directory", str(first))
    machines.start(
        1, *KCP, "start", *root, "--listen", "10.213.7.1:6443", "--internal-listen", "10.213.7.1:7443",
        "--shards", "1", "--fronts", "1",
    )  # fmt: skip

    def join(machine: int, role: str, listen: str, place: Path) -> tuple[str, ...]:
        printed = shlex.split(machines.run(1, *KCP, "token", "create", "--role", role, *root))
        assert printed[:2] == ["kcp", role]
        return (*KCP, *printed[1:-1], listen, "--root-directory", str(place))

    shard = machines.start(2, *join(2, "shard", "10.213.7.2:7444", second))
    machines.start(3, *join(3, "front", "10.213.7.3:6443", third))

    def shards() -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(machines.run(1, *KCP, "shards", "list", *root, "-o", "json"))
        return found

    eventually(lambda: [row["state"] for row in shards()] == ["Ready", "Ready"], "the new shard is ready")
    eventually(lambda: all(int(str(row["slots"])) > 8000 for row in shards()), "empty slots move to the new shard")

    token = yaml.safe_load((first / "admin.kubeconfig").read_text())["users"][0]["user"]["token"]

    def ask(machine: int, method: str, path: str, body: str = "") -> dict[str, dict[str, str]]:
        authority = str(first / "pki" / "serving-ca.crt")
        url = f"https://{machines.address(machine)}:6443{path}"
        command = (sys.executable, "-c", REQUEST, authority, token, method, url, body)
        answer: dict[str, dict[str, str]] = json.loads(machines.run(machine, *command))
        return answer

    def revision(machine: int, number: int) -> str:
        path = f"/clusters/tenant-{number}/api/v1/namespaces/default/configmaps/kept"
        return ask(machine, "GET", path)["metadata"]["resourceVersion"]

    body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}})
    written = [
        ask(3, "POST", f"/clusters/tenant-{n}/api/v1/namespaces/default/configmaps", body)["metadata"][
            "resourceVersion"
        ]
        for n in range(8)
    ]
    assert {version[-3:] for version in written} == {"001", "002"}, "both shards own some of these logical clusters"
    assert [revision(1, number) for number in range(8)] == written

    machines.stop(shard)
    machines.start(2, *KCP, "shard", "--root-directory", str(second))
    assert [revision(machine, number) for machine in (1, 3) for number in range(8)] == written * 2
