from typing import Any

from kcpshard.verbs.namespace_contents import NamespaceContents
from kcpshard.verbs.shard import Shard


class FollowingCatalog:
    """As much of a catalogue as a Shard touches."""

    followed: Any = None

    def follow(self, store: Any) -> None:
        self.followed = store


def test_the_catalogue_follows_the_store_from_the_beginning() -> None:
    catalog, store = FollowingCatalog(), object()
    made = Shard(store, catalog, object(), lambda: 7)  # type: ignore[arg-type]
    assert catalog.followed is store
    assert made.now_us() == 7
    assert made.contents == NamespaceContents()  # nothing, unless the server says otherwise
