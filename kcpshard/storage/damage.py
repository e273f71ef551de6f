"""Recognises what RocksDB says of data that fails its checksum.

The getters of the hot path raise rocksdict's bare Exception (translating it there would cost every get), all else
raises `Corrupted`; both carry RocksDB's text, which is the only thing it gives.
"""

import re

_DAMAGE = re.compile(r"Corruption: (?P<what>[^:\n]*).*?(?P<file>[^/\s]+\.(?:sst|log))?(?: offset |\s*$)", re.DOTALL)


class Corrupted(Exception):
    """A block on disk does not match its checksum."""


def damage_of(error: BaseException) -> str:
    """What is damaged and where, in a few words; empty if the error, or any of a group, is of another kind."""
    if isinstance(error, ExceptionGroup):
        found_each = [damage_of(each) for each in error.exceptions]
        return found_each[0] if all(found_each) else ""
    if type(error) is not Exception and not isinstance(error, Corrupted):
        return ""
    text = str(error)
    if not text.startswith("Corruption"):
        return ""
    found = _DAMAGE.search(text)
    if found is None:
        return text.splitlines()[0]
    return f"{found['what'].strip()} in {found['file']}" if found["file"] else found["what"].strip()
