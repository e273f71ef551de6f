"""The data keys of one shard: made by it, wrapped by a key service, kept beside the data they seal.

    meta   own∕encryption∕<number, 4 bytes>   JSON: service, keyId, ciphertext, annotations, created

A shard seals with a fresh data key each day, after a start under another key service, and when the service's own key
has changed; so one data key sees far fewer than the 2^32 values that random nonces allow. Old ones open what they
sealed until nothing is left of it; then they go (see `resealing`).
"""

import base64
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kcpshard.encryption.configuration import Configuration, LocalKey, Provider
from kcpshard.encryption.key_services import KeyService, KeyServiceError, Wrapped, key_service
from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.damage import Corrupted
from kcpshard.storage.sealing import Cipher

PREFIX = keyspace.OWN + b"encryption/"
DATA_KEY_BYTES = 32
LIFE_US = 24 * 3600 * 1_000_000
_MAX_TYPES = 4096  # group resources whose writer is remembered; when full all are forgotten


class DataKey(NamedTuple):
    number: int
    service: str
    key_id: str  # of the service's own key; empty for keys of the file
    created_us: int
    cipher: Cipher


class NewKey(NamedTuple):
    """A data key that must be durable before it is used."""

    key: DataKey
    record: tuple[bytes, bytes]  # meta key, value


class DataKeyRing:
    """`writer_of` and `cipher_of` for SealedEngine. Changed on the loop only."""

    def __init__(self, configuration: Configuration, services: Mapping[str, KeyService] | None = None) -> None:
        self._configuration = configuration
        self.services = services if services is not None else services_of(configuration)
        self.keys: dict[int, DataKey] = {}
        self._current: dict[str, DataKey] = {}  # by service
        self._writers: dict[bytes, tuple[int, Cipher] | None] = {}

    # --- for the engine

    def writer_of(self, group_resource: bytes) -> tuple[int, Cipher] | None:
        try:
            return self._writers[group_resource]
        except KeyError:
            return self._find_writer(group_resource)

    def cipher_of(self, number: int) -> Cipher:
        found = self.keys.get(number)
        if found is None:
            raise Corrupted(f"Corruption: a value is sealed with data key {number}, which is not there")
        return found.cipher

    def _find_writer(self, group_resource: bytes) -> tuple[int, Cipher] | None:
        provider = self._configuration.writer_of(group_resource.decode())
        found = None
        if provider is not None:
            current = self._current[key_service_name(provider)]
            found = (current.number, current.cipher)
        if len(self._writers) >= _MAX_TYPES:
            self._writers.clear()
        self._writers[group_resource] = found
        return found

    # --- the ring

    @property
    def writing_services(self) -> list[str]:
        names = [key_service_name(rule.writer) for rule in self._configuration.rules if rule.writer is not None]
        return list(dict.fromkeys(names))

    def load(self, engine: KeyValueEngine) -> None:
        """What the directory holds. Raises KeyServiceError if one of its keys cannot be unwrapped."""
        for raw_key, raw in engine.scan(keyspace.META, PREFIX, keyspace.after_prefix(PREFIX), 1 << 16):
            number = int.from_bytes(raw_key[len(PREFIX) :], "big")
            document = orjson.loads(raw)
            service = self.services.get(document["service"])
            if service is None:
                raise KeyServiceError(
                    f"the data is sealed under {document['service']}, which the configuration does not name any more"
                )
            wrapped = Wrapped(
                base64.b64decode(document["ciphertext"]),
                document["keyId"],
                {name: base64.b64decode(value) for name, value in document["annotations"].items()},
            )
            cipher = AESGCM(service.unwrap(wrapped))
            self.keys[number] = key = DataKey(number, service.name, wrapped.key_id, document["created"], cipher)
            self._current[service.name] = key  # the newest has the highest number

    def wanted(self, now_us: int) -> Sequence[str]:
        """Services that need a new data key. Asks key services: on a thread, or before anything is served."""
        return [name for name in self.writing_services if self._is_due(name, now_us)]

    def _is_due(self, name: str, now_us: int) -> bool:
        current = self._current.get(name)
        if current is None or now_us - current.created_us > LIFE_US:
            return True
        return self.services[name].current_key_id() != current.key_id

    def make(self, name: str, now_us: int) -> NewKey:
        """A new data key; `use` it once its record is durable. Asks the key service, as `wanted` does."""
        secret = os.urandom(DATA_KEY_BYTES)
        wrapped = self.services[name].wrap(secret)
        number = max(self.keys, default=0) + 1
        document = {
            "service": name,
            "keyId": wrapped.key_id,
            "ciphertext": base64.b64encode(wrapped.ciphertext).decode(),
            "annotations": {key: base64.b64encode(value).decode() for key, value in wrapped.annotations.items()},
            "created": now_us,
        }
        key = DataKey(number, name, wrapped.key_id, now_us, AESGCM(secret))
        return NewKey(key, (record_key(number), orjson.dumps(document)))

    def use(self, key: DataKey) -> None:
        """Seal with it from now on."""
        self.keys[key.number] = self._current[key.service] = key
        self._writers.clear()

    def is_current(self, number: int) -> bool:
        return any(key.number == number for key in self._current.values() if key.service in self.writing_services)

    def forget(self, number: int) -> None:
        """Nothing is sealed with it any more."""
        del self.keys[number]


def record_key(number: int) -> bytes:
    return PREFIX + number.to_bytes(4, "big")


def key_service_name(provider: Provider) -> str:
    return f"aesgcm/{provider.name}" if isinstance(provider, LocalKey) else f"kms/{provider.name}"


def services_of(configuration: Configuration) -> dict[str, KeyService]:
    found = [key_service(provider) for provider in configuration.providers]
    return {service.name: service for service in found}


def open_ring(configuration: Configuration, engine: KeyValueEngine, now_us: int) -> DataKeyRing:
    """The ring of a directory, ready to seal; new data keys are durable on return. Raises KeyServiceError."""
    ring = DataKeyRing(configuration)
    ring.load(engine)
    for name in ring.wanted(now_us):
        made = ring.make(name, now_us)
        batch = engine.batch()
        batch.put(keyspace.META, *made.record)
        engine.write(batch)
        engine.sync()
        ring.use(made.key)
    return ring
