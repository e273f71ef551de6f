from kcpshard.callouts.calls import Callouts
from kcpshard.definitions.catalog import Catalog
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.verbs.namespace_contents import NamespaceContents
from kcpshard.verbs.shard import Shard


class Everything:
    def check(self, path: str) -> None:
        return None


class Following(Catalog):
    followed: Store | None = None

    def follow(self, store: Store) -> None:  # type: ignore[override]
        self.followed = store

    def inherit(self, inheritance: object) -> None:
        """Nobody has ancestors here."""

    def call_out(self, callouts: Callouts) -> None:
        self.calls_out_by = callouts


async def test_the_catalogue_follows_the_store_from_the_beginning() -> None:
    store, catalog = Store(MemoryEngine(), 1, lambda: 1_800_000_000_000_000), Following()
    shard = Shard(store, catalog, Everything(), lambda: 0)
    assert catalog.followed is store
    assert catalog.calls_out_by is shard.callouts
    assert isinstance(shard.contents, NamespaceContents)
    await store.close()
