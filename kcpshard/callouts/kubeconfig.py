"""How an operator's webhook is reached: a kubeconfig file, as for kube-apiserver. Read once; no calls are made here."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kcpshard.callouts.errors import InvalidTarget
from kcpshard.callouts.targets import ClientConfig, target


class InvalidKubeconfig(ValueError):
    """The text is one sentence for the operator."""


def read_kubeconfig(path: str | Path) -> tuple[ClientConfig, str]:
    """The current context: where and whom to trust, and the token to show, "" for none. Raises InvalidKubeconfig."""
    document = read_document(path)
    try:
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document.get("users") or (), context["user"])["user"] if context.get("user") else {}
        config = ClientConfig(cluster["server"], None, _bundle(cluster), bool(cluster.get("insecure-skip-tls-verify")))
        target(config)
        token = user.get("token") or ""
        if not token and user.get("tokenFile"):
            token = Path(user["tokenFile"]).read_text().strip()
    except (KeyError, TypeError, StopIteration, OSError, ValueError, InvalidTarget) as error:
        raise InvalidKubeconfig(f"{path} is no usable kubeconfig: {error}") from None
    if user.keys() - {"token", "tokenFile"}:
        raise InvalidKubeconfig(f"{path}: of a user only token and tokenFile are supported")
    return config, token


def read_document(path: str | Path) -> Mapping[str, Any]:
    """A YAML file that holds an object. Raises InvalidKubeconfig."""
    try:
        document = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidKubeconfig(f"{path} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise InvalidKubeconfig(f"{path} is empty")
    return document


def _named(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _bundle(cluster: Mapping[str, Any]) -> bytes:
    if data := cluster.get("certificate-authority-data"):
        return base64.b64decode(data, validate=True)
    path = cluster.get("certificate-authority")
    return Path(path).read_bytes() if path else b""
