import base64
import os
from collections.abc import Callable
from typing import Any

import pytest


def document(*rules: tuple[list[str], list[dict[str, Any]]]) -> dict[str, Any]:
    entries = [{"resources": resources, "providers": providers} for resources, providers in rules]
    return {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": entries}


def aesgcm(*names: str) -> dict[str, Any]:
    """Keys whose secrets follow from their names."""
    secrets = [base64.b64encode(name.encode().ljust(32, b".")).decode() for name in names]
    keys = [{"name": name, "secret": secret} for name, secret in zip(names, secrets, strict=True)]
    return {"aesgcm": {"keys": keys}}


IDENTITY: dict[str, Any] = {"identity": {}}


@pytest.fixture
def write_configuration(tmp_path: Any) -> Callable[[dict[str, Any]], str]:
    def write(content: dict[str, Any]) -> str:
        import yaml

        path = tmp_path / "encryption.yaml"
        path.write_text(yaml.safe_dump(content))
        os.chmod(path, 0o600)
        return str(path)

    return write
