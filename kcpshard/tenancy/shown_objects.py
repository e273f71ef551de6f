"""What logical clusters show of the tree without holding it: root's workspace types, and what those without a parent
say of themselves. For the store's template."""

from collections.abc import Callable

from kcpshard.storage.template import Source, Texts
from kcpshard.tenancy.builtin_types import shown_in_root, type_objects
from kcpshard.tenancy.logical_clusters import top_level_object


def tenancy_objects(url: Callable[[], str]) -> list[tuple[Source, Texts]]:
    """`url` tells where the fronts are."""
    types: list[tuple[Source, Texts]] = [(each, shown_in_root) for each in type_objects()]
    return [*types, top_level_object(url)]
