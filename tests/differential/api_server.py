"""A kube-apiserver of its own, with an etcd, for what is said by flags and files. From PEERS_DIR or the PATH."""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from kcp.certificates import Subject, issue, make_authority, now_utc
from tests.clients.peers import free_port, program
from tests.differential.compare import RealServer
from tests.differential.exchanges import Exchange

_START_S = 240.0


@contextmanager
def api_server(directory: Path, flags: Sequence[str]) -> Iterator[Path]:
    """Gives a kubeconfig of an administrator. `directory` is empty."""
    _write_keys(directory)
    port, store, peer = free_port(), free_port(), free_port()
    kubeconfig = _write_access(directory, port)
    with ExitStack() as running:
        store_url, peer_url = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{peer}"
        etcd = [
            program("etcd"), f"--data-dir={directory / 'etcd'}", f"--listen-client-urls={store_url}",
            f"--advertise-client-urls={store_url}", f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}", f"--initial-cluster=default={peer_url}", "--unsafe-no-fsync",
        ]  # fmt: skip
        running.enter_context(_process(etcd, directory / "etcd.log"))
        server = [
            program("kube-apiserver"), f"--etcd-servers={store_url}", "--bind-address=127.0.0.1",
            f"--secure-port={port}", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
            f"--tls-cert-file={directory / 'serving.crt'}", f"--tls-private-key-file={directory / 'serving.key'}",
            f"--token-auth-file={directory / 'tokens.csv'}", f"--service-account-key-file={directory / 'serving.crt'}",
            f"--service-account-signing-key-file={directory / 'serving.key'}",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
            *flags,
        ]  # fmt: skip
        made = running.enter_context(_process(server, directory / "kube-apiserver.log"))
        _wait_until_ready(kubeconfig, made, directory / "kube-apiserver.log")
        yield kubeconfig


def _write_keys(directory: Path) -> None:
    authority = make_authority("serving", now_utc())
    made = issue(authority, Subject("kube-apiserver"), now_utc(), ("127.0.0.1", "localhost"))
    (directory / "serving.crt").write_bytes(made.certificate)
    (directory / "serving.key").write_bytes(made.key)


def _write_access(directory: Path, port: int) -> Path:
    token = secrets.token_hex(16)
    (directory / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    document = {
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = directory / "admin.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_ready(kubeconfig: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    ends = time.monotonic() + _START_S
    while time.monotonic() < ends and process.poll() is None:
        try:
            if RealServer(str(kubeconfig)).ask(Exchange("", "GET", "/api/v1/namespaces"))[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise SystemExit(f"kube-apiserver is not ready:\n{log.read_text()[-3000:]}")
