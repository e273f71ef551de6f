import pytest

from kcpshard.definitions.kinds.pod_defaults import default_pod, default_pod_spec, fill, fill_absent


@pytest.mark.parametrize(
    ("image", "policy"),
    [("x", "Always"), ("x:1", "IfNotPresent"), ("r:5000/x", "Always"), ("x@sha256:0", "IfNotPresent")],
)
def test_a_moving_tag_is_always_pulled(image: str, policy: str) -> None:
    spec = {"containers": [{"name": "a", "image": image}]}
    default_pod_spec(spec)
    assert spec["containers"][0]["imagePullPolicy"] == policy


def test_defaults_are_idempotent() -> None:
    pod = {"spec": {"containers": [{"name": "a", "image": "x", "livenessProbe": {"httpGet": {"port": 1}}}]}}
    default_pod(pod)
    first = repr(pod)
    default_pod(pod)
    assert repr(pod) == first


def test_a_pod_asks_for_what_it_is_limited_to() -> None:
    pod = {"spec": {"containers": [{"name": "a", "image": "x", "resources": {"limits": {"cpu": "1"}}}]}}
    default_pod(pod)
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}  # type: ignore[index]


def test_only_a_pod_has_no_negative_grace() -> None:
    pod = {"spec": {"containers": [], "terminationGracePeriodSeconds": -1}}
    default_pod(pod)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 1
    template = {"containers": [], "terminationGracePeriodSeconds": -1}
    default_pod_spec(template)
    assert template["terminationGracePeriodSeconds"] == -1


def test_an_empty_string_is_absent_only_where_the_field_is_no_pointer() -> None:
    found = {"a": "", "b": None}
    fill_absent(found, a="x", b="y")
    assert found == {"a": "", "b": "y"}
    fill(found, a="x")
    assert found == {"a": "x", "b": "y"}
