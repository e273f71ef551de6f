import subprocess
import sys
from pathlib import Path

PLUGIN = "kcpfront.pytest_plugin"
TESTS = """
seen = []

def test_one(kcp_cluster):
    seen.append(kcp_cluster.path)
    assert kcp_cluster.kubeconfig.exists()

def test_two(kcp_cluster, kcp_server):
    assert seen and kcp_cluster.path not in seen
    assert kcp_cluster.url.startswith(kcp_server.url)
"""


def test_each_test_has_a_logical_cluster_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    plugin = [] if _is_installed() else ["-p", PLUGIN]
    ran = subprocess.run([*command, *plugin, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout


def _is_installed() -> bool:
    """Whether pytest finds the plugin by its entry point; an older installation of the project lacks it."""
    from importlib.metadata import entry_points

    return any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
