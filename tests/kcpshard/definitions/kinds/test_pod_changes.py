from typing import Any

import pytest

from kcpshard.definitions.kinds.pod_changes import (
    ephemeral_faults,
    prepare_ephemeral,
    prepare_resize,
    resize_faults,
)
from kcpshard.definitions.kinds.pods import qos_class

OLD: dict[str, Any] = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "1"}}}]},
    "status": {"qosClass": "Burstable"},
}


def changed(*containers: Any, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"c": "d"}}, "spec": {"containers": list(containers), **spec}}


def test_of_an_update_only_resources_are_left() -> None:
    new = changed({"name": "a", "image": "y", "resources": {"requests": {"cpu": "2"}}}, nodeName="n")
    prepare_resize(new, OLD)
    assert new["spec"] == {"containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "2"}}}]}
    assert new["metadata"]["labels"] == {"a": "b"}
    assert not [*resize_faults(new, OLD, qos_class)]


@pytest.mark.parametrize(
    ("containers", "field"),
    [
        pytest.param([{"name": "b"}], "spec.containers[0].name", id="renamed"),
        pytest.param([{"name": "a"}, {"name": "b"}], "spec.containers", id="added"),
        pytest.param([{"name": "a", "resources": {}}], "spec.containers[0].resources.requests", id="removed"),
        pytest.param(
            [{"name": "a", "resources": {"requests": {"cpu": "1", "storage": "1"}}}], "spec", id="another resource"
        ),
    ],
)
def test_what_is_no_resize(containers: Any, field: str) -> None:
    new = changed(*containers)
    prepare_resize(new, OLD)
    assert field in [fault.field for fault in resize_faults(new, OLD, qos_class)]


def test_ephemeral_containers_are_only_added() -> None:
    with_one = {**OLD, "spec": {**OLD["spec"], "ephemeralContainers": [{"name": "e", "image": "x"}]}}
    new = changed(ephemeralContainers=[{"name": "e", "image": "x"}, {"name": "f"}], nodeName="n")
    prepare_ephemeral(new, with_one)
    assert (len(new["spec"]["ephemeralContainers"]), "nodeName" in new["spec"]) == (2, False)
    assert not [*ephemeral_faults(new, with_one)]
    assert [*ephemeral_faults(OLD, with_one)]
