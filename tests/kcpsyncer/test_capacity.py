from typing import Any

import pytest

from kcpsyncer.capacity import quantity, totals


def node(cpu: str, memory: str, ready: str = "True", **spec: Any) -> dict[str, Any]:
    status = {"allocatable": {"cpu": cpu, "memory": memory}, "conditions": [{"type": "Ready", "status": ready}]}
    return {"spec": spec, "status": status}


def test_nodes_that_take_pods_are_added_up() -> None:
    nodes = [
        node("1500m", "1Gi"),
        node("2", "512Mi"),
        node("8", "1Gi", ready="False"),
        node("8", "1Gi", unschedulable=True),
    ]
    assert totals(nodes, "allocatable") == {"cpu": "3500m", "memory": "1536Mi"}
    assert totals([node("1", "x"), node("1", "2Gi")], "allocatable") == {"cpu": "2", "memory": "2Gi"}
    assert totals([], "allocatable") == {}


@pytest.mark.parametrize(("text", "value"), [("1Ki", 1024), ("2e3", 2000), ("100m", 0.1), (4, 4), ("1.5M", 1_500_000)])
def test_quantities(text: object, value: float) -> None:
    assert float(quantity(text)) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "Gi", "1x", "one"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        quantity(text)
