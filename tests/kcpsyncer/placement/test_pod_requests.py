from typing import Any

import pytest

from kcpsyncer.placement.pod_requests import free_of, request_of


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c"}], **spec}}}}


def container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        pytest.param(pod(), {"pods": 1.0}, id="nothing is asked for"),
        pytest.param({"spec": {}}, {}, id="no pods"),
        pytest.param(pod(containers=[container("1"), container("500m")]), {"cpu": 1.5, "pods": 1.0}, id="a sum"),
        pytest.param(
            pod(containers=[container("1")], initContainers=[container("3")]), {"cpu": 3.0, "pods": 1.0}, id="starting"
        ),
        pytest.param(
            pod(containers=[container("1")], initContainers=[container("1", restartPolicy="Always"), container("1")]),
            {"cpu": 2.0, "pods": 1.0},
            id="a sidecar runs beside all",
        ),
        pytest.param(
            pod(containers=[{"name": "c", "resources": {"limits": {"memory": "1Gi"}}}]),
            {"memory": 2.0**30, "pods": 1.0},
            id="a limit is a request",
        ),
        pytest.param(
            pod(containers=[container("1")], overhead={"cpu": "250m"}), {"cpu": 1.25, "pods": 1.0}, id="overhead"
        ),
        pytest.param(pod(containers=[container("much")]), {"pods": 1.0}, id="no quantity"),
    ],
)
def test_requests(obj: dict[str, Any], expected: dict[str, float]) -> None:
    assert request_of(obj) == expected


def test_what_is_free() -> None:
    assert free_of({"free": {"cpu": "1500m", "pods": 3}}) == {"cpu": 1.5, "pods": 3.0}
    assert free_of({}) == {}
