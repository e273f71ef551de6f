import pytest

from kcpshard.api.requests import Identity
from kcpshard.definitions.kinds.certificates import signer_name_faults
from tests.differential.kinds import _certificate_request
from tests.kcpshard.definitions.submission import create, resource, submitted, update

REQUESTS = resource("certificatesigningrequests", "certificates.k8s.io")
SPEC = {"request": _certificate_request(), "signerName": "a.b/c", "usages": ["client auth"]}


def test_who_asks_is_what_the_server_knows() -> None:
    found = submitted(REQUESTS, {"spec": {**SPEC, "username": "root", "groups": ["system:masters"], "uid": "1"}})
    REQUESTS.strategy.attribute(found, Identity("jane", "", ("devs",), {"a": ("b",)}))
    assert found["spec"] == {**SPEC, "username": "jane", "groups": ["devs"], "extra": {"a": ["b"]}}


def test_nothing_of_the_spec_changes() -> None:
    old, faults = create(REQUESTS, spec=SPEC, status={"conditions": []})
    assert faults == [] and old["status"] == {}
    assert update(REQUESTS, old, spec={**SPEC, "signerName": "x.y/z"})[0]["spec"] == old["spec"]


def test_decisions_come_through_approval_and_stay() -> None:
    old, _ = create(REQUESTS, spec=SPEC)
    approved = {"conditions": [{"type": "Approved", "status": "True"}]}
    new, faults = update(REQUESTS, old, "approval", status=approved)
    assert faults == [] and new["status"]["conditions"][0]["lastUpdateTime"]
    assert update(REQUESTS, old, "status", status=approved)[1] == ["status.conditions"]
    assert update(REQUESTS, new, "approval", status={})[1] == ["status.conditions"]
    assert update(REQUESTS, new, "approval", status={"certificate": "YQ=="})[0]["status"].get("certificate") is None


def test_a_forged_request_is_refused() -> None:
    assert create(REQUESTS, spec={**SPEC, "request": "YQ=="})[1] == ["spec.request"]


@pytest.mark.parametrize("name", ["", "a", "a/b", "a.b/c/d", "A.b/c", "a.b/c_"])
def test_signer_names(name: str) -> None:
    assert list(signer_name_faults(name))
