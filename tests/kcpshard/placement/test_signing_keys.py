from kcpshard.placement import signing_keys
from kcpshard.placement.signing_keys import Key, KeyState, advanced, needs_key, with_key


def key(id_: str, state: KeyState, since_us: int = 0) -> Key:
    return Key(id_, "tokens", b"", b"", b"", state, since_us)


def states(keys: list[Key]) -> dict[str, str]:
    return {each.id: each.state.value for each in keys}


SIGNING, ANNOUNCED, RETIRED = KeyState.SIGNING, KeyState.ANNOUNCED, KeyState.RETIRED


def test_the_first_key_signs_at_once() -> None:
    assert needs_key([], 0)
    assert states(with_key([], key("a", ANNOUNCED))) == {"a": "signing"}


def test_a_second_key_is_announced_first() -> None:
    assert states(with_key([key("a", SIGNING)], key("b", ANNOUNCED))) == {"a": "signing", "b": "announced"}


def test_an_old_key_is_replaced_but_not_twice() -> None:
    old = key("a", SIGNING)
    assert not needs_key([old], signing_keys.ROTATE_AFTER_US - 1)
    assert needs_key([old], signing_keys.ROTATE_AFTER_US)
    assert not needs_key([old, key("b", ANNOUNCED)], signing_keys.ROTATE_AFTER_US)


def test_an_announced_key_signs_when_everybody_knows_it() -> None:
    keys = [key("a", SIGNING), key("b", ANNOUNCED, 5)]
    assert states(advanced(keys, 9, known_everywhere=False)) == {"a": "signing", "b": "announced"}
    after = advanced(keys, 9, known_everywhere=True)
    assert states(after) == {"a": "retired", "b": "signing"}
    assert {each.since_us for each in after} == {9}


def test_of_two_announced_keys_the_newer_signs() -> None:
    keys = [key("a", SIGNING), key("b", ANNOUNCED, 5), key("c", ANNOUNCED, 6)]
    assert states(advanced(keys, 9, known_everywhere=True)) == {"a": "retired", "b": "retired", "c": "signing"}


def test_where_none_signs_any_more_an_announced_one_steps_in() -> None:
    assert states(advanced([key("b", ANNOUNCED)], 9, known_everywhere=False)) == {"b": "signing"}


def test_what_was_retired_long_ago_goes() -> None:
    keys = [key("a", SIGNING), key("old", RETIRED)]
    assert states(advanced(keys, signing_keys.RETIRED_FOR_US - 1, True)) == {"a": "signing", "old": "retired"}
    assert states(advanced(keys, signing_keys.RETIRED_FOR_US, True)) == {"a": "signing"}
