import uuid

from kcpfront.filters.audit import name_request
from tests.kcpfront.exchanges import exchange


def named(headers: dict[str, str] | None = None) -> str:
    asked = exchange(headers=headers)
    name_request(asked)
    return asked.audit_id


def test_each_request_has_an_id_of_its_own() -> None:
    ids = {named() for _ in range(100)}
    assert len(ids) == 100
    assert all(uuid.UUID(found).version == 4 for found in ids)


def test_a_client_may_name_its_request() -> None:
    assert named({"Audit-ID": "mine-1"}) == "mine-1"
    assert named({"audit-id": "x" * 65}) != "x" * 65
    assert named({"Audit-ID": "a b"}) != "a b"
