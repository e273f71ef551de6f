"""What orjson does not tell about a JSON text: nesting and duplicate keys. Pure."""

import json
import re
from itertools import accumulate
from typing import Any

import orjson

MAX_NESTING = 100

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(c for c in range(256) if c not in b"{}[]")
_STEP = [0] * 256
_STEP[ord("{")] = _STEP[ord("[")] = 1
_STEP[ord("}")] = _STEP[ord("]")] = -1
# A colon apart from its key, or an escaped quote: with these the quick count of keys below could be fooled.
_ODD = (b" :", b"\t:", b"\n:", b"\r:", b"\\u0022")


def check_nesting(text: bytes) -> None:
    """Raises ValueError beyond MAX_NESTING levels."""
    if text.count(b"{") + text.count(b"[") <= MAX_NESTING:
        return
    brackets = _STRING.sub(b"", text).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_NESTING:
        raise ValueError(f"couldn't get version/kind; json parse error: exceeded max depth of {MAX_NESTING}")


def is_object(text: bytes) -> bool:
    if text.lstrip(b" \t\r\n")[:1] != b"{":
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def duplicate_fields(text: bytes) -> list[str]:
    """Paths of keys that occur more than once in their object ("metadata.labels.a"), as met; [] for broken JSON.

    The quick test: every key is followed by `":`, every string keeps its own `":` when written again, so a text and
    its canonical form hold equally many unless a key was dropped as a duplicate. Only then is it read the slow way.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    if text.count(b'":') == orjson.dumps(document).count(b'":') and not any(odd in text for odd in _ODD):
        return []
    return _find_duplicates(text)


def _find_duplicates(text: bytes) -> list[str]:
    found: dict[str, None] = {}
    _walk(json.loads(text, object_pairs_hook=_Pairs), "", found)
    return list(found)


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written: every key, in order."""


def _walk(value: Any, path: str, found: dict[str, None]) -> None:
    if isinstance(value, _Pairs):
        prefix, seen = f"{path}." if path else "", set[str]()
        for key, item in value:
            if key in seen:
                found[prefix + key] = None
            seen.add(key)
            _walk(item, prefix + key, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]", found)
