"""What the shard and its worker say to each other about one write; pickled, as both ends are this program."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kcpshard.api.requests import Answer
from kcpshard.definitions.crd_documents import Summary
from kcpshard.storage.contract import Put, Remove
from kcpshard.verbs.namespace_contents import NamespaceContents


class ClusterFacts(NamedTuple):
    path: str
    id: int
    prefix: bytes
    created_revision: int
    oldest_revision: int
    state: str


class Write(NamedTuple):
    """A job. `request` is the protobuf message."""

    request: bytes
    api_set: str
    contents: NamespaceContents
    cluster: ClusterFacts


class Found(NamedTuple):
    """Where a custom resource type comes from."""

    summary: Summary


class Proposal(NamedTuple):
    """What the write comes to: what to commit, if anything, and the answer once that is durable.

    `body_is_stored`: the answer shows what the first write stores, so its bytes need not travel twice. Otherwise
    FUTURE_TEXT stands in the body for the revision.
    """

    writes: Sequence[Put | Remove]
    details: tuple[Any, ...]  # the further arguments of `commit`
    answer: Answer
    body_is_stored: bool


class NotHere(NamedTuple):
    """The worker cannot work that out; `why` is for the log."""

    why: str


Question = tuple[str, tuple[Any, ...]]  # an ObjectStore's method and its arguments without the logical cluster
