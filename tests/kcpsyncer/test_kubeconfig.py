"""What is refused is neither executed, opened nor dialled: parsing is pure, and the traps below would tell."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kcpsyncer.kubeconfig import Unusable, parse, refused_fields

PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nxyz\n-----END CERTIFICATE-----\n").decode()
SERVER = "https://east.example:6443"


def config(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **more: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": SERVER, **(cluster or {})}}],
            "users": [{"name": "u", "user": {"token": "t", **(user or {})}}],
            **more,
        }
    )


def test_a_token() -> None:
    found = parse(config({"certificate-authority-data": PEM, "tls-server-name": "api"}))
    assert (found.server, found.token, found.server_name) == (SERVER, "t", "api")
    assert found.authority.startswith("-----BEGIN")


def test_a_certificate() -> None:
    found = parse(config(user={"token": "", "client-certificate-data": PEM, "client-key-data": PEM}))
    assert found.certificate and found.key and not found.token


def test_secrets_are_not_shown() -> None:
    found = parse(config(user={"token": "sesame", "client-certificate-data": PEM, "client-key-data": PEM}))
    assert "sesame" not in repr(found) and "BEGIN" not in repr(found)


def trap(path: Path) -> dict[str, Any]:
    """An exec plug-in that would leave a trace."""
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": "/usr/bin/touch", "args": [str(path)]}


@pytest.mark.parametrize("name", list(refused_fields()))
def test_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a kubeconfig made us do something")

    for place in ("subprocess.Popen", "os.system", "builtins.open", "socket.socket.connect", "io.open", "os.open"):
        monkeypatch.setattr(place, forbidden)
    key = name.rpartition(".")[2]
    value: Any = trap(tmp_path / "executed") if key == "exec" else True if key.startswith("insecure") else "/etc/passwd"
    text = config({key: value}) if name.startswith("clusters") else config(user={key: value})
    with pytest.raises(Unusable) as refusal:
        parse(text)
    assert refusal.value.field == name.replace("clusters[]", "clusters[c]").replace("users[]", "users[u]")
    assert "passwd" not in str(refusal.value)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("http://east.example", "must be https"),
        ("unix:///run/x.sock", "must be https"),
        ("https://user:pass@east.example", "https://host"),
        ("https://", "https://host"),
        ("https://east.example:x", "not a URL"),
        ("https://east.example/?a=b", "https://host"),
        ("", "is not set"),
    ],
)
def test_servers(server: str, said: str) -> None:
    with pytest.raises(Unusable, match=said) as refusal:
        parse(config({"server": server}))
    assert refusal.value.field == "clusters[c].cluster.server"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("hello", ""),
        ("a: [", ""),
        ("a: &a [1]\nb: *a", ""),
        (config(**{"current-context": ""}), "current-context"),
        (config(**{"current-context": "y"}), "contexts"),
        (config(users=[]), "users"),
        (config(clusters="c"), "clusters"),
        (config(user={"token": "a\nb"}), "users[u].user.token"),
        (config(user={"token": ""}), "users[u].user"),
        (config(user={"client-key-data": PEM}), "users[u].user.client-certificate-data"),
        (config({"certificate-authority-data": "!"}), "clusters[c].cluster.certificate-authority-data"),
        (config({"certificate-authority-data": "aGVsbG8="}), "clusters[c].cluster.certificate-authority-data"),
        ("x" * 300_000, ""),
    ],
)
def test_what_is_no_kubeconfig(text: str, where: str) -> None:
    with pytest.raises(Unusable) as refusal:
        parse(text)
    assert refusal.value.field == where
