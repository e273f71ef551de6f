import subprocess
import sys
from pathlib import Path

from kcpfront.embedding import EmbeddedServer
from kcpsyncer.__main__ import arguments


def command(kubeconfig: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "kcpsyncer", "controllers", "--kubeconfig", str(kubeconfig), *more]


def test_arguments() -> None:
    found = arguments(["controllers", "--kubeconfig", "k", "--resources-to-sync", "pods", "services"])
    assert found.resources_to_sync == ["pods", "services"] and not found.auto_publish_apis


def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("hello")
    done = subprocess.run(command(path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and "is not a kubeconfig" in done.stderr and "Traceback" not in done.stderr


def test_it_says_when_it_is_ready_and_ends_in_good_order(upstream_server: EmbeddedServer) -> None:
    process = subprocess.Popen(
        command(upstream_server.create_cluster().kubeconfig, "--logical-clusters", "root"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        said = process.stderr.read()
    assert process.returncode == 0 and "Traceback" not in said
