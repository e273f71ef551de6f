"""The types of what subresources take and is no object of its own: as much of each as reading it needs."""

from functools import cache

from kcpshard.definitions import facts
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.strategies import KindStrategy, Rules


@cache
def form_of(group: str, version: str, plural: str, kind: str, described: str = "") -> Resource:
    """`described` is the version that says which fields there are, if another one does."""
    found = Resource()
    found.group, found.version, found.plural, found.kind = group, version, plural, kind
    found.api_version = f"{group}/{version}" if group else version
    found.group_resource = f"{plural}.{group}" if group else plural
    found.definition, found.fingerprint, found.subresources = None, 0, {}
    found.schema = facts.schema_of(group, described or version, kind)
    found.strategy = KindStrategy(Rules(), found.schema)
    return found
