import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kcpshard.callouts.kubeconfig import InvalidKubeconfig, read_kubeconfig
from kcpshard.callouts.targets import ClientConfig


def written(directory: Path, cluster: dict[str, Any], user: dict[str, Any] | None = None) -> Path:
    path = directory / "kubeconfig"
    context = {"cluster": "c", **({"user": "u"} if user is not None else {})}
    document = {
        "current-context": "x",
        "contexts": [{"name": "y", "context": {}}, {"name": "x", "context": context}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_current_context(tmp_path: Path) -> None:
    cluster = {"server": "https://a/b", "certificate-authority-data": base64.b64encode(b"ca").decode()}
    assert read_kubeconfig(written(tmp_path, cluster, {"token": "t"})) == (
        ClientConfig("https://a/b", None, b"ca"),
        "t",
    )


def test_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ca").write_bytes(b"pem")
    (tmp_path / "token").write_text("t\n")
    cluster = {"server": "https://a/", "certificate-authority": str(tmp_path / "ca")}
    path = written(tmp_path, cluster, {"tokenFile": str(tmp_path / "token")})
    assert read_kubeconfig(path) == (ClientConfig("https://a/", None, b"pem"), "t")


def test_nobody_is_a_user_too(tmp_path: Path) -> None:
    found = read_kubeconfig(written(tmp_path, {"server": "https://a/", "insecure-skip-tls-verify": True}))
    assert found == (ClientConfig("https://a/", None, b"", True), "")


@pytest.mark.parametrize(
    ("cluster", "user", "text"),
    [
        ({}, {}, "server"),
        ({"server": "http://a"}, {}, "'https' is the only allowed URL scheme"),
        ({"server": "https://a", "certificate-authority-data": "%"}, {}, "no usable kubeconfig"),
        ({"server": "https://a", "certificate-authority": "/nowhere"}, {}, "nowhere"),
        ({"server": "https://a"}, {"client-certificate": "x"}, "only token and tokenFile"),
    ],
)
def test_what_is_refused(tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidKubeconfig, match=text):
        read_kubeconfig(written(tmp_path, cluster, user))


def test_no_file_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidKubeconfig, match="cannot be read"):
        read_kubeconfig(tmp_path / "nowhere")
    (tmp_path / "empty").write_text("")
    with pytest.raises(InvalidKubeconfig, match="is empty"):
        read_kubeconfig(tmp_path / "empty")
