from kcpshard.rpc import shard_pb2 as pb
from tests.contracts.api_client import ApiClient


def question(client: ApiClient, path: str) -> pb.Request:
    body = b'{"verb":"get"}'
    return pb.Request(
        verb=pb.AUTHORIZE, cluster=client.cluster, identity=client.identity.encode(), name=path, body=body
    )


async def test_an_administrator_may(client: ApiClient) -> None:
    assert (await client.send(question(client, "/metrics"))).code == 200


async def test_an_unknown_logical_cluster_answers_as_it_does_to_everything(client: ApiClient) -> None:
    client.cluster = "root:nowhere"
    assert (await client.send(question(client, "/metrics"))).code == 404
