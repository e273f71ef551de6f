import pytest

from kcpshard.verbs.duplicate_fields import in_order, is_yaml, texts, yaml_fault

LINES = ['line 9: key "a" already set in map', 'line 11: key "b" already set in map']


@pytest.mark.parametrize(
    ("body", "duplicates", "unknown", "expected"),
    [
        pytest.param(
            b'{"metadata":{"x":1},"y":2,"data":{"a":"1","b":"2","a":"3"},"z":{"q":1},"y":3}',
            ["data.a", "y"],
            ["metadata.x", "y", "z"],
            ['unknown field "metadata.x"', 'unknown field "y"', 'duplicate field "data.a"', 'unknown field "z"'],
            id="as kube-apiserver lists them",
        ),
        pytest.param(b'{"a":1,"a":2}', ["a"], [], ['duplicate field "a"'], id="duplicates alone"),
        pytest.param(b'{"l":[{"a":1,"a":2},{"u":1}]}', ["l[0].a"], ["l[1].u"],
                     ['duplicate field "l[0].a"', 'unknown field "l[1].u"'], id="in lists"),
        pytest.param(b'{"a":1,"a":2}', ["a"], ["b"], ['duplicate field "a"', 'unknown field "b"'], id="not met"),
    ],
)  # fmt: skip
def test_faults_of_json_come_as_they_are_met(
    body: bytes, duplicates: list[str], unknown: list[str], expected: list[str]
) -> None:
    assert in_order(body, duplicates, unknown) == expected


def test_yaml_has_sentences_of_its_own() -> None:
    assert is_yaml(LINES) and not is_yaml(["data.a"]) and not is_yaml([])
    assert in_order(b'{"x":1}', LINES, ["x"]) == [*LINES, 'unknown field "x"']
    assert yaml_fault(LINES) == "yaml: unmarshal errors:\n  " + "\n  ".join(LINES)


def test_a_patch_says_that_it_is_one() -> None:
    assert texts(["[0].value"], (), "json patch ") == ['json patch duplicate field "[0].value"']
