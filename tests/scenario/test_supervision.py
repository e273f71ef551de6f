"""The real processes die and come back; what was acknowledged stays."""

import json
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.scenario.conftest import Tier

pytestmark = pytest.mark.process


def request(tier: Tier, method: str, path: str, body: Any = None) -> Any:
    document = yaml.safe_load(tier.kubeconfig.read_text())
    context = ssl.create_default_context(cafile=str(tier.root / "pki" / "serving-ca.crt"))
    asked = urllib.request.Request(f"{tier.server}{path}", method=method)
    asked.add_header("Authorization", f"Bearer {document['users'][0]['user']['token']}")
    asked.add_header("Content-Type", "application/json")
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(asked, data, timeout=30, context=context) as answer:
        return json.loads(answer.read())


def create(tier: Tier, cluster: str, name: str) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    made = request(tier, "POST", f"/clusters/{cluster}/api/v1/namespaces/default/configmaps", body)
    return str(made["metadata"]["resourceVersion"])


def revision(tier: Tier, cluster: str, name: str) -> str:
    found = request(tier, "GET", f"/clusters/{cluster}/api/v1/namespaces/default/configmaps/{name}")
    return str(found["metadata"]["resourceVersion"])


def children(tier: Tier, kind: str) -> list[psutil.Process]:
    found = psutil.Process(tier.process.pid).children()
    return [child for child in found if f"kcp{kind}" in child.cmdline()]


def test_what_was_acknowledged_survives_every_kind_of_death(tmp_path: Path) -> None:
    tier = Tier(tmp_path / "kcp", "--shards", "2", "--fronts", "2")
    tier.start()
    clusters = [f"tenant-{number}" for number in range(6)]
    written = {cluster: create(tier, cluster, "kept") for cluster in clusters}

    def everything_is_there() -> None:
        assert {cluster: revision(tier, cluster, "kept") for cluster in clusters} == written

    for shard in children(tier, "shard"):
        shard.kill()
    everything_is_there()
    children(tier, "front")[0].kill()
    deadline = time.monotonic() + 10
    while len(children(tier, "front")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    everything_is_there()
    tier.kill()
    tier.start()
    everything_is_there()
    assert tier.stop() == 0, tier.log()
    tier = Tier(tmp_path / "kcp", "--shards", "4", "--fronts", "1")
    tier.start()
    everything_is_there()
    assert tier.stop() == 0, tier.log()


def test_an_orderly_stop_and_start_keeps_everything(tmp_path: Path) -> None:
    tier = Tier(tmp_path / "kcp", "--shards", "1", "--fronts", "1")
    tier.start()
    written = [create(tier, "root", f"item-{number}") for number in range(20)]
    assert tier.stop() == 0, tier.log()
    tier.start()
    assert [revision(tier, "root", f"item-{number}") for number in range(20)] == written
    assert tier.stop() == 0
