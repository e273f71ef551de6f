import pytest

from kcpshard.admission.node_labels import kept_from_nodes


@pytest.mark.parametrize(
    ("key", "is_kept"),
    [
        ("team", False),
        ("example.com/team", False),
        ("kubernetes.io/hostname", False),
        ("kubernetes.io/role", True),
        ("x.k8s.io/y", True),
        ("node.kubernetes.io/y", False),
        ("a.kubelet.kubernetes.io/y", False),
        ("node-restriction.kubernetes.io/y", True),
        ("a.node-restriction.kubernetes.io/y", True),
    ],
)
def test_labels_of_others(key: str, is_kept: bool) -> None:
    for new, old in (({key: "1"}, {}), ({}, {key: "1"}), ({key: "1"}, {key: "2"})):
        assert list(kept_from_nodes(new, old)) == ([key] if is_kept else [])
    assert not kept_from_nodes({key: "1"}, {key: "1"})
