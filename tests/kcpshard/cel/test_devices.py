import pytest

from kcpshard.api import loop_time
from kcpshard.cel.devices import is_too_complex, selector_fault


@pytest.fixture(autouse=True)
def without_a_loop() -> None:
    """Whoever has run a shard in this process has bounded what may be done at once."""
    loop_time.bound(1 << 62, 1 << 62)


@pytest.mark.parametrize(
    "text",
    [
        "device.driver == 'd'", "device.attributes['d'].model == 'x'", "device.attributes['d'].ready",
        "device.capacity['d'].memory.compareTo(quantity('1Gi')) >= 0", "device.allowMultipleAllocations",
        "device.attributes['d'].v.isGreaterThan(semver('1.0.0'))",
        "cel.bind(own, device.attributes['d'], own.a && own.b)",
    ],
)  # fmt: skip
def test_what_a_device_says_can_be_asked(text: str) -> None:
    assert selector_fault(text) == ""
    assert not is_too_complex(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("device.name == 'd'", "undefined field 'name'"),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        ("device.driver ==", "compilation failed: ERROR"),
        ("device.attributes['d'].x.exists(v, v == 1)", "expression of type 'any' cannot be range of a comprehension"),
        ("object.x", "undeclared reference to 'object'"),
        ("cel.bind('own', 1, true)", "cel.bind() variable names must be simple identifiers"),
    ],
)
def test_a_selector_that_is_none_says_why(text: str, words: str) -> None:
    assert words in selector_fault(text)


def test_matching_each_attribute_with_a_long_pattern_costs_too_much() -> None:
    text = "device.attributes.all(d, device.attributes[d].all(k, device.attributes[d][k].matches('%s')))"
    assert not is_too_complex(text % "a*")
    assert selector_fault(text % ("a*" * 2000)) == ""
    assert is_too_complex(text % ("a*" * 2000))


def test_a_long_selector_is_not_compiled_on_a_loop() -> None:
    long = " && ".join(f"device.driver != '{n}.long.dev'" for n in range(20))
    loop_time.bound()
    try:
        assert selector_fault("device.driver == 'short.dev'") == ""
        with pytest.raises(loop_time.TooLong):
            selector_fault(long)
        with loop_time.unbounded():
            assert selector_fault(long) == ""
        assert selector_fault(long) == "", "it is known now"
    finally:
        loop_time.bound(1 << 62, 1 << 62)
