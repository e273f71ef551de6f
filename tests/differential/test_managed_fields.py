"""Who owns what after sequences of writes is what a real kube-apiserver said (tests/golden/managed_fields.json)."""

import json

from tests.differential.exchanges import Exchange
from tests.differential.managed_fields import Ours, Step, play, sequence
from tests.differential.record_managed_fields import NAMESPACE, PREFIX, RECORD


async def test_ownership_is_kube_apiservers() -> None:
    recorded = json.loads(RECORD.read_text())
    ours = Ours()
    await ours.ask(Step(Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}), "x"))
    for number, wanted in enumerate(recorded):
        steps = sequence(number, PREFIX)
        found = json.loads(json.dumps(await play(ours, steps, NAMESPACE)))
        assert found == wanted, f"sequence {number}: {[step.exchange.id for step in steps]}"
    await ours.client.shard.store.close()
