from kcpshard.api.events import EventType
from kcpshard.rpc import shard_pb2 as pb


def test_event_types_have_the_numbers_of_the_protocol() -> None:
    assert {t.name: int(t) for t in EventType} == {name: number for name, number in pb.EventType.items() if number}
