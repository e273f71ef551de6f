from typing import Any, cast

import pytest

from kcpshard.admission import chain
from kcpshard.admission.attributes import Attributes
from kcpshard.api.errors import Forbidden


def test_policies_run_in_order_until_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(attributes: Attributes) -> None:
        seen.append("first")

    def refuse(attributes: Attributes) -> None:
        raise Forbidden("no")

    monkeypatch.setattr(chain, "MUTATING", (note, refuse, note))
    monkeypatch.setattr(chain, "VALIDATING", (note,))
    monkeypatch.setattr(chain, "CHARGING", ())
    attributes = Attributes("CREATE", *cast(Any, (None,) * 10))
    with pytest.raises(Forbidden):
        chain.mutate(attributes)
    chain.validate(attributes)
    assert seen == ["first", "first"]


def test_a_missing_namespace_is_found_before_anything_else() -> None:
    assert chain.MUTATING[0].__module__.endswith("namespace_lifecycle")
