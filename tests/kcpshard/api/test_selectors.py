import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.errors import BadRequest
from kcpshard.api.selectors import (
    LabelSelector,
    Requirement,
    parse_field_selector,
    parse_label_selector,
    qualified_name_faults,
)

KEYS = st.from_regex(r"([a-z]{1,4}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,5}[A-Za-z0-9])?", fullmatch=True)
VALUES = st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,5}[A-Za-z0-9])?)?", fullmatch=True)
LABELS = st.dictionaries(st.sampled_from(["a", "b", "c/d", "n"]), st.sampled_from(["", "x", "y", "5", "-3"]))


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    operator = draw(st.sampled_from(["exists", "!", "=", "==", "!=", "in", "notin", "gt", "lt"]))
    key = draw(KEYS)
    match operator:
        case "exists" | "!":
            return Requirement(key, operator, ())
        case "in" | "notin":
            return Requirement(key, operator, tuple(sorted(draw(st.sets(VALUES, min_size=1, max_size=4)))))
        case "gt" | "lt":
            return Requirement(key, operator, (str(draw(st.integers(0, 9999))),))
    return Requirement(key, operator, (draw(VALUES),))


@given(st.lists(requirements(), max_size=4))
def test_text_of_a_label_selector_parses_to_itself(found: list[Requirement]) -> None:
    selector = LabelSelector(found)
    assert parse_label_selector(str(selector)).requirements == selector.requirements


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        pytest.param("", {}, True, id="nothing asked"),
        pytest.param("a", {"a": ""}, True, id="exists, empty"),
        pytest.param("!a", {"a": ""}, False, id="must not exist"),
        pytest.param("a=x", {}, False, id="equal needs the label"),
        pytest.param("a=", {"a": ""}, True, id="equal to nothing"),
        pytest.param("a!=x", {}, True, id="unequal holds without the label"),
        pytest.param("a in (x, y)", {"a": "y"}, True, id="in"),
        pytest.param("a in ()", {"a": ""}, True, id="empty set is the empty string"),
        pytest.param("a in (x,)", {"a": ""}, True, id="a place left empty is the empty string"),
        pytest.param("a notin (x)", {}, True, id="notin holds without the label"),
        pytest.param("a notin (x)", {"a": "x"}, False, id="notin"),
        pytest.param("a>1", {"a": "2"}, True, id="greater"),
        pytest.param("a>1", {"a": "x"}, False, id="greater, no number"),
        pytest.param("a<1", {"a": "99999999999999999999"}, False, id="beyond 64 bits is no number"),
        pytest.param("a<-1", {"a": "-2"}, True, id="less", marks=pytest.mark.xfail(raises=BadRequest, strict=True)),
        pytest.param("a=x,b", {"a": "x"}, False, id="all must hold"),
        pytest.param(" a = x , b ", {"a": "x", "b": ""}, True, id="blanks"),
        pytest.param("in in (in)", {"in": "in"}, True, id="words of the grammar as words"),
    ],
)
def test_label_selector_matches(text: str, labels: dict[str, str], expected: bool) -> None:
    assert parse_label_selector(text).matches(labels) is expected


@given(st.lists(requirements(), min_size=1, max_size=3), LABELS)
def test_a_selector_is_the_conjunction_of_its_parts(found: list[Requirement], labels: dict[str, str]) -> None:
    assert LabelSelector(found).matches(labels) == all(LabelSelector([r]).matches(labels) for r in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!a in (b)", "found 'in', expected: ',' or 'end of string'"),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be "
            "an integer",
        ),
    ],
)
def test_label_selector_faults_are_worded_as_upstream(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_label_selector(text)
    assert caught.value.message == message


@given(st.text(max_size=20))
def test_any_text_is_a_selector_or_a_bad_request(text: str) -> None:
    for parse in (parse_label_selector, parse_field_selector):
        try:
            parse(text)
        except BadRequest as fault:
            assert fault.message


FIELD_VALUES = st.text(st.characters(codec="utf-8"), max_size=8)


@given(st.lists(st.tuples(st.sampled_from(["metadata.name", "x"]), st.booleans(), FIELD_VALUES), max_size=3))
def test_text_of_a_field_selector_parses_to_itself(terms: list[tuple[str, bool, str]]) -> None:
    from kcpshard.api.selectors import FieldSelector, FieldTerm

    selector = FieldSelector([FieldTerm(*term) for term in terms])
    assert parse_field_selector(str(selector), ("x",)).terms == selector.terms


def test_field_selector_parts_agree_with_the_whole() -> None:
    selector = parse_field_selector("metadata.name!=a,status.phase=Active", ("status.phase",))
    assert selector.matches({"metadata.name": "b", "status.phase": "Active"})
    assert not selector.matches({"metadata.name": "a", "status.phase": "Active"})
    assert selector.matches_place("ns", "b") and not selector.matches_place("ns", "a")
    assert selector.matches_fields({"status.phase": "Active"}) and not selector.matches_fields({})
    assert selector.name == "" and parse_field_selector("metadata.name=a").name == "a"


def test_fields_may_be_stored_under_another_name() -> None:
    selector = parse_field_selector("new=x,metadata.name=a", {"new": "old"})
    assert selector.matches_fields({"old": "x"}) and not selector.matches_fields({"new": "x"})
    assert selector.name == "a"


def test_unknown_fields_are_named() -> None:
    with pytest.raises(BadRequest, match='"a" is not a known field selector'):
        parse_field_selector("a=b")
    with pytest.raises(BadRequest, match="field label not supported: a"):
        parse_field_selector("a=b", ("status.phase",))


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("a", 0),
        ("a/b", 0),
        ("a/b/c", 1),
        ("", 2),
        ("/b", 1),
        ("a/", 2),
        ("A/b", 1),
        ("x" * 64, 1),
        ("y" * 254 + "/b", 1),
    ],
)
def test_qualified_names(name: str, faults: int) -> None:
    assert len(qualified_name_faults(name)) == faults
