"""Every kind of credential over two fronts and three shards, by the real kubectl; and that none of them is in a log."""

import base64
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kcpshard.rpc.placement_client import PlacementClient
from kcpshard.rpc.transport import dial
from tests.clients.tier import Tier
from tests.kcpshard.certificate_requests import CLIENT_SIGNER
from tests.scenario.conftest import Kubectl

pytestmark = pytest.mark.process

BOOTSTRAP = ("abcdef", "0123456789abcdef")
USER, OTHER = "--context=user", "--context=admin"


def until(what: str, seconds: float, ask: Callable[[], str]) -> str:
    """What `ask` returns once it is not empty."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := ask():
            return found
        time.sleep(0.2)
    raise AssertionError(f"no {what} in {seconds:g} s")


def whoami(kubectl: Kubectl, *options: str, code: int = 0) -> str:
    return kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", *options, code=code).stdout


def as_nobody(kubeconfig: Path, directory: Path) -> list[str]:
    """The same servers without a user."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"] = []
    for context in config["contexts"]:
        context["context"].pop("user", None)
    path = directory / "nobody.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return ["--kubeconfig", str(path)]


def test_tokens_of_service_accounts(kubectl: Kubectl, kubeconfig: Path, tmp_path: Path, tier: Tier) -> None:
    nobody = as_nobody(kubeconfig, tmp_path)
    kubectl("create", "serviceaccount", "builder", USER)
    token = kubectl("create", "token", "builder", USER).stdout.strip()
    user = "system:serviceaccount:default:builder"
    for _ in range(4):  # over both fronts
        assert whoami(kubectl, *nobody, USER, "--token", token) == user
    assert "Unauthorized" in kubectl("auth", "whoami", *nobody, OTHER, "--token", token, code=1).stderr
    denied = kubectl("get", "configmaps", *nobody, USER, "--token", token, code=1).stderr
    assert f'User "{user}" cannot list' in denied
    kubectl("create", "rolebinding", "builder", "--clusterrole=view", "--serviceaccount=default:builder", USER)
    kubectl("get", "configmaps", *nobody, USER, "--token", token)
    kubectl("delete", "serviceaccount", "builder", USER)
    assert "Unauthorized" in kubectl("get", "configmaps", *nobody, USER, "--token", token, code=1).stderr
    assert token not in logs(tier)


def test_a_token_kept_in_a_secret(kubectl: Kubectl, kubeconfig: Path, tmp_path: Path) -> None:
    nobody = as_nobody(kubeconfig, tmp_path)
    kubectl("create", "serviceaccount", "keeper", USER)
    notes = {"kubernetes.io/service-account.name": "keeper"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keeper", "annotations": notes}}
    secret["type"] = "kubernetes.io/service-account-token"
    kubectl("create", "-f", "-", USER, text=json.dumps(secret))
    ask = ("get", "secret", "keeper", USER, "-o", "jsonpath={.data.token}")
    token = base64.b64decode(until("token", 10, lambda: kubectl(*ask).stdout)).decode()
    assert whoami(kubectl, *nobody, USER, "--token", token) == "system:serviceaccount:default:keeper"
    kubectl("delete", "secret", "keeper", USER)
    assert "Unauthorized" in kubectl("auth", "whoami", *nobody, USER, "--token", token, code=1).stderr
    kubectl("delete", "serviceaccount", "keeper", USER)


def test_certificates_for_one_logical_cluster(kubectl: Kubectl, kubeconfig: Path, tmp_path: Path, tier: Tier) -> None:
    nobody = as_nobody(kubeconfig, tmp_path)
    key, request, certificate = (str(tmp_path / name) for name in ("jane.key", "jane.csr", "jane.crt"))
    make = [
        "openssl",
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/O=devs/CN=jane",
    ]
    subprocess.run([*make, "-keyout", key, "-out", request], check=True, capture_output=True)
    spec = {
        "request": base64.b64encode(Path(request).read_bytes()).decode(),
        "signerName": CLIENT_SIGNER,
        "usages": ["client auth"],
    }
    document = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "jane"},
    }
    kubectl("create", "-f", "-", USER, text=json.dumps({**document, "spec": spec}))
    kubectl("certificate", "approve", "jane", USER)
    ask = ("get", "csr", "jane", USER, "-o", "jsonpath={.status.certificate}")
    Path(certificate).write_bytes(base64.b64decode(until("certificate", 10, lambda: kubectl(*ask).stdout)))
    assert "Approved,Issued" in kubectl("get", "csr", "jane", USER).stdout
    shown = ("--client-certificate", certificate, "--client-key", key)
    assert whoami(kubectl, *nobody, USER, *shown) == "jane"
    assert "Unauthorized" in kubectl("auth", "whoami", *nobody, OTHER, *shown, code=1).stderr
    kubectl("delete", "csr", "jane", USER)
    kubectl("create", "-f", "-", USER, text=json.dumps({**document, "spec": spec}))
    kubectl("certificate", "deny", "jane", USER)
    assert "Denied" in kubectl("get", "csr", "jane", USER).stdout
    assert not kubectl(*ask).stdout, "what is denied is not signed"
    kubectl("delete", "csr", "jane", USER)
    assert Path(key).read_text().splitlines()[1] not in logs(tier)


