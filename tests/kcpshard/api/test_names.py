import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api import names
from kcpshard.api.names import (
    cluster_path,
    dns_label_faults,
    dns_subdomain_faults,
    ip_address_faults,
    parent_path,
    path_segment_faults,
)

SEGMENTS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?", fullmatch=True)


@given(st.lists(SEGMENTS, min_size=1, max_size=4))
def test_paths_are_segments_and_have_parents(segments: list[str]) -> None:
    path = cluster_path(":".join(segments))
    assert path is not None
    assert parent_path(path) == (":".join(segments[:-1]) or None)


@pytest.mark.parametrize("text", ["", ":", "a:", ":a", "A", "a_b", "-a", "a" * 64, "a:" * 130 + "a", "a b", "*", "ä"])
def test_what_is_no_path(text: str) -> None:
    assert cluster_path(text) is None


@pytest.mark.parametrize(
    ("text", "label", "subdomain", "segment"),
    [
        ("a", 0, 0, 0),
        ("a.b", 1, 0, 0),
        ("A", 1, 1, 0),
        ("", 1, 1, 0),
        ("a/b%", 1, 1, 2),
        ("..", 1, 1, 1),
        ("a" * 64, 1, 0, 0),
        ("a" * 254, 1, 1, 0),
        ("A" * 254, 2, 2, 0),
        ("a\n", 1, 1, 0),
    ],
)
def test_names_of_objects(text: str, label: int, subdomain: int, segment: int) -> None:
    found = [len(dns_label_faults(text)), len(dns_subdomain_faults(text)), len(path_segment_faults(text))]
    assert found == [label, subdomain, segment]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10.0.0.1", ""),
        ("fe80::42:1dff:fe84:f9e2", ""),
        ("010.0.0.1", "must be a valid IP"),
        ("fe80:0::1", 'must be in canonical form ("fe80::1")'),
        ("FE80::1", "canonical"),
        ("::ffff:10.0.0.1", "IPv4-mapped"),
        ("fe80::1%eth0", "must be a valid IP"),
        ("x", "must be a valid IP"),
    ],
)
def test_names_that_are_addresses(text: str, fault: str) -> None:
    found = ip_address_faults(text)
    assert (fault in found[0]) if fault else found == []


@pytest.mark.parametrize("text", ["*", "root:*", "root:org:*"])
def test_wildcards(text: str) -> None:
    assert names.wildcard(text) == text
    assert names.is_wildcard(text)


@pytest.mark.parametrize("text", ["", "**", ":*", "root*", "root:*:a", "Root:*", "*:*", "root"])
def test_what_is_no_wildcard(text: str) -> None:
    assert names.wildcard(text) is None


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("*", "root", True),
        ("*", "system:keys", False),
        ("root:org:*", "root:org:a:b", True),
        ("root:org:*", "root:org", False),
        ("root:org:*", "root:organic", False),
    ],
)
def test_what_a_wildcard_covers(pattern: str, path: str, covered: bool) -> None:
    assert names.covers(pattern, path) is covered
