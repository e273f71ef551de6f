from kcpfront.printers.networking import PRINTERS


def test_a_service_of_unknown_type() -> None:
    cells = PRINTERS["", "services"].cells({"metadata": {"name": "a"}}, 0)
    assert cells[1:5] == ["", "<none>", "<unknown>", "<none>"]


def test_endpoints_without_anything() -> None:
    assert PRINTERS["", "endpoints"].cells({"metadata": {"name": "a"}}, 0)[1] == "<none>"
    assert PRINTERS["discovery.k8s.io", "endpointslices"].cells({"metadata": {"name": "a"}}, 0)[2] == "<unset>"
