"""How duplicate keys of a body are told to its sender: as Go's decoders of JSON and of YAML do. Pure.

The front finds them: in JSON their paths as they are met, in YAML one sentence for each (see shard.proto).
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

_YAML_START, _YAML_END = "line ", " already set in map"
_MOST_BYTES = 256 * 1024  # of a body that is read again to put its faults in order


def is_yaml(duplicates: Sequence[str]) -> bool:
    return bool(duplicates) and duplicates[0].startswith(_YAML_START) and duplicates[0].endswith(_YAML_END)


def yaml_fault(duplicates: Sequence[str]) -> str:
    return "yaml: unmarshal errors:\n  " + "\n  ".join(duplicates)


def texts(duplicates: Sequence[str], unknown: Sequence[str], prefix: str = "") -> list[str]:
    """One for each fault, duplicates first; as warnings."""
    told = duplicates if is_yaml(duplicates) else [f'{prefix}duplicate field "{path}"' for path in duplicates]
    return [*told, *(f'unknown field "{path}"' for path in unknown)]


def in_order(body: bytes, duplicates: Sequence[str], unknown: Sequence[str]) -> list[str]:
    """The same as met in the JSON text by a decoder that knows each field; of unknown ones it says nothing more."""
    if not duplicates or not unknown or is_yaml(duplicates) or not 0 < len(body) <= _MOST_BYTES:
        return texts(duplicates, unknown)
    met = list(dict.fromkeys(_met(json.loads(body, object_pairs_hook=_Pairs), "", set(unknown))))
    missed = [path for path in unknown if path not in {path for path, _ in met}]
    return [
        *(f'{"duplicate" if is_again else "unknown"} field "{path}"' for path, is_again in met),
        *(f'unknown field "{path}"' for path in missed),
    ]


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written: every key, in order."""


def _met(value: Any, path: str, unknown: set[str]) -> Iterator[tuple[str, bool]]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            here = f"{path}.{key}" if path else key
            if here in unknown:
                yield here, False
                continue
            if key in seen:
                yield here, True
            seen.add(key)
            yield from _met(item, here, unknown)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _met(item, f"{path}[{index}]", unknown)
