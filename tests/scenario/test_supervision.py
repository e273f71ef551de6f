"""The real processes die and come back; what was acknowledged stays."""

import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.clients.tier import Tier

pytestmark = pytest.mark.process


def request(tier: Tier, method: str, path: str, body: Any = None) -> Any:
    document = yaml.safe_load(tier.kubeconfig.read_text())
    context = ssl.create_default_context(cafile=str(tier.root / "pki" / "serving-ca.crt"))
    asked = urllib.request.Request(f"{tier.server}{path}", method=method)
    asked.add_header("Authorization", f"Bearer {document['users'][0]['user']['token']}")
    asked.add_header("Content-Type", "application/json")
    data = json.dumps(body).encode() if body is not None else None
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(asked, data, timeout=30, context=context) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            # As clients do: a shard that starts on a busy machine may take longer than a front waits for it.
            if error.code != 503 or "Retry-After" not in error.headers or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def create(tier: Tier, cluster: str, name: str) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    made = request(tier, "POST", f"/clusters/{cluster}/api/v1/namespaces/default/configmaps", body)
    return str(made["metadata"]["resourceVersion"])


def revision(tier: Tier, cluster: str, name: str) -> str:
    found = request(tier, "GET", f"/clusters/{cluster}/api/v1/namespaces/default/configmaps/{name}")
    return str(found["metadata"]["resourceVersion"])


def children(tier: Tier, kind: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(tier.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # a zombie
            if f"kcp{kind}" in child.cmdline():
                found.append(child)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "kcp"


@pytest.fixture
def start(root: Path) -> Iterator[Callable[[int, int], Tier]]:
    """Start that many shards and fronts in `root`; what still runs at the end is killed."""
    started: list[Tier] = []

    def make(shards: int, fronts: int) -> Tier:
        started.append(Tier(root, "--shards", str(shards), "--fronts", str(fronts)))
        started[-1].start()
        return started[-1]

    yield make
    for tier in started:
        tier.kill()


def test_what_was_acknowledged_survives_every_kind_of_death(start: Callable[[int, int], Tier]) -> None:
    tier = start(2, 2)
    clusters = [f"tenant-{number}" for number in range(6)]
    written = {cluster: create(tier, cluster, "kept") for cluster in clusters}

    def everything_is_there(tier: Tier) -> None:
        assert {cluster: revision(tier, cluster, "kept") for cluster in clusters} == written

    for shard in children(tier, "shard"):
        shard.kill()
    everything_is_there(tier)
    children(tier, "front")[0].kill()
    deadline = time.monotonic() + 60
    while len(children(tier, "front")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    everything_is_there(tier)
    tier.kill()
    everything_is_there(start(2, 1))


def free_port() -> tuple[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "--listen", f"127.0.0.1:{probe.getsockname()[1]}"


def test_more_shards_serve_what_fewer_wrote_and_fewer_are_refused(
    start: Callable[[int, int], Tier], root: Path
) -> None:
    tier = start(2, 1)
    written = [create(tier, f"tenant-{number}", "kept") for number in range(6)]
    assert tier.stop() == 0, tier.log()
    tier = start(4, 1)
    assert [revision(tier, f"tenant-{number}", "kept") for number in range(6)] == written
    assert tier.stop() == 0, tier.log()
    refused = subprocess.run(
        [sys.executable, "-P", "-m", "kcp", "start", "--root-directory", str(root), "--shards", "3", *free_port()],
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert "it cannot start with 3" in refused.stderr
    for number in range(1, 5):
        command = [sys.executable, "-P", "-m", "kcp", "shard", "verify", str(root / f"shard-{number}" / "data")]
        verified = subprocess.run(command, capture_output=True, text=True)
        assert verified.returncode == 0, verified.stdout + verified.stderr


def test_idle_connections_do_not_hold_up_a_stop(start: Callable[[int, int], Tier], root: Path) -> None:
    tier = start(1, 1)
    context = ssl.create_default_context(cafile=str(root / "pki" / "serving-ca.crt"))
    connection = HTTPSConnection(tier.server.removeprefix("https://"), context=context, timeout=10)
    connection.request("GET", "/version")
    assert connection.getresponse().read()
    began = time.monotonic()
    assert tier.stop() == 0, tier.log()
    assert time.monotonic() - began < 5  # the drain of a request in flight may take 10 s
    connection.close()
