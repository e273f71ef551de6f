import pytest

from kcpshard.api.requests import Identity
from kcpshard.cel.authorization import FUNCTIONS, Authorizer, Decision, Question, service_account
from kcpshard.cel.values import EvalFault


def asked() -> tuple[Authorizer, list[Question]]:
    questions: list[Question] = []

    def decide(question: Question) -> Decision:
        questions.append(question)
        return Decision(False, "because")

    return Authorizer(Identity("u"), decide), questions


def test_a_question_about_a_resource_is_put_together() -> None:
    authorizer, questions = asked()
    check = FUNCTIONS["resource"](FUNCTIONS["group"](authorizer, "apps"), "deployments")
    for name, value in (("subresource", "scale"), ("namespace", "n"), ("name", "x"), ("labelSelector", "a=b")):
        check = FUNCTIONS[name](check, value)
    decision = FUNCTIONS["check"](check, "update")
    assert questions == [Question(Identity("u"), "update", "", "apps", "deployments", "scale", "n", "x", "", "a=b")]
    assert not FUNCTIONS["allowed"](decision) and FUNCTIONS["reason"](decision) == "because"
    assert not FUNCTIONS["errored"](decision) and FUNCTIONS["error"](decision) == ""


def test_a_path_and_somebody_else() -> None:
    authorizer, questions = asked()
    other = FUNCTIONS["serviceAccount"](authorizer, "ns", "sa")
    FUNCTIONS["check"](FUNCTIONS["path"](other, "/healthz"), "get")
    assert questions == [Question(service_account("ns", "sa"), "get", "/healthz")]


@pytest.mark.parametrize(
    ("function", "arguments", "fault"),
    [
        ("path", (" ",), "path must not be empty"),
        ("serviceAccount", ("A", "b"), "Invalid service account namespace"),
        ("serviceAccount", ("a", "B!"), "Invalid service account name"),
        ("group", (1,), "no such overload"),
        ("check", ("get",), "no such overload"),
    ],
)
def test_what_cannot_be_asked(function: str, arguments: tuple[object, ...], fault: str) -> None:
    with pytest.raises(EvalFault, match=fault):
        FUNCTIONS[function](asked()[0], *arguments)


def test_a_resource_needs_a_name() -> None:
    with pytest.raises(EvalFault, match="resource must not be empty"):
        FUNCTIONS["resource"](FUNCTIONS["group"](asked()[0], ""), "")
