"""Puts the parts together: an engine as the configuration wants it, or the reason why its data cannot be opened."""

from pathlib import Path
from typing import NamedTuple

from kcpshard.encryption import configuration
from kcpshard.encryption.data_keys import PREFIX, DataKeyRing, open_ring
from kcpshard.storage import format, keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.sealed_engine import SealedEngine


class SealedWithoutConfiguration(Exception):
    """The directory holds sealed data and nobody says with which keys; the text is a sentence."""


class SealedData(NamedTuple):
    engine: SealedEngine
    ring: DataKeyRing


def open_sealed(engine: KeyValueEngine, file: str, shard: int, now_us: int) -> SealedData | None:
    """None: no configuration, and nothing is sealed. Raises ConfigurationError, KeyServiceError,
    SealedWithoutConfiguration, and what the format says."""
    if not file:
        if engine.scan(keyspace.META, PREFIX, keyspace.after_prefix(PREFIX), 1):
            raise SealedWithoutConfiguration(
                "the data directory holds sealed data: name the configuration by --encryption-provider-config "
                "(with identity first, to have it unsealed)"
            )
        return None
    format.open_format(engine, shard)  # a directory holds nothing before its format
    ring = open_ring(configuration.read(Path(file)), engine, now_us)
    return SealedData(SealedEngine(engine, ring), ring)
