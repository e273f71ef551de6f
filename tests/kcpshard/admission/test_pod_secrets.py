from typing import Any

import pytest

from kcpshard.admission.pod_secrets import are_limited, fault, has_secrets

ENV = {"name": "c", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
ENV_FROM = {"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}
NOT = "is not allowed because service account a does not reference that"


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [ENV]},
        {"initContainers": [ENV_FROM]},
        {"imagePullSecrets": [{"name": "s"}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        {"volumes": [{"name": "v", "csi": {"nodePublishSecretRef": {"name": "s"}}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]},
    ],
)
def test_every_way_to_a_secret_is_seen(spec: dict[str, Any]) -> None:
    assert has_secrets(spec)


def test_a_pod_without_secrets() -> None:
    projected = {"sources": [{"configMap": {"name": "c"}}]}
    assert not has_secrets({"containers": [{"name": "c"}], "volumes": [{"name": "v", "projected": projected}]})


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"containers": [ENV]}, f'container c with envVar E referencing secret.secretName="s" {NOT} secret'),
        (
            {"initContainers": [ENV_FROM]},
            f'init container c with envFrom referencing secret.secretName="s" {NOT} secret',
        ),
        ({"volumes": [{"secret": {"secretName": "s"}}]}, f'volume with secret.secretName="s" {NOT} secret'),
        ({"imagePullSecrets": [{"name": "s"}]}, f'imagePullSecrets[0].name="s" {NOT} imagePullSecret'),
        ({"volumes": [{"secret": {"secretName": "listed"}}]}, ""),
    ],
)
def test_what_an_account_does_not_list(spec: dict[str, Any], text: str) -> None:
    account = {"metadata": {"name": "a"}, "secrets": [{"name": "listed"}]}
    assert fault(account, spec, ("initContainers", "containers")) == text


def test_only_accounts_that_say_so_limit() -> None:
    def account(value: str) -> dict[str, Any]:
        return {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": value}}}

    assert are_limited(account("true")) and not are_limited(account("yes"))
    assert not are_limited({"metadata": {}})
