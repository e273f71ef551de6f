"""A whole tier of real processes for clients that are programs of their own: `kcp start` in a directory of its own."""

import json
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class Tier:
    """`kcp start` in a directory of its own, on a free port."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self.kubeconfig = root / "admin.kubeconfig"
        self._options = options
        self._log = root.with_name(f"{root.name}.log")

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "kcp", "start", "--root-directory", str(self.root)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0", *self._options], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("kcp is ready at "), f"kcp start ended:\n{self.log()}"
        self.server = line.split()[4]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def kill(self) -> None:
        """As `kill -9` does; nothing happens to what has ended."""
        self.process.kill()
        if self.process.stdout and not self.process.stdout.closed:
            self.process.communicate(timeout=60)

    def log(self) -> str:
        return self._log.read_text()[-5000:]

    def has_traceback(self) -> bool:
        return "Traceback" in self._log.read_text()


@dataclass(frozen=True)
class Tenant:
    """One logical cluster of a tier, as its administrator reaches it."""

    server: str
    token: str
    authority: Path
    kubeconfig: Path

    def ask(self, path: str, body: Any = None, method: str = "") -> Any:
        """The JSON answer to one request; urllib.error.HTTPError for what is refused."""
        with self._open(path, body, method) as response:
            return json.load(response)

    def stream(self, path: str) -> Iterator[bytes]:
        """The lines of an answer as they come."""
        with self._open(path, None, "GET") as response:
            yield from response

    def _open(self, path: str, body: Any, method: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.server + path, data, headers, method=method or None)
        trust = ssl.create_default_context(cafile=str(self.authority))
        return urllib.request.urlopen(request, context=trust, timeout=60)


def tenant(tier: Tier, path: str) -> Tenant:
    """A logical cluster of that path, born here, with a kubeconfig of its own beside the tier's directory."""
    config = yaml.safe_load(tier.kubeconfig.read_text())
    config["clusters"] = [{**config["clusters"][0], "name": path}]
    config["clusters"][0]["cluster"]["server"] = server = f"{tier.server}/clusters/{path}"
    config["contexts"] = [{"name": path, "context": {"cluster": path, "user": config["users"][0]["name"]}}]
    config["current-context"] = path
    kubeconfig = tier.root.with_name(f"{path}.kubeconfig")
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(config))
    authority = tier.root / "pki" / "serving-ca.crt"
    made = Tenant(server, config["users"][0]["user"]["token"], authority, kubeconfig)
    made.ask("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "birth"}})
    made.ask("/api/v1/namespaces/default/configmaps/birth", method="DELETE")
    return made


@contextmanager
def running_tier(*options: str) -> Iterator[Tier]:
    """Two fronts and three shards that serve all built-in kinds, unless `options` say otherwise."""
    with tempfile.TemporaryDirectory(prefix="kcp-clients-") as directory:
        tier = Tier(Path(directory) / "kcp", "--shards", "3", "--fronts", "2", "--api-set", "full", *options)
        tier.start()
        try:
            yield tier
            assert tier.stop() == 0, tier.log()
            assert not tier.has_traceback(), tier.log()
        finally:
            tier.kill()
