"""pytest fixtures: a server for the session, and for each test a logical cluster that nobody else uses.

    def test_mine(kcp_cluster):
        kubernetes.config.load_kube_config(str(kcp_cluster.kubeconfig))

pytest finds the plugin by its entry point. Nothing of the server is imported before a fixture is asked for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kcpfront.embedding import EmbeddedCluster, EmbeddedServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("kcp_api_set", "built-in APIs that kcp_server serves: minimal or full", default="minimal")


@pytest.fixture(scope="session")
def kcp_server(pytestconfig: pytest.Config) -> "Iterator[EmbeddedServer]":
    """A server in this process, started once."""
    from kcpfront.embedding import embedded

    with embedded(api_set=str(pytestconfig.getini("kcp_api_set"))) as server:
        yield server


@pytest.fixture
def kcp_cluster(kcp_server: "EmbeddedServer") -> "EmbeddedCluster":
    """A fresh logical cluster: `url`, `token`, `authority_file`, `kubeconfig`."""
    return kcp_server.create_cluster()
