import pytest

from kcpshard.api.errors import MethodNotAllowed
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.verbs import dispatch as module
from kcpshard.verbs.dispatch import dispatch
from tests.contracts.api_client import ApiClient


@pytest.mark.parametrize("verb", [verb for verb in pb.Verb.values() if verb])
def test_every_verb_of_the_protocol_has_a_function(verb: int) -> None:
    function = module._OF_MANY[verb] if verb in module._OF_MANY else module._VERBS[verb]
    assert function is not module.unknown
    name = function.__module__.removeprefix("kcpshard.verbs.")
    assert name.replace("everywhere", "many") == pb.Verb.Name(verb).lower()


@pytest.mark.parametrize("verb", [0, 99])
async def test_unknown_verbs(client: ApiClient, verb: int) -> None:
    request = pb.Request(cluster="root", identity=client.identity.encode())
    request.verb = verb  # type: ignore[assignment]
    with pytest.raises(MethodNotAllowed):
        dispatch(client.shard, request)
