from kcpshard.api.requests import Answer, Identity, answer_object, decode_identity


def test_an_identity_survives_its_way_through_bytes() -> None:
    who = Identity("ann", "7", ("team", "system:authenticated"), {"scopes": ["a", "b"]})
    assert decode_identity(who.encode()) == who


def test_equal_identities_are_decoded_once() -> None:
    raw = Identity("bob").encode()
    assert decode_identity(raw) is decode_identity(bytes(raw))


def test_missing_parts_are_empty() -> None:
    assert decode_identity(b'{"username":"eve","extra":null}') == Identity("eve")


def test_an_object_is_answered_as_json() -> None:
    assert answer_object(201, {"kind": "X"}) == Answer(201, b'{"kind":"X"}')


def test_scope_is_kept() -> None:
    raw = Identity("ann", groups=("system:masters",), scope=1_700_000_000_000_000_001).encode()
    assert decode_identity(raw).scope == 1_700_000_000_000_000_001
    assert decode_identity(Identity("ann").encode()).scope == 0
