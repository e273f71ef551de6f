from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.names import dns_label_faults
from kcpsyncer.namespace_mapping import downstream_namespace, origin_annotations

places = st.tuples(st.integers(0, 2**64 - 1), st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))


@given(places, places)
def test_names_are_labels_and_differ_for_different_places(a: tuple[int, str], b: tuple[int, str]) -> None:
    first, second = downstream_namespace(*a), downstream_namespace(*b)
    assert dns_label_faults(first) == [] and len(first) <= 28
    assert (first == second) == (a == b)


def test_a_name_never_changes_between_releases() -> None:
    assert downstream_namespace(1_795_000_000_000_000_001, "default") == "kcp-idv2c7exekowwtm37uqfai24"


def test_the_way_back_is_written_down() -> None:
    assert origin_annotations("root:a", "default") == {"kcp.io/cluster": "root:a", "kcp.io/namespace": "default"}
