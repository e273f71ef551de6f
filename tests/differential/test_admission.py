"""Our answers to the rows of `admission_rows` are a real kube-apiserver's (tests/golden/admission.json)."""

import json

from tests.differential.admission import RECORD, cases, ours


async def test_answers_are_kube_apiservers() -> None:
    recorded = json.loads(RECORD.read_text())
    found = await ours(cases())
    assert found.keys() == recorded.keys(), "rows were added or removed: record again"
    assert [name for name, answer in recorded.items() if found[name] != answer] == []
