import subprocess
import sys
from pathlib import Path

import pytest

from kcpfront.__main__ import EXIT_REFUSED
from kcpfront.listener import bind
from tests.kcpfront.tls_files import Authority

pytestmark = pytest.mark.process


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kcpfront", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_missing_certificates_are_one_sentence(tmp_path: Path) -> None:
    found = run("--listen", "127.0.0.1:0", "--pki", str(tmp_path), "--shard", "unix:/nowhere")
    assert found.returncode == EXIT_REFUSED
    assert found.stderr.startswith("kcpfront: cannot use ") and found.stderr.count("\n") == 1


def test_an_occupied_port_is_one_sentence(tmp_path: Path) -> None:
    Authority("a").issue(tmp_path / "serving.crt", tmp_path / "serving.key", "server")
    taken = bind("127.0.0.1", 0, False, 5)
    port = taken.getsockname()[1]
    found = run("--listen", f"127.0.0.1:{port}", "--pki", str(tmp_path), "--shard", "unix:/nowhere")
    taken.close()
    assert found.returncode == EXIT_REFUSED
    assert found.stderr == f"kcpfront: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_listen_address_needs_a_port(tmp_path: Path) -> None:
    found = run("--listen", "localhost", "--pki", str(tmp_path), "--shard", "unix:/nowhere")
    assert found.returncode == EXIT_REFUSED and "not HOST:PORT" in found.stderr


def test_an_audit_policy_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    Authority("a").issue(tmp_path / "serving.crt", tmp_path / "serving.key", "server")
    (tmp_path / "policy.yaml").write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: All}]}")
    asked = ["--pki", str(tmp_path), "--shard", "unix:/nowhere", "--audit-log-path", str(tmp_path / "audit.log")]
    found = run("--listen", "127.0.0.1:0", *asked, "--audit-policy-file", str(tmp_path / "policy.yaml"))
    assert found.returncode == EXIT_REFUSED
    assert "rules[0].level" in found.stderr and found.stderr.count("\n") == 1
