"""A whole tier of real processes, two fronts and three shards, and the administrator's kubeconfig.

KCP_SCENARIO_SHARDS is another number of shards; `make scenario` runs with 1, 2 and 4 too. The kubectl of PEERS_DIR and
the one of the PATH, if it is another, take turns.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.tier import Tier


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    shards = os.environ.get("KCP_SCENARIO_SHARDS", "3")
    made = Tier(tmp_path_factory.mktemp("tier") / "kcp", "--shards", shards, "--fronts", "2")
    made.start()
    yield made
    assert made.stop() == 0, made.log()
    assert "Traceback" not in made.log(), made.log()


Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def kubectl_of(place: str) -> str | None:
    """ "peers": that of $PEERS_DIR; "path": that of the PATH, unless it is the same."""
    peers = os.environ.get("PEERS_DIR", "")
    of_peers = shutil.which("kubectl", path=f"{peers}:{peers}/bin") if peers else None
    if place == "peers":
        return of_peers
    found = shutil.which("kubectl")
    return None if found and of_peers and os.path.samefile(found, of_peers) else found


@pytest.fixture(scope="module", params=["peers", "path"])
def kubectl_place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def kubectl_binary(kubectl_place: str) -> str:
    found = kubectl_of(kubectl_place)
    if not found:
        pytest.skip(f"no kubectl of its own in {'$PEERS_DIR' if kubectl_place == 'peers' else 'the PATH'}")
    return found


@pytest.fixture(scope="module")
def kubeconfig(tier: Tier, kubectl_place: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The administrator's, with logical clusters that only this kubectl uses."""
    path = tmp_path_factory.mktemp("kubeconfig") / "config"
    path.write_text(tier.kubeconfig.read_text().replace("/clusters/", f"/clusters/{kubectl_place}-"))
    return path


@pytest.fixture(scope="module")
def kubectl(tier: Tier, kubectl_binary: str, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Run kubectl with that kubeconfig and a cache of its own. Fails the test unless `code` is met."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str, text: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(kubeconfig)}
        done = subprocess.run(
            [kubectl_binary, *arguments], input=text, capture_output=True, text=True, env=environment, timeout=60
        )
        assert done.returncode == code, f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}\n{tier.log()}"
        return done

    return run
