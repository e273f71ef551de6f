"""A small tier of real processes on a bad day, and a client that shows codes and Status objects as they come."""

import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.clients.tier import Tier

# Small buffers, so that a few megabytes of writes make RocksDB flush, and a full disk needs no gigabytes.
SMALL_STORE = "write_buffer_bytes=1048576,wal_bytes=2097152,reserved_bytes=8388608"
COLLECTION = "/clusters/{}/api/v1/namespaces/default/configmaps"


class BadDay:
    """One shard and one front in `root`. `environment` is for the next start."""

    def __init__(self, root: Path) -> None:
        self.tier = Tier(root, "--shards", "1", "--fronts", "1")
        self.root, self.environment = root, {"KCP_SHARD_SETTINGS": SMALL_STORE}

    @contextmanager
    def running(self) -> Iterator["BadDay"]:
        """Started, and stopped in good order."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            self.tier.start()
        try:
            yield self
            assert self.tier.stop() == 0, self.tier.log()
        finally:
            self.tier.kill()

    @property
    def data(self) -> Path:
        return self.root / "shard-1" / "data"

    def process(self, kind: str) -> psutil.Process:
        for child in psutil.Process(self.tier.process.pid).children():
            with suppress(psutil.Error):
                if f"kcp{kind}" in child.cmdline():
                    return child
        raise LookupError(kind)

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.root / "pki" / "serving-ca.crt"))
        host, _, port = self.tier.server.removeprefix("https://").rpartition(":")
        return http.client.HTTPSConnection(host, int(port), timeout=30, context=context)

    def ask(
        self, method: str, path: str, body: Any = None, connection: http.client.HTTPSConnection | None = None
    ) -> tuple[int, Any]:
        """Code and document (or text)."""
        token = yaml.safe_load((self.root / "admin.kubeconfig").read_text())["users"][0]["user"]["token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        used = connection or self.connect()
        try:
            used.request(method, path, None if body is None else json.dumps(body), headers)
            answer = used.getresponse()
            raw = answer.read()
        finally:
            if connection is None:
                used.close()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json") and "watch=" not in path
        return answer.status, json.loads(raw) if is_json else raw.decode()

    def create(self, name: str, size: int = 0, cluster: str = "root") -> tuple[int, Any]:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        data = {"data": {"value": os.urandom(size // 2).hex()}}
        return self.ask("POST", COLLECTION.format(cluster), {**body, **data})

    def get(self, name: str, cluster: str = "root") -> tuple[int, Any]:
        return self.ask("GET", f"{COLLECTION.format(cluster)}/{name}")

    def delete(self, name: str, cluster: str = "root") -> tuple[int, Any]:
        return self.ask("DELETE", f"{COLLECTION.format(cluster)}/{name}")

    def everything(self, cluster: str = "root") -> tuple[int, Any]:
        return self.ask("GET", COLLECTION.format(cluster))

    def names(self, cluster: str = "root") -> list[str]:
        """Of the objects there, without what is published into every namespace."""
        found = (item["metadata"]["name"] for item in self.everything(cluster)[1]["items"])
        return sorted(name for name in found if name != "kube-root-ca.crt")

    def metric(self, line: str, connection: http.client.HTTPSConnection | None = None) -> float:
        """The value behind a metric's name and labels; 0 if there is none."""
        _, text = self.ask("GET", "/metrics", connection=connection)
        return sum(float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(line))


def until(holds: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size; needs the right to mount."""
    directory.mkdir()
    mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory))
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
