"""The way of a workload that is really placed and synchronised, told by what the logical cluster keeps of it."""

import asyncio
import json

from click.testing import CliRunner, Result

from kcp.__main__ import main
from kcpfront.embedding import EmbeddedCluster, embedded
from tests.contracts.physical import UP, World, deployment, eventually, ready_world, working


def run(logical: EmbeddedCluster, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["why", "--kubeconfig", str(logical.kubeconfig), *arguments])


async def _is_below(world: World) -> bool:
    found, _ = await world.down["east"].list("/apis/apps/v1/deployments")
    for each in found:
        metadata = each["metadata"]
        path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}/status"
        count = each["spec"]["replicas"]
        status = {"observedGeneration": metadata["generation"], "replicas": count, "readyReplicas": count}
        await world.down["east"].merge(path, {"status": status})
    return bool(found)


async def _is_told(world: World) -> bool:
    found = await world.up.get(f"{UP}/web")
    status = (found or {}).get("status") or {}
    return bool(status.get("readyReplicas") == 2 and status.get("observedGeneration"))


async def test_from_change_to_status() -> None:
    with embedded() as upstream, embedded(api_set="full") as physical:
        logical = upstream.create_cluster()
        async with working(logical) as world:
            await ready_world(world, physical)
            web = deployment("web", "")
            web["metadata"]["labels"] = {}
            await world.up.create(UP, web)
            await eventually(lambda: _is_below(world))
            await eventually(lambda: _is_told(world))
            shown = await asyncio.to_thread(run, logical, "deploy/web")
            asked = await asyncio.to_thread(run, logical, "deploy/web", "-o", "json")
            missing = await asyncio.to_thread(run, logical, "deploy/nothing")
    assert shown.exit_code == 0, shown.output
    assert "Placed: east: 2" in shown.output and "the default: a share for each cluster" in shown.output
    found = json.loads(asked.output)
    steps = [(hop["step"], hop["cluster"]) for hop in found["way"]]
    assert steps[:3] == [("changed", None), ("placed", "east"), ("synchronised", "east")], found
    assert ("ready", None) in steps and found["waiting"] == []
    times = [hop["time"] for hop in found["way"]]
    assert times == sorted(times) and all(hop["took_s"] >= 0 for hop in found["way"][1:])
    assert found["clusters"] == [
        {"cluster": "east", "replicas": 2, "wanted": 2, "why": "the default: a share for each cluster"}
    ]
    assert any(event["reason"] == "Divided" for event in found["events"])
    assert missing.exit_code == 1 and "not found" in missing.output
