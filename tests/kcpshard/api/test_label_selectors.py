import pytest

from kcpshard.api.label_selectors import InvalidSelector, selector_of, selector_text

EXPRESSIONS = [
    {"key": "z", "operator": "NotIn", "values": ["y", "x"]},
    {"key": "e", "operator": "Exists"},
    {"key": "d", "operator": "DoesNotExist"},
]


def test_text_is_sorted_as_kube_apiserver_shows_it() -> None:
    selector = {"matchLabels": {"app": "a"}, "matchExpressions": EXPRESSIONS}
    assert selector_text(selector) == "app=a,!d,e,z notin (x,y)"
    assert selector_text(None) == selector_text({}) == ""


def test_none_selects_nothing_and_an_empty_one_everything() -> None:
    assert selector_of(None) is None
    everything = selector_of({})
    assert everything is not None
    assert everything.matches({}) and everything.matches({"a": "b"})


def test_all_requirements_must_hold() -> None:
    selector = selector_of({"matchLabels": {"app": "a"}, "matchExpressions": EXPRESSIONS})
    assert selector is not None
    assert selector.matches({"app": "a", "e": ""})
    assert not selector.matches({"app": "a", "e": "", "z": "x"})
    assert not selector.matches({"app": "a"})


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param({"key": "a", "operator": "in", "values": ["b"]}, id="unknown operator"),
        pytest.param({"key": "a", "operator": "In"}, id="no values"),
        pytest.param({"key": "a", "operator": "Exists", "values": ["b"]}, id="values"),
    ],
)
def test_what_is_no_selector(expression: dict[str, object]) -> None:
    with pytest.raises(InvalidSelector):
        selector_of({"matchExpressions": [expression]})
