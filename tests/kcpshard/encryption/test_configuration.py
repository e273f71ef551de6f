import os
from pathlib import Path
from typing import Any

import pytest

from kcpshard.encryption.configuration import ConfigurationError, KmsPlugin, LocalKey, parse, read
from tests.kcpshard.encryption.conftest import IDENTITY, aesgcm, document

KMS: dict[str, Any] = {"kms": {"apiVersion": "v2", "name": "k", "endpoint": "unix:///run/kms.sock", "timeout": "500ms"}}


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("secrets", ["secrets"], ["configmaps", "secrets.example.dev"]),
        ("deployments.apps", ["deployments.apps"], ["deployments", "deployments.example.dev"]),
        ("*.apps", ["deployments.apps"], ["secrets", "deployments.apps.example.dev"]),
        ("*.", ["secrets", "configmaps"], ["deployments.apps"]),
        ("*.*", ["secrets", "deployments.apps"], []),
    ],
)
def test_which_resources_a_pattern_covers(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    found = parse(document(([pattern], [aesgcm("a")])))
    assert all(found.writer_of(each) is not None for each in covered)
    assert not any(found.writer_of(each) for each in not_covered)


def test_the_first_provider_writes_and_the_first_rule_counts() -> None:
    rules = document((["configmaps"], [IDENTITY, aesgcm("old")]), (["*."], [aesgcm("new", "old"), KMS]))
    found = parse(rules)
    assert found.writer_of("configmaps") is None
    writer = found.writer_of("secrets")
    assert isinstance(writer, LocalKey) and writer.name == "new"
    assert [provider.name for provider in found.providers] == ["old", "new", "k"]
    assert found.providers[-1] == KmsPlugin("k", "unix:///run/kms.sock", 0.5)


def test_a_secret_is_never_shown() -> None:
    assert "xyz" not in repr(LocalKey("name", b"xyz"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param([], "not an EncryptionConfiguration", id="a list"),
        pytest.param({"kind": "Other"}, "not an EncryptionConfiguration", id="another kind"),
        pytest.param(document(), r"^resources: must be a list", id="no rules"),
        pytest.param(document(([], [IDENTITY])), r"resources\[0\].resources", id="no resources"),
        pytest.param(document((["secrets"], [])), r"resources\[0\].providers", id="no providers"),
        pytest.param(document((["secrets"], [{}])), "exactly one provider", id="an empty provider"),
        pytest.param(document((["secrets"], [{"aescbc": {}}])), "not known", id="a provider we do not have"),
        pytest.param(
            document((["secrets"], [{"aesgcm": {"keys": [{"name": "a", "secret": "eA=="}]}}])),
            r"keys\[0\].secret: must be 16, 24 or 32 bytes, it is 1",
            id="a short key",
        ),
        pytest.param(
            document((["secrets"], [{"aesgcm": {"keys": [{"name": "a", "secret": "%"}]}}])), "base64", id="no base64"
        ),
        pytest.param(document((["secrets"], [{"aesgcm": {"keys": [{}]}}])), r"keys\[0\].name", id="no name"),
        pytest.param(document((["secrets"], [{"kms": {"apiVersion": "v1"}}])), "only v2", id="an old KMS"),
        pytest.param(
            document((["secrets"], [{"kms": {"apiVersion": "v2", "name": "k", "endpoint": "http://x"}}])),
            "unix socket",
            id="a KMS on the network",
        ),
        pytest.param(
            document((["secrets"], [{"kms": {**KMS["kms"], "timeout": "soon"}}])), "duration", id="no duration"
        ),
        pytest.param(
            document(
                (["secrets"], [aesgcm("a")]),
                (["configmaps"], [{"aesgcm": {"keys": [{"name": "a", "secret": "MDEyMzQ1Njc4OWFiY2RlZg=="}]}}]),
            ),
            "two different keys",
            id="one name, two secrets",
        ),
    ],
)
def test_what_is_wrong_is_named(content: object, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        parse(content)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with pytest.raises(ConfigurationError, match="No such file"):
        read(path)
    path.write_text("kind: [")
    os.chmod(path, 0o600)
    with pytest.raises(ConfigurationError, match="no YAML"):
        read(path)
    os.chmod(path, 0o644)
    with pytest.raises(ConfigurationError, match="make it 0600"):
        read(path)
