import pytest

from kcpshard.admission.pod_security_levels import DEFAULT, LATEST, PREFIX, Policy, Standard, policy_of


def labels(**marks: str) -> dict[str, str]:
    return {PREFIX + mode.replace("_", "-"): value for mode, value in marks.items()}


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        pytest.param({}, DEFAULT, id="nothing asked"),
        pytest.param({"audit": "baseline"}, Policy(audit=Standard("baseline")), id="audit alone"),
        pytest.param(
            {"enforce": "restricted", "enforce_version": "v1.20"},
            Policy(Standard("restricted", 20), Standard(), Standard("restricted", 20)),
            id="what is enforced is warned of",
        ),
        pytest.param(
            {"enforce": "restricted", "enforce_version": "v1.20", "warn_version": "latest"},
            Policy(Standard("restricted", 20), Standard(), Standard("restricted", LATEST)),
            id="by a version of its own",
        ),
        pytest.param(
            {"enforce": "baseline", "warn": "privileged"}, Policy(Standard("baseline")), id="unless it is said not to"
        ),
    ],
)
def test_labels_name_standards(marks: dict[str, str], expected: Policy) -> None:
    assert policy_of(labels(**marks)) == (expected, [])


@pytest.mark.parametrize(
    ("marks", "level", "fault"),
    [
        ({"enforce": "x"}, "restricted", 'Invalid value: "x": must be one of privileged, baseline, restricted'),
        ({"enforce_version": "1.20"}, "privileged", 'Invalid value: "1.20": must be "latest" or "v1.x"'),
        ({"enforce_version": "v1.01"}, "privileged", 'Invalid value: "v1.01": must be "latest" or "v1.x"'),
        ({"enforce_version": f"v1.{1 << 63}"}, "privileged", f'"v1.{1 << 63}": must be "latest" or "v1.x"'),
    ],
)
def test_what_is_not_understood_is_told_and_counts_as_strict(marks: dict[str, str], level: str, fault: str) -> None:
    policy, faults = policy_of(labels(**marks))
    assert policy.enforce == Standard(level)
    assert str(faults[0]).endswith(fault)


def test_unknown_levels_of_warnings_are_lenient() -> None:
    policy, faults = policy_of(labels(warn="x", audit="y"))
    assert policy.is_privileged and len(faults) == 2


def test_standards_read_as_labels_do() -> None:
    assert (str(Standard("baseline", 7)), str(Standard())) == ("baseline:v1.7", "privileged:latest")
