from kcpshard.admission.reinvocation import Invoked


def test_those_before_a_change_are_asked_again_if_they_want() -> None:
    found = Invoked()
    found.begin(False, {})
    found.note("a")
    found.require()  # b changed the object
    found.note("c")
    found.end({"x": 1})
    found.begin(True, {"x": 1})
    assert found.is_wanted("a") and not found.is_wanted("c")


def test_a_change_by_others_between_the_rounds_counts() -> None:
    found = Invoked()
    found.begin(False, {})
    found.note("a")
    found.end({})
    found.begin(True, {})
    assert not found.is_wanted("a")
    found.begin(True, {"changed": "since"})
    assert found.is_wanted("a")
