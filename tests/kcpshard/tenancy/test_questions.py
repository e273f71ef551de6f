from kcpshard.tenancy.questions import Question


def test_whoever_waits_is_told_and_whoever_comes_late_at_once() -> None:
    told: list[str] = []
    question = Question()
    question.when_durable(lambda: told.append("first"))
    assert told == []
    question.settle()
    question.when_durable(lambda: told.append("late"))
    assert told == ["first", "late"]
