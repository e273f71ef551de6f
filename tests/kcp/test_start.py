"""`kcp start` as an operator meets it: a real supervisor over programs that only pretend to be shards and fronts."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

FAKE = Path(__file__).with_name("fake_program.py")
# The command with the programs replaced; everything else is as `kcp start` does it.
SCRIPT = f"""
import sys, kcp.programs
kcp.programs.PYTHON = (sys.executable, {str(FAKE)!r}, "-m")
from kcp.__main__ import main
main(prog_name="kcp")
"""


class Start:
    """One run of `kcp start --root-directory ROOT …`."""

    def __init__(self, root: Path, *options: str, under: tuple[str, ...] = (), **environment: str) -> None:
        command = [*under, sys.executable, "-c", SCRIPT, "start", "--root-directory", str(root)]
        variables = os.environ | {"KCP_FAKE_JOURNAL": str(root.parent / "journal")} | environment
        self.process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=variables,
        )

    def ready(self) -> str:
        """Wait until it serves; returns its first line."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"it ended: {self.process.communicate()[1]}")
        return line

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def refusal(self) -> str:
        """It must end by itself with a code and a sentence on standard error; returns the sentence."""
        output, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 1, errors
        assert output == ""
        assert "Traceback" not in errors
        said = [line for line in errors.splitlines() if line.startswith("kcp: ")]
        assert len(said) == 1, errors
        return said[0].removeprefix("kcp: ")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A directory that does not exist yet; whatever was started there is gone afterwards."""
    yield tmp_path / "kcp"
    for line in (tmp_path / "journal").read_text().splitlines() if (tmp_path / "journal").exists() else ():
        try:
            status = psutil.Process(int(line.split()[2])).status()
        except psutil.NoSuchProcess:
            continue
        assert status == psutil.STATUS_ZOMBIE, f"still running: {line}"  # who reaps an orphan is not our business


def test_a_first_start_makes_an_installation_and_says_how_to_use_it(root: Path) -> None:
    start = Start(root, "--shards", "2", "--fronts", "2")
    assert start.process.stdout
    text = start.ready() + "".join(start.process.stdout.readline() for _ in range(4))
    server = yaml.safe_load((root / "admin.kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    assert f"export KUBECONFIG={root}/admin.kubeconfig" in text
    assert f"kcp is ready at {server.removesuffix('/clusters/root')} (shards: 2, fronts: 2)" in text
    assert sorted(path.name for path in root.iterdir()) == [
        "admin.kubeconfig", "controllers.kubeconfig", "installation.json", "lock", "pki", "run", "shard-1", "shard-2",
        "tokens.csv",
    ]  # fmt: skip
    assert start.stop() == 0
    for path in [root, *root.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_later_start_keeps_everything(root: Path) -> None:
    start = Start(root, "--shards", "2")
    start.ready()
    assert start.stop(signal.SIGINT) == 0
    kept = {path: path.read_bytes() for path in [root / "installation.json", root / "tokens.csv", *root.glob("pki/*")]}
    again = Start(root)
    assert "(shards: 2," in again.ready()
    again.stop()
    assert kept == {path: path.read_bytes() for path in kept}


def test_more_shards_join_and_fewer_are_refused(root: Path) -> None:
    for number in ("1", "3"):
        start = Start(root, "--shards", number)
        start.ready()
        start.stop()
    assert "it cannot start with 2" in Start(root, "--shards", "2").refusal()


def test_a_directory_in_use_is_refused_and_its_owner_goes_on(root: Path) -> None:
    start = Start(root)
    start.ready()
    assert Start(root).refusal() == f"directory {root} is in use by process {start.process.pid}"
    assert start.stop() == 0


def test_an_occupied_port_leaves_nothing_behind(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = Start(root, "--listen", f"127.0.0.1:{port}").refusal()
    assert said == f"port {port} of 127.0.0.1 is in use by another program"
    assert not root.exists()


def test_after_a_kill_a_new_start_is_possible_at_once(root: Path) -> None:
    start = Start(root, "--shards", "2")
    start.ready()
    start.process.kill()
    again = Start(root)
    start.process.communicate()
    again.ready()
    assert again.stop() == 0


def test_a_shard_that_cannot_start_is_quoted(root: Path) -> None:
    said = Start(root, KCP_FAKE_SHARD_REFUSES="kcpshard: data is damaged: CURRENT is missing").refusal()
    assert said.startswith("shard-1 ended with code 3 before it was ready: kcpshard: data is damaged")
    again = Start(root)
    again.ready()
    again.stop()


def test_a_root_that_is_a_file_is_refused(root: Path) -> None:
    root.touch()
    assert "is a file" in Start(root).process.communicate(timeout=60)[1]


def test_json_logs_are_json(root: Path) -> None:
    import json

    start = Start(root, "--log-format", "json")
    start.ready()
    start.process.send_signal(signal.SIGTERM)
    errors = start.process.communicate(timeout=60)[1]
    assert {json.loads(line)["process"] for line in errors.splitlines()} == {"kcp"}


requires_mounts = pytest.mark.skipif(
    os.getuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
    reason="needs root and mount namespaces",
)


def mounted(options: str, at: Path) -> tuple[str, ...]:
    """Run a command with a small file system of its own on `at`."""
    at.mkdir()
    return ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o {options} none {at} && exec "$@"', "sh")


@requires_mounts
def test_a_full_disk_at_the_first_start(root: Path) -> None:
    disk = root.parent / "disk"
    said = Start(disk / "kcp", under=mounted("size=16k", disk)).refusal()
    assert said.startswith(f"cannot write {disk}/kcp/")
    assert said.endswith(": No space left on device")


@requires_mounts
def test_a_read_only_directory(root: Path) -> None:
    disk = root.parent / "disk"
    said = Start(disk / "kcp", under=mounted("ro", disk)).refusal()
    assert said == f"cannot write {disk}/kcp: Read-only file system"


def test_the_lock_is_held_until_the_last_child_has_ended(root: Path) -> None:
    """What makes a start right after a kill safe: children inherit the lock."""
    start = Start(root)
    start.ready()
    [shard] = {int(line.split()[2]) for line in (root.parent / "journal").read_text().splitlines() if "shard" in line}
    held = {os.readlink(entry) for entry in Path(f"/proc/{shard}/fd").iterdir() if entry.exists()}
    assert str(root / "lock") in held
    start.stop()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{shard}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--audit-log-path", "audit.log"), "need --audit-policy-file"),
        (("--audit-policy-file", __file__), "needs --audit-log-path or"),
    ],
)
def test_half_of_an_audit_configuration_is_refused(root: Path, options: tuple[str, ...], text: str) -> None:
    _, error = Start(root, *options).process.communicate(timeout=30)
    assert text in error
