from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.names import dns_label_faults
from kcpsyncer.namespace_mapping import Origin, downstream_namespace, origin_annotations

origins = st.builds(Origin, st.sampled_from(["root", "root:a", "admin"]), st.uuids().map(str))
places = st.tuples(origins, st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))


@given(places, places)
def test_names_are_labels_and_differ_for_different_places(a: tuple[Origin, str], b: tuple[Origin, str]) -> None:
    first, second = downstream_namespace(*a), downstream_namespace(*b)
    assert dns_label_faults(first) == [] and len(first) <= 28
    assert (first == second) == (a == b)


def test_a_name_never_changes_between_releases() -> None:
    origin = Origin("root:a", "0f4fca1e-9f7b-4d0a-8b53-0b4f2a6c1d11")
    assert downstream_namespace(origin, "default") == "kcp-rrzzl63jj7ilkcpbgmrd7acn"


def test_the_way_back_is_written_down() -> None:
    assert origin_annotations("root:a", "default") == {"kcp.io/cluster": "root:a", "kcp.io/namespace": "default"}
