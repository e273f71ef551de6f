"""What becomes of a request, without any stream. The ordinary ways: tests/contracts/caller.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from kcpshard.api.errors import ApiError
from kcpshard.api.requests import Answer, Identity
from kcpshard.api.unconverted import NotConverted
from kcpshard.execution import Execution, Job, error_answer
from kcpshard.flowcontrol.flows import Flow, Flows, State
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.damage import Corrupted
from tests.contracts.api_client import memory_shard
from tests.contracts.caller import request, until
from tests.contracts.scripted_verbs import FakeGroup, ScriptedVerbs


class Recorder:
    """A Receiver that keeps what it is given."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.answers: list[tuple[int, Answer]] = []

    def answer(self, id_: int, answer: Answer) -> None:
        self.answers.append((id_, answer))

    async def piece(self, id_: int, answer: Answer) -> None:
        self.answers.append((id_, answer))
        await asyncio.sleep(0)


@pytest.fixture
async def verbs() -> ScriptedVerbs:
    return ScriptedVerbs()


@pytest.fixture
async def execution(verbs: ScriptedVerbs) -> AsyncIterator[Execution]:
    async with asyncio.TaskGroup() as tasks:
        made = Execution(verbs.dispatch, tasks)
        yield made
        verbs.gate.set()
        made.close()


def numbered(
    id_: int, name: str, verb: "pb.Verb.ValueType" = pb.GET, write_id: bytes = b"", **more: bool
) -> pb.Request:
    made = request(name, verb)
    made.id, made.request_id, made.timeout_ms = id_, write_id, 5000
    for field, value in more.items():
        setattr(made, field, value)
    return made


async def test_what_needs_no_wait_is_answered_before_execute_returns(execution: Execution) -> None:
    receiver = Recorder()
    execution.execute(numbered(1, "echo"), receiver)
    execution.execute(numbered(2, "absent"), receiver)
    execution.execute(numbered(3, "elsewhere:4"), receiver)
    assert [(id_, a.code, a.moved_to) for id_, a in receiver.answers] == [(1, 200, -1), (2, 404, -1), (3, 421, 4)]
    assert execution.jobs == 0


async def test_a_repeat_of_a_running_write_joins_it(execution: Execution, verbs: ScriptedVerbs) -> None:
    verbs.syncs_at_once = False
    first, second = Recorder(), Recorder()
    execution.execute(numbered(1, "write", pb.CREATE, b"w"), first)
    execution.abandon(first)
    execution.execute(numbered(8, "write", pb.CREATE, b"w", repeat=True), second)
    assert len(verbs.requests) == 1
    verbs.group.sync()
    assert [(id_, a.code) for id_, a in second.answers] == [(8, 201)]
    assert execution.jobs == 0


async def test_a_repeat_of_a_finished_write_is_the_verbs_business(execution: Execution, verbs: ScriptedVerbs) -> None:
    receiver = Recorder()
    execution.execute(numbered(1, "write", pb.CREATE, b"w"), receiver)
    await execution.wait_until_idle()
    execution.execute(numbered(2, "write", pb.CREATE, b"w", repeat=True), receiver)
    assert [a.body for _, a in receiver.answers] == [b"", b'{"recorded":true}']


async def test_a_write_whose_repeat_waits_is_not_cancelled(execution: Execution, verbs: ScriptedVerbs) -> None:
    first, second = Recorder(), Recorder()
    execution.execute(numbered(1, "slowwrite", pb.PATCH, b"w"), first)
    await until(lambda: verbs.started)
    execution.execute(numbered(2, "slowwrite", pb.PATCH, b"w", repeat=True), second)
    execution.cancel(first, 1)
    verbs.gate.set()
    await execution.wait_until_idle()
    assert [a.code for _, a in second.answers] == [201]
    assert verbs.cancelled == 0


async def test_cancel_stops_a_write_that_is_not_accepted_yet(execution: Execution, verbs: ScriptedVerbs) -> None:
    receiver = Recorder()
    execution.execute(numbered(1, "slowwrite", pb.PATCH, b"w"), receiver)
    await until(lambda: verbs.started)
    execution.cancel(receiver, 1)
    assert execution.jobs == 0
    await until(lambda: verbs.cancelled)
    assert not verbs.recorded
    assert not receiver.answers


