import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kcpshard.authorization.configuration import NODE, RBAC, InvalidConfiguration, WebhookSettings, read_configuration


def kubeconfig(directory: Path, **user: str) -> str:
    path = directory / "webhook.kubeconfig"
    cluster = {
        "server": "https://authz.example.com/ask",
        "certificate-authority-data": base64.b64encode(b"ca").decode(),
    }
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


def webhook(path: str, **changes: Any) -> dict[str, Any]:
    settings = {
        "timeout": "3s",
        "subjectAccessReviewVersion": "v1",
        "failurePolicy": "Deny",
        "authorizedTTL": "1m30s",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": path},
    }
    return {"type": "Webhook", "name": "outside", "webhook": {**settings, **changes}}


def conditions(*texts: str) -> dict[str, Any]:
    found = [{"expression": text} for text in texts]
    return {"matchConditions": found, "matchConditionSubjectAccessReviewVersion": "v1"}


def written(directory: Path, *authorizers: dict[str, Any]) -> str:
    path = directory / "authorization.yaml"
    document = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    path.write_text(yaml.safe_dump({**document, "authorizers": list(authorizers)}))
    return str(path)


def test_an_order(tmp_path: Path) -> None:
    path = written(tmp_path, webhook(kubeconfig(tmp_path, token="t")), {"type": "RBAC", "name": "rbac"})
    first, second = read_configuration(path)
    assert second == RBAC and isinstance(first, WebhookSettings)
    assert (first.client.url, first.client.ca_bundle, first.token) == ("https://authz.example.com/ask", b"ca", "t")
    assert first[3:] == (3.0, 90.0, 30.0, True, (), "v1")


def test_nodes_conditions_and_what_is_not_remembered(tmp_path: Path) -> None:
    more = {"subjectAccessReviewVersion": "v1beta1", "cacheAuthorizedRequests": False, **conditions("true", "false")}
    path = written(tmp_path, {"type": "Node", "name": "node"}, webhook(kubeconfig(tmp_path), **more))
    first, second = read_configuration(path)
    assert first == NODE and isinstance(second, WebhookSettings)
    assert [each.text for each in second.conditions] == ["true", "false"]
    assert (second.version, second.authorized_ttl_s, second.unauthorized_ttl_s) == ("v1beta1", 0.0, 30.0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"timeout": "1m"}, "timeout"),
        ({"timeout": 3}, "not a duration"),
        ({"failurePolicy": "Ignore"}, "failurePolicy"),
        ({"subjectAccessReviewVersion": "v2"}, "must be v1 or v1beta1"),
        ({"matchConditions": [{"expression": "true"}]}, "matchConditionSubjectAccessReviewVersion must be v1"),
        ({"authorizedTTL": "0s"}, "authorizedTTL must be > 0s"),
        (conditions("request.user"), "must evaluate to bool but got string"),
        (conditions("request.nobody == 'x'"), "undefined field 'nobody'"),
        (conditions(""), "must not be empty"),
        (conditions("true", "true"), "another one"),
        (conditions(*(f"{n} == 0" for n in range(65))), "at most 64"),
        ({"connectionInfo": {"type": "InClusterConfig"}}, "KubeConfigFile"),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidConfiguration, match=text):
        read_configuration(written(tmp_path, webhook(kubeconfig(tmp_path), **changes)))


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="Others"):
        read_configuration(written(tmp_path, {"type": "Others", "name": "others"}))
    with pytest.raises(InvalidConfiguration, match="at least one"):
        read_configuration(written(tmp_path))
    with pytest.raises(InvalidConfiguration, match="tokenFile"):
        read_configuration(written(tmp_path, webhook(kubeconfig(tmp_path, password="p"))))
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_configuration(str(tmp_path / "nowhere"))
