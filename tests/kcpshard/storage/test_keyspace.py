from hypothesis import given
from hypothesis import strategies as st

from kcpshard.storage import keyspace
from kcpshard.storage.keyspace import ObjectKey

IDS = st.integers(0, 2**63 - 1)
NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=6)
KEYS = st.builds(ObjectKey, IDS, NAMES, NAMES, NAMES)


@given(KEYS)
def test_object_keys_round_trip(key: ObjectKey) -> None:
    assert keyspace.decode_object_key(keyspace.encode_object_key(key)) == key


@given(KEYS, KEYS)
def test_byte_order_is_key_order(a: ObjectKey, b: ObjectKey) -> None:
    assert (keyspace.encode_object_key(a) < keyspace.encode_object_key(b)) == (a < b)


@given(KEYS, IDS, KEYS, IDS)
def test_versions_are_in_the_order_of_objects_then_revisions(a: ObjectKey, m: int, b: ObjectKey, n: int) -> None:
    first = keyspace.version_key(keyspace.encode_object_key(a), m)
    second = keyspace.version_key(keyspace.encode_object_key(b), n)
    assert (first < second) == ((a, m) < (b, n))
    assert keyspace.decode_version_key(first) == (keyspace.encode_object_key(a), m)


@given(IDS, IDS, st.integers(0, 65535))
def test_log_keys_round_trip(cluster_id: int, revision: int, n: int) -> None:
    assert keyspace.decode_log_key(keyspace.log_key(cluster_id, revision, n)) == (cluster_id, revision, n)


@given(KEYS, NAMES, NAMES)
def test_a_prefix_holds_exactly_its_type_and_namespace(key: ObjectKey, group_resource: str, namespace: str) -> None:
    raw = keyspace.encode_object_key(key)
    prefix = keyspace.type_prefix(raw[:8], group_resource, namespace)
    is_inside = prefix <= raw < keyspace.after_prefix(prefix)
    expected = key.group_resource == group_resource and (not namespace or key.namespace == namespace)
    assert is_inside == expected


@given(st.binary(min_size=1, max_size=3), st.binary(max_size=4))
def test_after_a_prefix_comes_nothing_that_begins_with_it(prefix: bytes, rest: bytes) -> None:
    if prefix.strip(b"\xff"):
        assert prefix + rest < keyspace.after_prefix(prefix)
        assert not keyspace.after_prefix(prefix).startswith(prefix)


def test_meta_keys_do_not_mix() -> None:
    keys = [
        keyspace.FORMAT_KEY, keyspace.CLOCK_KEY, keyspace.path_key("root"), keyspace.name_key(1), keyspace.usage_key(1),
        keyspace.count_key("pods", keyspace.number(1)), keyspace.lost_key(0), keyspace.OWN + b"path/root",
    ]  # fmt: skip
    assert len({key.split(b"/")[0] for key in keys}) == len(keys)
