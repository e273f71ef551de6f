import asyncio
from typing import Any

import orjson
import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.requests import Identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.storage.contract import NotDurable
from kcpshard.tenancy.directory import Directory
from kcpshard.tenancy.names import TypeReference
from tests.contracts.api_client import ADMIN, memory_shard

FAR = TypeReference("root:far", "t")
ANN = Identity("ann", "", ("system:authenticated",)).encode()


class Elsewhere:
    """The other shard."""

    def __init__(self, *answers: Result | Exception) -> None:
        self.answers, self.requests = list(answers), list[pb.Request]()

    async def __call__(self, request: pb.Request, timeout_s: float) -> Result:
        self.requests.append(request)
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def directory(ask: Elsewhere | None = None, tasks: asyncio.TaskGroup | None = None) -> Directory:
    shard = memory_shard()
    made = Directory(shard.store, shard.authorizer, lambda path: path != "root:far")
    if ask is not None and tasks is not None:
        made.connect(ask, b"{}", tasks)
    return made


async def settled(ask: Any) -> Any:
    while True:
        try:
            return ask()
        except NotDurable as wait:
            done = asyncio.Event()
            wait.group.when_durable(done.set)
            await done.wait()


async def test_builtin_types_are_there_before_root_is_born() -> None:
    found = directory()
    assert found.find_type(TypeReference("root", "universal")) is not None
    assert found.find_type(TypeReference("root", "nope")) is None
    assert found.find_type(TypeReference("tenant", "universal")) is None


async def test_a_type_of_another_shard_is_asked_for_once() -> None:
    ask = Elsewhere(Result(200, orjson.dumps({"spec": {"initializer": True}})))
    async with asyncio.TaskGroup() as tasks:
        made = directory(ask, tasks)
        assert await settled(lambda: made.find_type(FAR)) == {"initializer": True}
        assert made.find_type(FAR) == {"initializer": True}
        assert len(ask.requests) == 1 and ask.requests[0].cluster == "root:far"


async def test_a_shard_that_does_not_answer_is_said() -> None:
    ask = Elsewhere(ServiceUnavailable("gone"), Result(404, b"{}"))
    async with asyncio.TaskGroup() as tasks:
        made = directory(ask, tasks)
        with pytest.raises(ServiceUnavailable, match="root:far does not answer"):
            await settled(lambda: made.find_type(FAR))
        with pytest.raises(ServiceUnavailable):  # and not asked again at once
            made.find_type(FAR)
        assert len(ask.requests) == 1


async def test_root_elsewhere_has_its_types_before_it_is_born() -> None:
    ask = Elsewhere(Result(404, b"{}"), Result(404, b"{}"), Result(404, b"{}"), Result(200, b"{}"))
    async with asyncio.TaskGroup() as tasks:
        shard = memory_shard()
        made = Directory(shard.store, shard.authorizer, lambda path: False)
        made.connect(ask, b"{}", tasks)
        assert await settled(lambda: made.find_type(TypeReference("root", "universal"))) is not None
        assert await settled(lambda: made.find_type(TypeReference("root", "team"))) is None, "born, and removed there"


async def test_rights_to_use_a_type() -> None:
    ask = Elsewhere(Result(201, orjson.dumps({"status": {"allowed": True}})))
    async with asyncio.TaskGroup() as tasks:
        made = directory(ask, tasks)
        assert made.may_use(ANN, TypeReference("root", "universal"))
        assert not made.may_use(ANN, TypeReference("root", "home"))
        assert made.may_use(ADMIN.encode(), FAR)
        assert await settled(lambda: made.may_use(ANN, FAR))
        review = orjson.loads(ask.requests[0].body)
        assert review["spec"]["resourceAttributes"]["verb"] == "use" and ask.requests[0].identity == ANN


async def test_who_belongs_elsewhere_is_judged_there() -> None:
    ask = Elsewhere(Result(401, b"{}"))
    async with asyncio.TaskGroup() as tasks:
        made = directory(ask, tasks)
        stranger = Identity("system:serviceaccount:a:b", "", ("system:authenticated",), {}, 7).encode()
        assert not await settled(lambda: made.may(stranger, FAR.path, Attributes("bind"), b"[7,[],null,null]"))
        assert (ask.requests[0].identity, ask.requests[0].proof) == (stranger, b"[7,[],null,null]")


async def test_without_other_shards_what_is_not_ours_is_unavailable() -> None:
    with pytest.raises(ServiceUnavailable):
        directory().find_type(FAR)
