from kcpfront.printers.cells import containers_of, first_few, has_condition, labels, selector


def test_the_first_few() -> None:
    assert first_few(["a", "b"], 3) == "a,b"
    assert first_few("abcde", 3) == "a,b,c + 2 more..."
    assert first_few([], 3) == ""


def test_selectors_and_labels() -> None:
    assert selector({"matchLabels": {"b": "c"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}) == "a,b=c"
    assert selector(None) == selector({}) == labels({}) == "<none>"
    assert selector({"matchExpressions": [{"key": "a", "operator": "x"}]}) == "<error>"
    assert labels({"b": "1", "a": "2"}) == "a=2,b=1"


def test_containers_and_conditions() -> None:
    assert containers_of({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}) == ["a,b", "x,"]
    assert has_condition({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "Ready")
    assert not has_condition({}, "Ready")
