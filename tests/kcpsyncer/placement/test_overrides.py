"""Overrides change what runs, never whose it is."""

from typing import Any

import pytest

from kcpshard.api.patches import parse_json_patch
from kcpshard.api.selectors import parse_label_selector
from kcpsyncer.placement.leafs import Part, leaf_of
from kcpsyncer.placement.overrides import Override, OverrideFault, overridden
from tests.kcpsyncer.placement.test_leafs import ROOT

LEAF = leaf_of(ROOT, Part("east", 8, 0, 15))


def override(*steps: dict[str, Any], of: str = "region=east") -> Override:
    return Override(parse_label_selector(of), tuple(parse_json_patch(list(steps))))


def test_only_where_the_labels_say_so() -> None:
    change = override({"op": "add", "path": "/spec/paused", "value": True})
    assert overridden(LEAF, {"region": "east"}, [change])["spec"]["paused"] is True
    assert overridden(LEAF, {"region": "west"}, [change]) == LEAF
    assert "paused" not in LEAF["spec"]


@pytest.mark.parametrize(
    "step",
    [
        {"op": "replace", "path": "/metadata/name", "value": "x"},
        {"op": "remove", "path": "/metadata/ownerReferences"},
        {"op": "remove", "path": "/metadata/labels/kcp.dev~1cluster"},
        {"op": "replace", "path": "/kind", "value": "Pod"},
        {"op": "remove", "path": "/metadata"},
        {"op": "remove", "path": "/spec/nothing"},
        {"op": "test", "path": "/kind", "value": "Pod"},
    ],
)
def test_what_cannot_be_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(OverrideFault, match="override 0"):
        overridden(LEAF, {}, [override(step, of="")])
