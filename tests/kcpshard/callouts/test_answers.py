from kcpshard.callouts.answers import ANSWER_BYTES, Answer


def test_an_answer_is_a_value() -> None:
    assert Answer(200, {"a": "b"}, b"c") == (200, {"a": "b"}, b"c")
    assert ANSWER_BYTES == 3_145_728
