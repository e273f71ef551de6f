from typing import Any

import pytest

from kcpshard.admission.evaluation import Activation, ConditionFault, Found, OutOfBudget, meets, versioned
from kcpshard.cel.admission import Compiled, compiled, declarations
from kcpshard.cel.types import DYN
from tests.contracts.api_client import CONFIGMAPS, ApiClient, configmap
from tests.kcpshard.admission.test_subject import subject, type_of


async def activation(client: ApiClient, budget: int, variables: dict[str, Compiled] | None = None) -> Activation:
    await client.do("POST", CONFIGMAPS, configmap("a"))
    found = subject(client, type_of(client, "configmaps"))
    return Activation(found, versioned(found, found.resource), None, None, budget, variables or {})


def expression(text: str, *variables: str) -> Compiled:
    return compiled(text, declarations(True, True, dict.fromkeys(variables, DYN)))


async def test_a_variable_is_found_once_and_only_if_asked_for(full: ApiClient) -> None:
    dear = expression("lists.range(100).all(x, x >= 0)")
    one = await activation(full, 10_000, {"v": dear, "w": expression("object.missing")})
    assert one.evaluate(expression("true || variables.v", "v")) == Found(True)
    unspent = one.budget
    assert one.evaluate(expression("variables.v && variables.v", "v")) == Found(True)
    spent = unspent - one.budget
    assert one.evaluate(expression("variables.v", "v")) == Found(True)
    assert spent > 300 and unspent - spent - one.budget < 10
    wrong = one.evaluate(expression("variables.w == 1", "w")).fault
    assert wrong.endswith('composited variable "w" fails to evaluate: no such key: missing')


async def test_the_budget_ends_everything(full: ApiClient) -> None:
    one = await activation(full, 50)
    with pytest.raises(OutOfBudget):
        one.evaluate(expression("lists.range(100).all(x, x >= 0)"))


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        pytest.param(["true", "true"], True, id="all hold"),
        pytest.param(["object.missing == 1", "false"], False, id="one that is false decides"),
        pytest.param(["true", "object.missing == 1"], "no such key: missing", id="one fails"),
    ],
)
async def test_conditions(full: ApiClient, texts: list[str], wanted: Any) -> None:
    conditions = [expression(text) for text in texts]
    if isinstance(wanted, bool):
        assert meets(await activation(full, 100), conditions, True) is wanted
        return
    with pytest.raises(ConditionFault, match=wanted):
        meets(await activation(full, 100), conditions, True)
    assert not meets(await activation(full, 100), conditions, False)
