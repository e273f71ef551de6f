"""Admission of what is not written in the form of its resource: bindings, evictions, tokens, scales, reviews, and the
ways into pods, nodes and services.

The chain is the same as for objects. What it is shown is the form that the subresource takes, under the resource and
the subresource of the URL; what it changes of it is what the verb goes on with.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from kcpshard.admission import chain
from kcpshard.admission.attributes import CREATE, Attributes
from kcpshard.api.errors import ApiError
from kcpshard.api.objects import Object
from kcpshard.api.requests import Request
from kcpshard.definitions.contract import Resource
from kcpshard.verbs import field_managers
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import Target

_UNMANAGED = frozenset(("Eviction",))


class Written:
    """One such write, between decoding and commit. `form` is its type, None for what no document describes.

    What is refused within it says what others have warned of before.
    """

    def __init__(
        self,
        shard: Shard,
        target: Target,
        request: Request,
        obj: Object,
        form: Resource | None,
        *,
        operation: str = CREATE,
        old: Object | None = None,
        name: str = "",
    ) -> None:
        self.attributes = Attributes(
            operation, shard.store, target.cluster, target.resource, request.subresource, request.namespace,
            name or request.name, obj, old, request.identity, request.dry_run, [], shard.admission, request, None,
            False, form, True,
        )  # fmt: skip
        self._warnings: Sequence[str] = ()
        if operation == CREATE and form is not None and form.kind not in _UNMANAGED:
            obj["metadata"]["managedFields"] = field_managers.of_form(shard, request, form, obj)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ApiError):
            error.warnings = [*self._warnings, *error.warnings]

    def mutate(self) -> Sequence[str]:
        """Let others change the object, in place. Warnings; raises their refusal, or CallsWanted."""
        self._warnings = chain.mutate(self.attributes).warnings
        return self._warnings

    def validate(self, obj: Object | None = None) -> Sequence[str]:
        """The same for those who only judge; `obj` is what has become of the object, if it is another."""
        attributes = self.attributes if obj is None else self.attributes._replace(object=obj)
        return chain.validate(attributes).warnings
