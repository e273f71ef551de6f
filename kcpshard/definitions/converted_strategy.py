"""The Strategy of a version that is not the stored one and differs from it: what a write may do is judged of the stored
form, as kube-apiserver judges its internal one; only defaults are the version's own.
"""

from collections.abc import Callable, Mapping

from kcpshard.api.errors import FieldError
from kcpshard.api.requests import Identity
from kcpshard.definitions.contract import Object, Strategy

Convert = Callable[[Object], Object]


class ConvertedStrategy:
    """`own` fills in defaults; `stored` decides, of what `inward` makes; `outward` leads back."""

    __slots__ = ("_inward", "_outward", "_own", "_stored", "field_names")

    def __init__(self, own: Strategy, stored: Strategy, inward: Convert, outward: Convert) -> None:
        self._own, self._stored, self._inward, self._outward = own, stored, inward, outward
        self.field_names = stored.field_names

    def default(self, obj: Object) -> None:
        self._own.default(obj)
        # At once in the form that the stored one leads back to: who writes that owns all of it.
        inner = self._inward(obj)
        self._stored.default(inner)
        self._replace(obj, inner)

    def attribute(self, obj: Object, identity: Identity) -> None:
        self._own.attribute(obj, identity)

    def prepare_create(self, obj: Object) -> None:
        inner = self._inward(obj)
        self._stored.prepare_create(inner)
        self._replace(obj, inner)

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        inner = self._inward(new)
        self._stored.prepare_update(inner, self._inward(old), subresource)
        self._replace(new, inner)

    def _replace(self, obj: Object, inner: Object) -> None:
        found = self._outward(inner)
        found.update((key, obj[key]) for key in ("apiVersion", "kind") if key in obj)
        obj.clear()
        obj.update(found)

    def validate_create(self, obj: Object) -> list[FieldError]:
        return self._stored.validate_create(self._inward(obj))

    def validate_update(self, new: Object, old: Object, subresource: str) -> list[FieldError]:
        return self._stored.validate_update(self._inward(new), self._inward(old), subresource)

    def early_warnings(self, obj: Object) -> list[str]:
        return self._stored.early_warnings(self._inward(obj))

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        return self._stored.warnings(self._inward(obj), None if old is None else self._inward(old))

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        return self._stored.selectable_fields(self._inward(obj))

    def has_empties(self, obj: Object) -> bool:
        return self._own.has_empties(obj)

    def has_generation(self) -> bool:
        return self._stored.has_generation()

    def graceful(self, obj: Object, grace_period_s: int | None) -> int:
        return self._stored.graceful(self._inward(obj), grace_period_s)
