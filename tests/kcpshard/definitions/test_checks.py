import pytest

from kcpshard.definitions import checks


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        pytest.param(None, {}, False, id="no selector takes nothing"),
        pytest.param({}, {"a": "b"}, True, id="an empty one everything"),
        pytest.param({"matchLabels": {"a": "b"}}, {"a": "c"}, False, id="another value"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["c"]}]}, {}, True, id="not in"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "x"}]}, {}, None, id="not an operator"),
    ],
)
def test_selectors(selector: dict[str, object] | None, labels: dict[str, str], selected: bool | None) -> None:
    assert checks.is_selected(selector, labels) is selected


@pytest.mark.parametrize("text", ["", "1.2.3", "fe80::1%eth0", "x"])
def test_what_is_no_address_is_named(text: str) -> None:
    assert [fault.field for fault in checks.address("spec.ip", text)] == ["spec.ip"]


def test_a_required_value_is_not_an_unsupported_one() -> None:
    assert [f.reason for f in checks.one_supported("a", None, ("x",))] == ["FieldValueRequired"]
    assert [f.reason for f in checks.one_supported("a", "y", ("x",))] == ["FieldValueNotSupported"]
    assert not list(checks.one_supported("a", None, ("x",), optional=True))


def test_port_names() -> None:
    assert checks.port_name_faults("http") == []
    assert len(checks.port_name_faults("-1--")) == 3
