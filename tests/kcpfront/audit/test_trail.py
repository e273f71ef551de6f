from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from kcpfront.audit.trail import BATCH, STRICT, AuditError, AuditOptions, Trail, open_trail
from kcpfront.credential_files import CredentialFiles
from kcpfront.server import Front
from kcpfront.settings import Settings
from kcpshard.api.errors import Forbidden
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient

PATH = "/api/v1/namespaces/default/configmaps"
TOKEN = "secret-of-ada"


class Rig:
    def __init__(self, directory: Path, rules: list[dict[str, Any]], mode: str = BATCH) -> None:
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
        (directory / "policy.yaml").write_text(yaml.safe_dump(policy))
        (directory / "tokens.csv").write_text(f'{TOKEN},ada,uid-1,"system:masters,devs"\n')
        self.log = directory / "audit.log"
        options = AuditOptions(str(directory / "policy.yaml"), str(self.log), log_mode=mode)
        trail = open_trail(options)
        assert trail is not None
        self.trail: Trail = trail
        self.router = FakeRouter()
        files = CredentialFiles(directory, directory / "tokens.csv")
        self.front = Front(self.router, self.router, files, Settings(drain_s=2.0), tls=False, trail=trail)

    async def client(self) -> HttpClient:
        return HttpClient("127.0.0.1", await self.front.start("127.0.0.1", 0), TOKEN)

    async def records(self) -> list[dict[str, Any]]:
        while self.trail._waiting:
            self.trail._format()
        for place in self.trail.places:
            await place.written()
        return [orjson.loads(line) for line in self.log.read_bytes().splitlines()]


MakeRig = Callable[..., Rig]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakeRig]:
    made: list[Rig] = []

    def rig(*rules: dict[str, Any], mode: str = BATCH) -> Rig:
        made.append(Rig(tmp_path, list(rules), mode))
        return made[-1]

    yield rig
    for each in made:
        await each.front.stop()


def shown(records: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(r["verb"], r["stage"], r.get("responseStatus", {}).get("code", 0)) for r in records]


async def test_each_request_is_recorded_when_it_comes_and_when_it_is_answered(make: MakeRig) -> None:
    rig = make({"level": "Metadata"})
    rig.router.answer = lambda _: Result(200, b"{}", audit=b'{"decision":"allow","reason":"r"}')
    client = await rig.client()
    answer = await client.get(PATH + "/a")
    await client.get("/livez")
    client.close()
    records = await rig.records()
    assert shown(records) == [
        ("get", "RequestReceived", 0),
        ("get", "ResponseComplete", 200),
        ("get", "RequestReceived", 0),
        ("get", "ResponseComplete", 200),
    ]
    assert {r["auditID"] for r in records[:2]} == {answer.headers["audit-id"]}
    assert rig.router.requests[0].audit_id == answer.headers["audit-id"]
    assert records[1]["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert records[1]["user"]["username"] == "ada" and records[1]["sourceIPs"] == ["127.0.0.1"]


async def test_what_the_policy_leaves_out_costs_the_shard_nothing(make: MakeRig) -> None:
    rig = make({"level": "None", "verbs": ["get"]}, {"level": "Metadata", "omitStages": ["RequestReceived"]})
    client = await rig.client()
    await client.get(PATH + "/a")
    await client.get(PATH)
    client.close()
    assert rig.router.requests[0].audit_id == ""
    assert shown(await rig.records()) == [("list", "ResponseComplete", 200)]


async def test_failures_are_recorded_as_what_they_are(make: MakeRig) -> None:
    rig = make({"level": "Metadata", "omitStages": ["RequestReceived"]})
    client = await rig.client()

    def refused(_: pb.Request) -> Result:
        raise Forbidden("no")

    def broken(_: pb.Request) -> Result:
        raise KeyError("bug")

    for rig.router.answer in (refused, broken):
        await client.get(PATH + "/a")
    client.token = "wrong"
    await client.get(PATH + "/a")
    client.close()
    records = await rig.records()
    assert shown(records) == [
        ("get", "ResponseComplete", 403),
        ("get", "Panic", 500),
        ("get", "ResponseComplete", 500),
        ("get", "ResponseStarted", 401),
    ]
    assert records[0]["responseStatus"]["reason"] == "Forbidden"
    assert b"wrong" not in rig.log.read_bytes()


async def test_a_watch_is_recorded_when_it_starts_and_when_it_ends(make: MakeRig) -> None:
    rig = make({"level": "Metadata", "omitStages": ["RequestReceived"]})
    client = await rig.client()
    await client.send("GET", PATH + "?watch=1")
    assert (await client.head()).code == 200
    assert shown(await rig.records()) == [("watch", "ResponseStarted", 200)]
    assert rig.router.watches[0].start.audit_id
    rig.router.watches[0].sink.ended(b"{}")
    while await client.chunk():
        pass
    client.close()
    records = await rig.records()
    assert shown(records)[1:] == [("watch", "ResponseComplete", 200)]
    assert records[0]["annotations"]["authorization.k8s.io/reason"] == "watched"


async def test_forwarded_addresses_come_before_the_peer(make: MakeRig) -> None:
    rig = make({"level": "Metadata"})
    client = await rig.client()
    await client.get(PATH + "/a", **{"X-Forwarded-For": "192.0.2.1, 192.0.2.2"})
    client.close()
    assert (await rig.records())[0]["sourceIPs"] == ["192.0.2.1", "192.0.2.2", "127.0.0.1"]


async def test_strict_mode_serves_nothing_that_is_not_on_file(make: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make({"level": "Metadata"}, mode=STRICT)
    client = await rig.client()
    assert (await client.get(PATH + "/a")).code == 404
    assert len(rig.log.read_bytes().splitlines()) >= 1

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kcpfront.audit.log_file.os.write", full)
    asked = len(rig.router.requests)
    assert (await client.get(PATH + "/a")).code == 500
    assert len(rig.router.requests) == asked
    monkeypatch.undo()
    assert (await client.get(PATH + "/a")).code == 404
    client.close()
    text = rig.front.metrics.text().decode()
    assert 'apiserver_audit_error_total{plugin="log"}' in text and "apiserver_audit_event_total" in text


async def test_more_than_can_be_formatted_is_dropped_and_counted(
    make: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kcpfront.audit.trail._MAX_WAITING", 1)
    monkeypatch.setattr("kcpfront.audit.trail._GATHER_S", 60.0)
    rig = make({"level": "Metadata"})
    client = await rig.client()
    assert (await client.get(PATH + "/a")).code == 404
    client.close()
    assert rig.trail.dropped == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (AuditOptions("missing.yaml", "audit.log"), "cannot be read"),
        (AuditOptions("policy.yaml"), "records nothing"),
        (AuditOptions("policy.yaml", "no/such/directory/audit.log"), "cannot be written"),
        (AuditOptions("policy.yaml", webhook_config_file="missing"), "no usable kubeconfig"),
    ],
)
async def test_what_cannot_be_done_is_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: AuditOptions, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
    with pytest.raises(AuditError, match=text):
        open_trail(options)


async def test_without_a_policy_there_is_no_trail() -> None:
    assert open_trail(AuditOptions(log_path="x")) is None
