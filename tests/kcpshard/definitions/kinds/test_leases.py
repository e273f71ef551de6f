from tests.kcpshard.definitions.submission import create, resource

LEASES = resource("leases", "coordination.k8s.io")


def test_lease_numbers() -> None:
    assert create(LEASES, spec={"leaseDurationSeconds": 0, "leaseTransitions": -1})[1] == [
        "spec.leaseDurationSeconds", "spec.leaseTransitions",
    ]  # fmt: skip
    assert create(LEASES, spec={"leaseDurationSeconds": 1, "leaseTransitions": 0})[1] == []


def test_coordinated_election_is_off() -> None:
    assert create(LEASES, spec={"strategy": "X", "preferredHolder": "y", "holderIdentity": "z"})[0]["spec"] == {
        "holderIdentity": "z"
    }
