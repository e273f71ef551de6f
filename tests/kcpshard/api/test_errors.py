import pytest

from kcpshard.api import errors
from kcpshard.api.errors import ApiError, Cause, invalid, object_conflict, object_invalid, object_not_found, required


def test_a_status_says_what_and_about_what() -> None:
    error = object_not_found("apps", "deployments", "web")
    assert error.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "web" not found',
        "reason": "NotFound",
        "details": {"name": "web", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_faults_are_listed_in_the_message_and_as_causes() -> None:
    faults = [required("metadata.name", "name or generateName is required"), invalid("spec.x", 3, "too large")]
    error = object_invalid("", "ConfigMap", "a", faults)
    assert error.message == (
        'ConfigMap "a" is invalid: [metadata.name: Required value: name or generateName is required, '
        "spec.x: Invalid value: 3: too large]"
    )
    assert [cause["field"] for cause in error.details()["causes"]] == ["metadata.name", "spec.x"]
    assert object_invalid("", "ConfigMap", "a", faults[:1]).message.endswith("is required")


def test_a_conflict_names_the_resource() -> None:
    assert object_conflict("", "configmaps", "a", "no").message == (
        'Operation cannot be fulfilled on configmaps "a": no'
    )


def test_details_leave_out_what_is_empty() -> None:
    assert ApiError("x").status().keys() == {"kind", "apiVersion", "metadata", "status", "message", "code"}
    error = errors.Timeout("x", causes=[Cause("R", "m")], retry_after_s=1, continue_token="t")
    assert error.details() == {"causes": [{"reason": "R", "message": "m"}], "retryAfterSeconds": 1}
    assert error.status()["metadata"] == {"continue": "t"}


# Kinds that other modules add are for between processes or have no reason in Kubernetes (502).
@pytest.mark.parametrize("kind", [kind for kind in ApiError.__subclasses__() if kind.__module__ == errors.__name__])
def test_every_kind_has_a_code_and_a_reason(kind: type[ApiError]) -> None:
    assert 400 <= kind.code < 600 and kind.reason
