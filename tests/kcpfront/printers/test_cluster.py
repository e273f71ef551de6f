from kcpfront.printers.cluster import PRINTERS


def test_components() -> None:
    conditions = [{"type": "Healthy", "status": "False", "message": "m", "error": "e"}]
    found = {"metadata": {"name": "a"}, "conditions": conditions}
    assert PRINTERS["", "componentstatuses"].cells(found, 0) == ["a", "Unhealthy", "m", "e"]


def test_claims_of_devices() -> None:
    cells = PRINTERS["resource.k8s.io", "resourceclaims"].cells
    status = {"allocation": {"x": 1}, "reservedFor": [{"name": "p"}]}
    assert cells({"metadata": {"name": "a", "deletionTimestamp": "x"}, "status": status}, 0)[1] == (
        "deleted,allocated,reserved"
    )