def test_bootstrap_tokens_and_strangers(kubectl: Kubectl, kubeconfig: Path, tmp_path: Path, tier: Tier) -> None:
    nobody = as_nobody(kubeconfig, tmp_path)
    id_, secret = BOOTSTRAP
    name = f"bootstrap-token-{id_}"
    data = [f"--from-literal={key}={value}" for key, value in (("token-id", id_), ("token-secret", secret))]
    data += ["--from-literal=usage-bootstrap-authentication=true", "--type=bootstrap.kubernetes.io/token"]
    kubectl("create", "secret", "generic", name, "-n", "kube-system", *data, USER)
    token = f"{id_}.{secret}"
    assert whoami(kubectl, *nobody, USER, "--token", token) == f"system:bootstrap:{id_}"
    kubectl("delete", "secret", name, "-n", "kube-system", USER)
    assert "Unauthorized" in kubectl("auth", "whoami", *nobody, USER, "--token", token, code=1).stderr
    assert secret not in logs(tier)


def test_strangers_may_ask_for_the_version_and_little_else(tier: Tier) -> None:
    trust = ssl.create_default_context(cafile=str(tier.root / "pki" / "serving-ca.crt"))

    def code(path: str) -> int:
        try:
            with urllib.request.urlopen(
                f"{tier.server}/clusters/peers-user{path}", context=trust, timeout=10
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    assert [code("/version"), code("/readyz"), code("/api"), code("/metrics")] == [200, 200, 403, 403]
    assert code("/api/v1/namespaces/default/secrets") == 403


async def test_keys_change_while_tokens_stay_good(
    kubectl: Kubectl, kubeconfig: Path, tmp_path: Path, tier: Tier
) -> None:
    nobody = as_nobody(kubeconfig, tmp_path)
    old = kubectl("create", "token", "default", USER).stdout.strip()
    client = PlacementClient(dial(f"unix:{tier.root}/run/shard-1/admin.sock", None))
    new = await client.rotate_keys("tokens")
    await client.close()

    def signed_with_new() -> str:
        made = kubectl("create", "token", "default", USER).stdout.strip()
        header = json.loads(base64.urlsafe_b64decode(made.partition(".")[0] + "=="))
        return made if header["kid"] == new else ""

    token = until("token of the new key", 40, signed_with_new)
    for each in (old, token):
        assert whoami(kubectl, *nobody, USER, "--token", each) == "system:serviceaccount:default:default"


def logs(tier: Tier) -> str:
    return tier.root.with_name(f"{tier.root.name}.log").read_text()
