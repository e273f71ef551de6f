from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.errors import ApiError, BadRequest
from kcpshard.api.strategic_merge import strategic_merge
from kcpshard.definitions.facts import schema_of

DEPLOYMENT = schema_of("apps", "v1", "Deployment")
CONFIGMAP = schema_of("", "v1", "ConfigMap")


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


def merged(original: dict[str, Any], patch: dict[str, Any]) -> Any:
    return strategic_merge(pod(**original), pod(**patch), DEPLOYMENT)["spec"]["template"]["spec"]


A, B, C = ({"name": name, "image": f"{name}:1"} for name in "abc")


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [
        pytest.param(
            {"containers": [A, B]},
            {"containers": [{"name": "b", "image": "b:2"}]},
            {"containers": [A, {"name": "b", "image": "b:2"}]},
            id="items are merged by key",
        ),
        pytest.param(
            {"containers": [A, B]}, {"containers": [C]}, {"containers": [C, A, B]}, id="a new item comes first"
        ),
        pytest.param(
            {"containers": [A, B]},
            {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": [B]},
            id="delete",
        ),
        pytest.param(
            {"containers": [A, B]}, {"containers": [{"$patch": "replace"}, C]}, {"containers": [C]}, id="replace"
        ),
        pytest.param(
            {"containers": [A, B]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
            {"containers": [B, A]},
            id="order alone",
        ),
        pytest.param(
            {"containers": [A, B]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}], "containers": [C]},
            {"containers": [B, C, A]},
            id="order with a new item",
        ),
        pytest.param(
            {"nodeSelector": {"x": "1"}},
            {"nodeSelector": {"y": "2"}},
            {"nodeSelector": {"x": "1", "y": "2"}},
            id="maps are merged",
        ),
        pytest.param(
            {"nodeSelector": {"x": "1"}},
            {"nodeSelector": {"$patch": "replace", "y": "2"}},
            {"nodeSelector": {"y": "2"}},
            id="map replaced",
        ),
        pytest.param({"nodeSelector": {"x": "1"}}, {"nodeSelector": None}, {}, id="null deletes"),
        pytest.param(
            {"tolerations": [{"key": "a"}]},
            {"tolerations": [{"key": "b"}]},
            {"tolerations": [{"key": "b"}]},
            id="an atomic list is replaced",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]},
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            id="retainKeys",
        ),
        pytest.param(
            {}, {"containers": [{"name": "a", "$patch": "delete"}, B]}, {"containers": [B]}, id="nothing to delete"
        ),
    ],
)
def test_merge(original: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    assert merged(original, patch) == result


def finalizers(original: list[str], **patch: Any) -> Any:
    document = {"metadata": {"finalizers": original}}
    return strategic_merge(document, {"metadata": patch}, CONFIGMAP)["metadata"]["finalizers"]


def test_lists_of_scalars() -> None:
    assert finalizers(["a", "b"], finalizers=["c"]) == ["c", "a", "b"]
    assert finalizers(["a", "b"], **{"$deleteFromPrimitiveList/finalizers": ["a"]}) == ["b"]
    order = {"$setElementOrder/finalizers": ["c", "a"], "finalizers": ["c"]}
    assert finalizers(["a", "b"], **order) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"$patch": "bogus"}, 400),
        (pod(containers=[{"image": "x"}]), 400),
        (pod(**{"$setElementOrder/containers": [{"name": "a"}], "containers": [C]}), 400),
        (pod(**{"$setElementOrder/containers": "x"}), 400),
        (pod(**{"$retainKeys": ["a"], "b": 1}), 400),
    ],
)
def test_faults(patch: dict[str, Any], code: int) -> None:
    with pytest.raises(ApiError) as caught:
        strategic_merge(pod(containers=[A]), patch, DEPLOYMENT)
    assert caught.value.code == code
    assert isinstance(caught.value, BadRequest) == (code == 400)


ITEMS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from(["1", "2"])}),
    max_size=4,
    unique_by=lambda item: item["name"],
)


@given(ITEMS, ITEMS)
def test_a_second_time_changes_nothing_more(original: list[Any], patch: list[Any]) -> None:
    once = merged({"containers": original}, {"containers": patch})
    assert merged(once, {"containers": patch}) == once


@given(ITEMS, ITEMS)
def test_every_item_is_kept_and_the_patch_wins(original: list[Any], patch: list[Any]) -> None:
    found = {item["name"]: item for item in merged({"containers": original}, {"containers": patch})["containers"]}
    expected = {item["name"]: dict(item) for item in original}
    for item in patch:
        expected.setdefault(item["name"], {}).update(item)
    assert found == expected
