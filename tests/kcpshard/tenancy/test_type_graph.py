from collections.abc import Mapping
from typing import Any

import pytest

from kcpshard.tenancy import type_graph
from kcpshard.tenancy.builtin_types import SPECS
from kcpshard.tenancy.names import TypeReference, parse_reference
from kcpshard.tenancy.type_graph import KnownType, TypeFault


def types(**specs: Mapping[str, Any]) -> type_graph.Find:
    """By "path__name"; root has the built-in ones."""
    known = {TypeReference("root", name): spec for name, spec in SPECS.items()}
    known |= {parse_reference(name.replace("__", ":")): spec for name, spec in specs.items()}
    return known.get


def extends(*names: str) -> dict[str, Any]:
    references = [parse_reference(name) for name in names]
    return {"extend": {"with": [{"path": r.path, "name": r.name} if r.path else {"name": r.name} for r in references]}}


def known(name: str, find: type_graph.Find) -> KnownType:
    return type_graph.resolve(parse_reference(name), "root:org", find)


def test_the_nearest_ancestor_that_has_the_type() -> None:
    find = types(root__org__a={"initializer": True}, root__a={}, root__b={})
    assert known("a", find).reference == TypeReference("root:org", "a")
    assert known("b", find).reference == TypeReference("root", "b")
    assert type_graph.resolve(TypeReference("", "universal"), "elsewhere", find).reference.path == "root"
    with pytest.raises(TypeFault, match='workspace type "root:org:b" cannot be resolved'):
        known("root:org:b", find)


def test_everything_it_is_once_and_itself_first() -> None:
    find = types(root__a=extends("root:b", "root:c"), root__b=extends("root:d"), root__c=extends("root:d"), root__d={})
    found = type_graph.everything_it_is(known("root:a", find), find)
    assert [str(each.reference) for each in found] == ["root:a", "root:b", "root:d", "root:c"]


def test_a_circle_is_named() -> None:
    find = types(root__a=extends("root:b"), root__b=extends("root:a"))
    with pytest.raises(TypeFault, match="root:a -> root:b -> root:a"):
        type_graph.everything_it_is(known("root:a", find), find)


def test_a_missing_base_is_named() -> None:
    find = types(root__a=extends("root:gone"))
    with pytest.raises(TypeFault, match="unable to find inherited workspace type gone"):
        type_graph.everything_it_is(known("root:a", find), find)


def test_it_is_no_more_than_so_many() -> None:
    many = {f"root__t{n}": extends(f"root:t{n + 1}") for n in range(type_graph.MAX_TYPES + 1)}
    find = types(**many)
    with pytest.raises(TypeFault, match="more than 64"):
        type_graph.everything_it_is(known("root:t0", find), find)


@pytest.mark.parametrize(
    ("parent", "child", "fault"),
    [
        ("root:root", "root:organization", ""),
        ("root:organization", "root:universal", ""),
        ("root:organization", "root:team", ""),
        ("root:team", "root:team", ""),
        ("root:root", "root:team", "workspace type root:team only allows [root:organization root:team] parent"),
        ("root:universal", "root:root", "workspace type root:root cannot have any parent"),
        ("root:closed", "root:universal", "workspace type root:closed cannot have any child"),
        ("root:narrow", "root:universal", "only allows [root:special] child workspaces"),
        ("root:narrow", "root:more", ""),
        ("root:below-narrow", "root:universal", "root:below-narrow extends root:narrow, which only allows"),
    ],
)
def test_limits(parent: str, child: str, fault: str) -> None:
    find = types(
        **{
            "root__closed": {"limitAllowedChildren": {"none": True}},
            "root__narrow": {"limitAllowedChildren": {"types": [{"path": "root", "name": "special"}]}},
            "root__special": {},
            "root__more": extends("root:special"),
            "root__below-narrow": extends("root:narrow"),
        }
    )
    above = type_graph.everything_it_is(known(parent, find), find)
    below = type_graph.everything_it_is(known(child, find), find)
    found = type_graph.limit_faults(above, below)
    assert fault in found[0] if fault else not found, found


def test_what_follows_from_all_that_it_is() -> None:
    find = types(
        root__a={"initializer": True, "inherit": ["RBAC"], **extends("root:b")},
        root__b={"initializer": True, "terminator": True, "inherit": ["APIs", "RBAC"]},
    )
    found = type_graph.everything_it_is(known("root:a", find), find)
    assert type_graph.initializers(found) == ["root:a", "root:b"]
    assert type_graph.terminators(found) == ["root:b"]
    assert type_graph.inherited(found) == ["APIs", "RBAC"]


def test_default_children_are_not_inherited_and_labels_are_its_own() -> None:
    find = types(root__a={"additionalWorkspaceLabels": {"x": "y"}, **extends("root:root")})
    found = type_graph.everything_it_is(known("root:a", find), find)
    assert type_graph.default_child(found[0]) is None
    assert type_graph.added_labels(found) == {"x": "y"}
    assert type_graph.default_child(found[1]) == TypeReference("root", "organization")