async def test_abandoned_reads_stop_and_writes_go_on(execution: Execution, verbs: ScriptedVerbs) -> None:
    receiver = Recorder()
    execution.execute(numbered(1, "slow"), receiver)
    execution.execute(numbered(2, "slowwrite", pb.UPDATE, b"w"), receiver)
    await until(lambda: verbs.started == 2)
    execution.abandon(receiver)
    await until(lambda: verbs.cancelled == 1)
    verbs.gate.set()
    await execution.wait_until_idle()
    assert verbs.recorded == {b"w": 1}


async def test_a_read_that_keeps_meeting_unsynced_writes_is_asked_again(
    execution: Execution, verbs: ScriptedVerbs
) -> None:
    receiver, first = Recorder(), verbs.group
    execution.execute(numbered(1, "unsynced"), receiver)
    second = verbs.group = FakeGroup()
    first.sync()
    assert not receiver.answers
    second.sync()
    assert [a.code for _, a in receiver.answers] == [200]
    assert len(verbs.requests) == 3


async def test_a_refused_group_answers_its_writes_and_asks_its_readers_again(
    execution: Execution, verbs: ScriptedVerbs
) -> None:
    verbs.syncs_at_once = False
    receiver, group = Recorder(), verbs.group
    execution.execute(numbered(1, "write", pb.CREATE, b"w"), receiver)
    execution.execute(numbered(2, "unsynced"), receiver)
    verbs.group = FakeGroup()
    verbs.group.sync()
    group.refuse()
    assert [(id_, a.code) for id_, a in receiver.answers] == [(1, 503), (2, 200)]


async def test_an_overdue_verb_is_stopped_and_answered_504(execution: Execution, verbs: ScriptedVerbs) -> None:
    receiver, overdue = Recorder(), numbered(1, "slow")
    overdue.timeout_ms = 1
    execution.execute(overdue, receiver)
    await until(lambda: receiver.answers)
    assert [a.code for _, a in receiver.answers] == [504]
    assert (verbs.cancelled, execution.jobs) == (1, 0)


async def test_pieces_of_a_write_are_kept_together_for_its_repeat(execution: Execution, verbs: ScriptedVerbs) -> None:
    first, second = Recorder(), Recorder()
    execution.execute(numbered(1, "pieces:3:10", pb.DELETE_COLLECTION, b"w"), first)
    execution.abandon(first)
    execution.execute(numbered(2, "pieces:3:10", pb.DELETE_COLLECTION, b"w", repeat=True), second)
    await execution.wait_until_idle()
    ((_, answer),) = second.answers
    assert len(answer.body) == 30
    assert answer.info is not None


def test_an_expected_error_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    from kcpshard.api.errors import Conflict

    assert error_answer(Conflict("no", retry_after_s=2), pb.Request()).retry_after_s == 2
    assert not caplog.records


