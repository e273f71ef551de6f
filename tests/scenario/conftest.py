"""A whole tier of real processes: three shards, two fronts, and the administrator's kubeconfig."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


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


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    made = Tier(tmp_path_factory.mktemp("tier") / "kcp", "--shards", "3", "--fronts", "2")
    made.start()
    yield made
    assert made.stop() == 0, made.log()
    assert "Traceback" not in made.log(), made.log()


Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def kubectl_binary() -> str:
    """The newest we know of: that of the peers, else the one on the PATH."""
    peers = os.environ.get("PEERS_DIR")
    path = os.pathsep.join(filter(None, [peers, peers and f"{peers}/bin", os.environ.get("PATH")]))
    found = shutil.which("kubectl", path=path)
    if not found:
        pytest.skip("needs kubectl on the PATH or in $PEERS_DIR")
    return found


@pytest.fixture(scope="module")
def kubectl(tier: Tier, kubectl_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Run kubectl with the administrator's kubeconfig and a cache of its own. Fails the test unless `code` is met."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str, text: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(tier.kubeconfig)}
        done = subprocess.run(
            [kubectl_binary, *arguments], input=text, capture_output=True, text=True, env=environment, timeout=60
        )
        assert done.returncode == code, f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}\n{tier.log()}"
        return done

    return run
