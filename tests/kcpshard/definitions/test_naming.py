import pytest

from kcpshard.definitions.naming import (
    config_key_faults,
    dns1035_label_faults,
    finalizer_name_faults,
    is_config_key,
    one_of,
)


@pytest.mark.parametrize("key", ["a", ".a", "a.b", "A_b-c", "a..", "k" * 253])
def test_config_keys(key: str) -> None:
    assert is_config_key(key) and config_key_faults(key) == []


@pytest.mark.parametrize("key", ["", ".", "..", "..a", "a b", "a/b", "k" * 254, "a\n"])
def test_not_config_keys(key: str) -> None:
    assert not is_config_key(key) and config_key_faults(key)


def test_labels_begin_with_a_letter() -> None:
    assert dns1035_label_faults("a-1") == []
    assert dns1035_label_faults("1a") and dns1035_label_faults("") and dns1035_label_faults("a" * 64)


def test_finalizers_are_qualified_or_known() -> None:
    assert finalizer_name_faults("kubernetes", "p") == finalizer_name_faults("a.b/c", "p") == []
    assert [f.field for f in finalizer_name_faults("mine", "p")] == ["p"]


def test_supported_values_keep_their_order() -> None:
    assert one_of("p", "b", ("b", "a")) == []
    assert one_of("p", 'x"', ("b", "a"))[0].detail == 'Unsupported value: "x\\"": supported values: "b", "a"'
