"""Our answers to the tables are a real kube-apiserver's (tests/golden)."""

import pytest

from tests.differential.tables import TABLES, ours, recorded

# Rows that answer differently. A number may only go down.
DIFFERENT: dict[str, int] = {}


@pytest.mark.parametrize("name", list(TABLES))
async def test_answers_are_kube_apiservers(name: str) -> None:
    wanted, found = recorded(name), await ours(name)
    assert wanted.keys() == found.keys(), "rows have changed: record again"
    differing = [id_ for id_ in found if found[id_] != wanted[id_]]
    assert len(differing) == DIFFERENT.get(name, 0), differing


@pytest.mark.parametrize("name", list(TABLES))
def test_rows_have_ids_of_their_own(name: str) -> None:
    ids = [row.id for row in TABLES[name].rows() if row.id]
    assert len(set(ids)) == len(ids)
