import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.storage import commit_log, envelope, keyspace, sealing
from kcpshard.storage.keyspace import ObjectKey

CIPHER = AESGCM(bytes(32))
KEY = keyspace.encode_object_key(ObjectKey(7, "secrets", "n", "a"))
OTHER = keyspace.encode_object_key(ObjectKey(8, "secrets", "n", "a"))


def value(text: str = "hidden") -> bytes:
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "uid": "u"}, "data": {"k": text}}
    json, hole, annotations = envelope.encode_object(document)
    labels = envelope.encode_pairs({"label": "shown"})
    return envelope.encode(json, hole, annotations, 5, 4, "u", "v1", labels, b"", 0)


def record(text: str = "hidden") -> bytes:
    return commit_log.encode(1, 2, 201, 0, 0, commit_log.origin(b"r" * 16, "alice"), KEY[8:], value(text), value())


def test_an_object_is_opened_as_it_was() -> None:
    sealed = sealing.seal_object(KEY, value(), 3, CIPHER)
    assert sealing.is_sealed_object(sealed) and not sealing.is_sealed_object(value())
    assert b"hidden" not in sealed and b"shown" not in sealed
    assert sealing.data_key_number(sealed, sealing.object_head(sealed)) == 3
    assert envelope.revision(sealed) == 5 and len(sealed) == len(value()) + sealing.OVERHEAD
    assert sealing.open_object(KEY, sealed, {3: CIPHER}.__getitem__) == value()


def test_a_record_is_opened_as_it_was() -> None:
    key = keyspace.log_key(7, 5, 0)
    sealed = sealing.seal_record(key, record(), 3, CIPHER)
    assert sealing.is_sealed_record(sealed) and not sealing.is_sealed_record(record())
    assert b"hidden" not in sealed and commit_log.retention_of(sealed) == 2
    assert sealing.record_resource(sealed) == sealing.object_resource(KEY) == b"secrets"
    assert sealing.data_key_number(sealed, sealing.record_head(sealed)) == 3
    assert sealing.open_record(key, sealed, {3: CIPHER}.__getitem__) == record()


def test_a_value_opens_only_in_its_place() -> None:
    sealed = sealing.seal_object(KEY, value(), 3, CIPHER)
    with pytest.raises(InvalidTag):
        sealing.open_object(OTHER, sealed, lambda _: CIPHER)
    log = sealing.seal_record(keyspace.log_key(7, 5, 0), record(), 3, CIPHER)
    with pytest.raises(InvalidTag):
        sealing.open_record(keyspace.log_key(7, 6, 0), log, lambda _: CIPHER)


@given(st.integers(0, len(sealing.seal_object(KEY, value(), 3, CIPHER)) - 1))
def test_no_byte_can_be_changed(place: int) -> None:
    sealed = bytearray(sealing.seal_object(KEY, value(), 3, CIPHER))
    sealed[place] ^= 0x10
    with pytest.raises(InvalidTag):
        sealing.open_object(KEY, bytes(sealed), lambda _: CIPHER)


def test_equal_values_do_not_look_equal() -> None:
    assert sealing.seal_object(KEY, value(), 3, CIPHER) != sealing.seal_object(KEY, value(), 3, CIPHER)


def test_the_head_of_a_sealed_record_is_read_without_a_key() -> None:
    plain = commit_log.encode(1, 2, 201, 7, 0, b"", b"maps\0a\0b", b"value" * 20, b"previous")
    sealed = sealing.seal_record(b"key", plain, 1, CIPHER)
    head = sealing.unsealed_head(sealed)
    size = commit_log.value_offset(plain)
    assert len(head) == len(plain) and head[:size] == plain[:size] and b"value" not in head
    assert sealing.unsealed_head(plain) == plain
