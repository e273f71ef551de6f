"""How a sealed value looks on disk, for objects and for records of the log. Pure.

    object   header (48 bytes, flag SEALED)          data key  nonce  sealed texts and JSON
    record   header, origin, key (first bit SEALED)  data key  nonce  sealed value and previous value
                                                     4         12     plain length + 16

What stays in the clear of an object are revisions, sizes and the schema's fingerprint; of a record also who wrote it
and the object's key, which the database's own keys tell anyway. All of that is authenticated, and the database key with
it (the incarnation of the logical cluster, the object's name): a sealed value moved elsewhere does not open.
"""

import os
from collections.abc import Callable
from typing import Protocol

from kcpshard.storage import commit_log, envelope

NONCE_BYTES, NUMBER_BYTES, TAG_BYTES = 12, 4, 16
OVERHEAD = NUMBER_BYTES + NONCE_BYTES + TAG_BYTES
_SEALED_OBJECT, _SEALED_RECORD = 1, 0x80
_FLAGS_AT = envelope.FLAGS_AT
_HEADER = envelope.HEADER_BYTES


class Cipher(Protocol):
    """AES-GCM of cryptography."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


def is_sealed_object(value: bytes) -> bool:
    return bool(value[_FLAGS_AT] & _SEALED_OBJECT)


def is_sealed_record(value: bytes) -> bool:
    return bool(value[0] & _SEALED_RECORD)


def object_resource(key: bytes) -> bytes:
    """The group resource that an object's key names."""
    return key[8 : key.index(b"\0", 8)]


def record_resource(value: bytes) -> bytes:
    start = commit_log.key_offset(value)
    return value[start : value.index(b"\0", start)]


def object_head(value: bytes) -> int:
    """How much of an object's value stays in the clear."""
    return _HEADER


def record_head(value: bytes) -> int:
    return commit_log.value_offset(value)


def data_key_number(value: bytes, head: int) -> int:
    """Of a sealed value."""
    return int.from_bytes(value[head : head + NUMBER_BYTES], "big")


def seal_object(key: bytes, value: bytes, number: int, cipher: Cipher) -> bytes:
    head = b"".join((value[:_FLAGS_AT], bytes((value[_FLAGS_AT] | _SEALED_OBJECT,)), value[_FLAGS_AT + 1 : _HEADER]))
    return _seal(key, head, value[_HEADER:], number, cipher)


def open_object(key: bytes, value: bytes, cipher_of: Callable[[int], Cipher]) -> bytes:
    head = value[:_HEADER]
    plain = _open(key, head, value[_HEADER:], cipher_of)
    return b"".join((head[:_FLAGS_AT], bytes((head[_FLAGS_AT] & ~_SEALED_OBJECT,)), head[_FLAGS_AT + 1 :], plain))


def seal_record(key: bytes, value: bytes, number: int, cipher: Cipher) -> bytes:
    size = commit_log.value_offset(value)
    head = bytes((value[0] | _SEALED_RECORD,)) + value[1:size]
    return _seal(key, head, value[size:], number, cipher)


def open_record(key: bytes, value: bytes, cipher_of: Callable[[int], Cipher]) -> bytes:
    size = commit_log.value_offset(value)
    head = value[:size]
    return b"".join((bytes((head[0] & ~_SEALED_RECORD,)), head[1:], _open(key, head, value[size:], cipher_of)))


def unsealed_head(record: bytes) -> bytes:
    """A record whose head and length are those of the plain one; what follows the head is not to be read."""
    if not is_sealed_record(record):
        return record
    return bytes((record[0] & ~_SEALED_RECORD,)) + record[1:-OVERHEAD]


def _seal(key: bytes, head: bytes, plain: bytes, number: int, cipher: Cipher) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    sealed = cipher.encrypt(nonce, plain, _associated(key, head, number))
    return b"".join((head, number.to_bytes(NUMBER_BYTES, "big"), nonce, sealed))


def _open(key: bytes, head: bytes, sealed: bytes, cipher_of: Callable[[int], Cipher]) -> bytes:
    number = int.from_bytes(sealed[:NUMBER_BYTES], "big")
    nonce = sealed[NUMBER_BYTES : NUMBER_BYTES + NONCE_BYTES]
    return cipher_of(number).decrypt(nonce, sealed[NUMBER_BYTES + NONCE_BYTES :], _associated(key, head, number))


def _associated(key: bytes, head: bytes, number: int) -> bytes:
    return b"".join((len(key).to_bytes(4, "big"), key, number.to_bytes(NUMBER_BYTES, "big"), head))
