from typing import Any

from kcpshard.definitions.pod_resources import container_names_without, is_best_effort, pod_requests


def container(name: str, cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}


def cpu(**spec: Any) -> str:
    return str(pod_requests({"spec": spec}, "requests")["cpu"])


def test_containers_run_together_and_init_containers_one_by_one() -> None:
    both = [container("a", "1"), container("b", "500m")]
    assert cpu(containers=both) == "1500m"
    assert cpu(containers=both, initContainers=[container("i", "2"), container("j", "1")]) == "2"
    assert cpu(containers=both, initContainers=[container("i", "1")]) == "1500m"


def test_sidecars_run_beside_what_follows() -> None:
    sidecar = container("s", "1", restartPolicy="Always")
    assert cpu(containers=[container("a", "1")], initContainers=[sidecar]) == "2"
    assert cpu(containers=[container("a", "1")], initContainers=[sidecar, container("i", "3")]) == "4"


def test_overhead_and_the_pods_own_resources_count() -> None:
    assert cpu(containers=[container("a", "1")], overhead={"cpu": "250m"}) == "1250m"
    assert cpu(containers=[container("a", "1")], resources={"requests": {"cpu": "3"}}) == "3"


def test_who_says_nothing_is_best_effort() -> None:
    assert is_best_effort({"spec": {"containers": [{"name": "a"}]}})
    assert not is_best_effort({"spec": {"containers": [container("a", "1")]}})
    assert container_names_without({"spec": {"containers": [{"name": "a"}]}}, "limits", "cpu") == ["a"]
