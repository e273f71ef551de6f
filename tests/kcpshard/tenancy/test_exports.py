import base64
import hashlib

from kcpshard.tenancy import exports
from kcpshard.tenancy.exports import ExportReference

SECRET = {"data": {"key": base64.b64encode(b"k").decode()}}
HASH = hashlib.sha256(b"k").hexdigest()


def test_what_a_binding_refers_to() -> None:
    there = {"spec": {"reference": {"export": {"path": "root:a", "name": "e"}}}}
    assert exports.reference_of(there, "root:b") == ExportReference("root:a", "e")
    here = {"spec": {"reference": {"export": {"name": "e"}}}}
    assert str(exports.reference_of(here, "root:b")) == "root:b:e"


def test_the_hash_of_an_identity() -> None:
    assert exports.hash_of_secret(SECRET) == HASH
    assert exports.hash_of_secret({}) == exports.hash_of_secret({"data": {"key": "%"}}) == ""


def test_the_status_of_an_export() -> None:
    status = exports.export_status({}, SECRET, "https://x", "now")
    assert (status["identityHash"], status["virtualWorkspaces"]) == (HASH, [{"url": "https://x"}])
    assert exports.export_status({"status": status}, SECRET, "https://x", "later") == status
    for secret in (None, {"data": {}}, {"data": {"key": base64.b64encode(b"other").decode()}}):
        changed = exports.export_status({"status": status}, secret, "https://x", "later")
        assert changed["identityHash"] == HASH
        (valid,) = [each for each in changed["conditions"] if each["type"] == "IdentityValid"]
        assert (valid["status"], valid["reason"]) == ("False", "IdentityVerificationFailed")


def test_whether_the_exporter_bounds_what_may_be_done() -> None:
    assert exports.has_policy({"spec": {"maximalPermissionPolicy": {"local": {}}}})
    assert not exports.has_policy({"spec": {}})
