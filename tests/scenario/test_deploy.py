"""The lines of deploy/ are run, as systemd or a kubelet would: a file there that nothing runs goes stale."""

import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAM = "/opt/kcp/.venv/bin/kcp"
pytestmark = pytest.mark.process


def exec_start(unit: Path) -> list[str]:
    (line,) = (line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    return shlex.split(line.removeprefix("ExecStart="))


def container() -> list[str]:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "kcp.yaml").read_text()))
    (workload,) = (d for d in documents if d["kind"] == "StatefulSet")
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    return [*found["command"], *found["args"]]


def moved(command: list[str], tmp_path: Path) -> list[str]:
    """The same on a free port, in a directory of ours, by this Python."""
    assert command[0] == PROGRAM
    words = [word.replace("0.0.0.0:6443", "127.0.0.1:0") for word in command[1:]]
    for kept in ("/var/lib/kcp", "/data"):
        words = [word.replace(kept, str(tmp_path)) for word in words]
    return [sys.executable, "-P", "-m", "kcp", *words]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(exec_start(DEPLOY / "systemd" / "kcp.service"), id="systemd"),
        pytest.param(container(), id="kubernetes"),
    ],
)
def test_the_whole_starts_says_ready_and_stops(command: list[str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(60)
        environment = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(moved(command, tmp_path), env=environment, cwd="/") as process:
            try:
                assert b"READY=1" in notified.recv(4096)
                process.send_signal(signal.SIGTERM)
                assert process.wait(45) == 0
            finally:
                process.kill()


@pytest.mark.parametrize("kind", ["shard", "front"])
def test_a_process_of_another_machine_is_started_by_the_line_of_its_unit(kind: str, tmp_path: Path) -> None:
    """It has not joined: that it says so shows that the line is understood. Joined ones: test_several_machines."""
    command = exec_start(DEPLOY / "systemd" / f"kcp-{kind}.service")
    done = subprocess.run(moved(command, tmp_path), capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode not in (0, 2) and "Traceback" not in done.stderr
    assert "join" in done.stderr