@pytest.mark.parametrize("kind", [Corrupted, Exception])
def test_damaged_data_is_an_internal_error_that_says_so(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    error = kind(f"Corruption: block checksum mismatch: stored = 1  in /data/{kind.__name__}.sst offset 3 size 5")
    for _ in range(3):
        answer = error_answer(error, numbered(1, "a"))
    assert answer.code == 500
    status = orjson.loads(answer.body)
    assert status["reason"] == "InternalError"
    assert f"is damaged (block checksum mismatch in {kind.__name__}.sst)" in status["message"]
    assert len(caplog.records) == 1


async def test_a_verb_that_misses_a_conversion_is_asked_again() -> None:
    asked: list[int] = []
    receiver = Recorder()

    async def settle() -> None:
        await asyncio.sleep(0)

    def dispatch(request: pb.Request) -> Answer:
        asked.append(request.id)
        if len(asked) < 3:
            raise NotConverted(settle)
        return Answer(200, b"{}")

    async with asyncio.TaskGroup() as tasks:
        execution = Execution(dispatch, tasks)
        execution.execute(numbered(1, "x"), receiver)
        await execution.wait_until_idle()
        execution.close()
    assert [(id_, a.code) for id_, a in receiver.answers] == [(1, 200)]
    assert len(asked) == 3


async def test_a_webhook_that_cannot_convert_or_never_ends_is_an_error() -> None:
    receiver = Recorder()

    async def fail() -> None:
        raise ApiError("conversion webhook for x failed")

    async def settle() -> None:
        pass

    def dispatch(request: pb.Request) -> Answer:
        raise NotConverted(fail if request.id == 1 else settle)

    async with asyncio.TaskGroup() as tasks:
        execution = Execution(dispatch, tasks)
        for id_ in (1, 2):
            execution.execute(numbered(id_, "x"), receiver)
        await execution.wait_until_idle()
        execution.close()
    answers = {id_: orjson.loads(answer.body)["message"] for id_, answer in receiver.answers}
    assert answers[1] == "conversion webhook for x failed"
    assert "another one at each conversion" in answers[2]


async def test_a_logical_cluster_beyond_its_requests_in_flight_is_told_to_wait() -> None:
    async with asyncio.TaskGroup() as tasks:
        gate = asyncio.Event()

        async def wait() -> Answer:
            await gate.wait()
            return Answer(200, b"{}")

        execution = Execution(lambda request: wait(), tasks, None, lambda path: 20)
        receiver = Answers()
        for n in range(1, 25):
            execution.execute(pb.Request(id=n, cluster="flood", verb=pb.GET), receiver)
        execution.execute(pb.Request(id=100, cluster="quiet", verb=pb.GET), receiver)
        assert [receiver.found[n].code for n in range(21, 25)] == [429] * 4
        assert receiver.found[21].retry_after_s == 1
        execution._flows = OneFlow()
        refused = Answer(403, b"{}")
        execution._dispatch = lambda request: refused
        execution.execute(
            pb.Request(id=101, cluster="flood", verb=pb.GET, label_selector="x", field_selector="x"), receiver
        )
        assert receiver.found[101].code == 403, "a stranger is not told that others are busy here"
        gate.set()
        await execution.wait_until_idle()
        assert {receiver.found[n].code for n in (*range(1, 21), 100)} == {200}
        assert execution._of_cluster == {}
        execution.close()


class Answers:
    def __init__(self) -> None:
        self.found: dict[int, Answer] = {}
        self.jobs: dict[int, Job] = {}

    def answer(self, id_: int, answer: Answer) -> None:
        self.found[id_] = answer

    async def piece(self, id_: int, answer: Answer) -> None:
        raise AssertionError("no list here")


# --- seats of priority levels


def _never(_cluster: object, _identity: bytes) -> bool:
    return False


class OneFlow(Flows[Job]):
    """Every request belongs to one flow of a level with one seat; to none if its label selector says so."""

    def __init__(self, **queuing: int) -> None:
        super().__init__(
            memory_shard().store, lambda _cluster: 1, lambda _raw, _cluster: Identity("a"), "limits", _never
        )
        response = {"type": "Queue", "queuing": queuing} if queuing else {"type": "Reject"}
        limited = {"nominalConcurrencyShares": 1, "limitResponse": response}
        self.state: State[Job] = State(7)
        self.state.configure({"low": ("level-uid", {"type": "Limited", "limited": limited})}, 1)
        self.flow = Flow(self.state, self.state.by_name["low"], "schema\0a", b"schema-uid level-uid")

    def of(self, request: Any) -> Flow[Job] | None:
        return None if request.label_selector else self.flow

    def is_of_stranger(self, request: Any) -> bool:
        return bool(request.field_selector)


ONE_QUEUE = {"queues": 1, "handSize": 1, "queueLengthLimit": 1}


@asynccontextmanager
async def seated(verbs: ScriptedVerbs, flows: OneFlow) -> AsyncIterator[Execution]:
    async with asyncio.TaskGroup() as tasks:
        made = Execution(verbs.dispatch, tasks, flows=flows)
        yield made
        verbs.gate.set()
        verbs.group.sync()
        made.close()


async def test_answers_name_the_flow_but_not_to_strangers(verbs: ScriptedVerbs) -> None:
    receiver = Recorder()
    async with seated(verbs, OneFlow()) as execution:
        execution.execute(numbered(1, "echo"), receiver)
        execution.execute(numbered(2, "absent"), receiver)
        execution.execute(numbered(3, "elsewhere:4"), receiver)
        execution.execute(numbered(4, "slow"), receiver)
        verbs.gate.set()
        await until(lambda: not execution.jobs)
    found = {id_: answer.flow for id_, answer in receiver.answers}
    assert found == {1: b"schema-uid level-uid", 2: b"schema-uid level-uid", 3: b"", 4: b"schema-uid level-uid"}


async def test_without_a_seat_and_queues_a_request_is_refused(verbs: ScriptedVerbs) -> None:
    receiver, flows = Recorder(), OneFlow()
    async with seated(verbs, flows) as execution:
        execution.execute(numbered(1, "slow"), receiver)
        execution.execute(numbered(2, "echo"), receiver)
        (_, refused) = receiver.answers[0]
        assert (refused.code, refused.retry_after_s, refused.flow) == (429, 1, b"schema-uid level-uid")
        assert refused.body == b"Too many requests, please try again later.\n"
        verbs.gate.set()
        await until(lambda: not execution.jobs)
        execution.execute(numbered(3, "echo"), receiver)
    assert [(id_, answer.code) for id_, answer in receiver.answers] == [(2, 429), (1, 200), (3, 200)]
    assert (flows.refused, flows.state.used) == (1, 0)


async def test_who_waits_gets_the_seat_that_becomes_free(verbs: ScriptedVerbs) -> None:
    receiver, flows = Recorder(), OneFlow(**ONE_QUEUE)
    verbs.syncs_at_once = False
    async with seated(verbs, flows) as execution:
        execution.execute(numbered(1, "write", pb.CREATE), receiver)
        for id_ in (2, 3):
            execution.execute(numbered(id_, "echo"), receiver)
        assert [(id_, answer.code) for id_, answer in receiver.answers] == [(3, 429)]
        assert (execution.jobs, len(verbs.requests)) == (2, 1)
        verbs.group.sync()
        await until(lambda: not execution.jobs)
    assert [(id_, answer.code) for id_, answer in receiver.answers] == [(3, 429), (1, 201), (2, 200)]
    assert (flows.state.used, flows.state.waiting) == (0, 0)


async def test_who_has_waited_a_quarter_of_its_time_is_refused(verbs: ScriptedVerbs) -> None:
    receiver, flows = Recorder(), OneFlow(**ONE_QUEUE)
    async with seated(verbs, flows) as execution:
        execution.execute(numbered(1, "slow"), receiver)
        hasty = numbered(2, "echo")
        hasty.timeout_ms = 40
        execution.execute(hasty, receiver)
        await until(lambda: bool(receiver.answers))
    assert [(id_, answer.code) for id_, answer in receiver.answers[:1]] == [(2, 429)]
    assert (flows.timed_out, flows.state.waiting) == (1, 0)


async def test_who_leaves_makes_room_in_its_queue(verbs: ScriptedVerbs) -> None:
    receiver, flows = Recorder(), OneFlow(**ONE_QUEUE)
    async with seated(verbs, flows) as execution:
        execution.execute(numbered(1, "slow"), receiver)
        execution.execute(numbered(2, "echo"), receiver)
        execution.cancel(receiver, 2)
        execution.execute(numbered(3, "echo"), receiver)
        assert (receiver.answers, flows.state.waiting, execution.jobs) == ([], 1, 2)


async def test_a_wider_level_lets_in_who_waits(verbs: ScriptedVerbs) -> None:
    receiver, flows = Recorder(), OneFlow(**ONE_QUEUE)
    async with seated(verbs, flows) as execution:
        execution.execute(numbered(1, "slow"), receiver)
        execution.execute(numbered(2, "echo"), receiver)
        flows.flow.level.nominal = 2
        assert flows.on_change is not None
        flows.on_change(flows.state)
        await until(lambda: bool(receiver.answers))
        assert [id_ for id_, _ in receiver.answers] == [2]
