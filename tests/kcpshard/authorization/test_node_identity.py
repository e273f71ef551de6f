import pytest

from kcpshard.api.requests import Identity
from kcpshard.authorization.node_identity import may_be_node, node_of


@pytest.mark.parametrize(
    ("username", "groups", "node"),
    [
        ("system:node:n", ("system:nodes",), "n"),
        ("system:node:", ("system:nodes",), ""),
        ("system:node:n", ("system:node",), None),
        ("node:n", ("system:nodes",), None),
    ],
)
def test_user_and_group_make_a_node(username: str, groups: tuple[str, ...], node: str | None) -> None:
    identity = Identity(username, "", groups)
    assert node_of(identity) == node
    assert may_be_node(identity.encode()) or node is None
