from kcpshard.controllers.assembly import assemble, namespace_contents
from kcpshard.controllers.switches import NAMES
from tests.contracts.api_client import memory_shard


async def test_what_is_switched_off_neither_runs_nor_is_born() -> None:
    shard = memory_shard()
    assert namespace_contents(NAMES, "CA") == (True, "CA")
    assert namespace_contents((), "CA") == (False, "")
    shard.contents = namespace_contents(NAMES, "CA")
    assert set(assemble(shard, NAMES).names) <= set(NAMES)
    shard.contents = namespace_contents((), "CA")
    assert assemble(shard, ()).names == ()
