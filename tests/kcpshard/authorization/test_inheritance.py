from typing import Any

from kcpshard.authorization import inheritance
from kcpshard.authorization.layer import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Layer, Place
from kcpshard.authorization.rules import Rule
from tests.contracts.workspace_tree import binding

ANN = ("User", "ann")


class Ancestor:
    def __init__(self, *bindings: dict[str, Any], roles: tuple[str, ...] = ()) -> None:
        self._layer = Layer()
        for each in bindings:
            self._layer.put(CLUSTER_ROLE_BINDINGS, "", each["metadata"]["name"], each)
        for name in roles:
            self._layer.put(CLUSTER_ROLES, "", name, {"rules": [{"verbs": [name]}]})

    def layer(self) -> Layer:
        return self._layer

    def role(self, kind: str, place: Place) -> tuple[Rule, ...] | None:
        return self._layer.roles.get(place)


def test_nearer_names_hide_farther_ones_and_local_ones_all() -> None:
    near = Ancestor(binding("a", "r", "ann"), binding("b", "r", "bob"), roles=("r",))
    far = Ancestor(binding("b", "r", "ann"), binding("c", "gone", "ann"))
    own = Layer()
    found = list(inheritance.grants(own, [near, far], [ANN]))
    assert [(each.binding.name, each.rules is None) for each in found] == [("a", False), ("c", True)]
    own.put(CLUSTER_ROLE_BINDINGS, "", "a", binding("a", "r", "bob"))
    assert [each.binding.name for each in inheritance.grants(own, [near, far], [ANN])] == ["c"]


def test_roles_and_names() -> None:
    near, far = Ancestor(), Ancestor(binding("a", "r", "ann"), roles=("r",))
    assert inheritance.role([near, far], ("", "r")) is not None
    assert inheritance.role([near, far], ("", "x")) is None
    assert inheritance.names_one_of([near, far], [ANN])
    assert not inheritance.names_one_of([near, far], [("User", "bob")])
