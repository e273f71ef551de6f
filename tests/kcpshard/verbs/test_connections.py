import pytest

from tests.contracts.full_cluster import PODS, full_cluster, pod


@pytest.mark.parametrize(
    ("url", "code", "text"),
    [
        pytest.param("none/log", 404, 'pods "none" not found', id="no pod"),
        pytest.param("a/log?container=b", 400, "container b is not valid for pod a", id="no container"),
        pytest.param("a/exec", 400, "pod a does not have a host assigned", id="no node yet"),
        pytest.param("b/portforward", 404, 'pods "gone" not found', id="no such node"),
        pytest.param("c/log", 500, "no preferred addresses found; known addresses: []", id="no address"),
        pytest.param("a/proxy", 400, "address not allowed", id="no address of its own"),
        pytest.param("d/exec", 503, "there is no network between this server and node reachable", id="no way"),
    ],
)
async def test_why_there_is_no_connection(url: str, code: int, text: str) -> None:
    async with full_cluster() as client:
        status = {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}
        await client.create("/api/v1/nodes", {"metadata": {"name": "n"}})
        await client.create("/api/v1/nodes", {"metadata": {"name": "reachable"}, "status": status})
        for name, node in (("a", ""), ("b", "gone"), ("c", "n"), ("d", "reachable")):
            await client.create(PODS, pod(name, nodeName=node))
        reply = await client.do("GET", f"{PODS}/{url}")
        assert (reply.code, reply.message) == (code, text)


async def test_a_pod_that_has_not_run_has_written_nothing() -> None:
    async with full_cluster() as client:
        await client.create(PODS, pod("a"))
        reply = await client.do("GET", f"{PODS}/a/log")
        assert (reply.code, reply.answer.body) == (204, b"")
