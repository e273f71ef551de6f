from kcpshard.cel import functions
from kcpshard.cel.declarations import FUNCTIONS

# What `evaluation` does itself.
OPERATORS = {"_&&_", "_||_", "_?_:_", "!_", "@not_strictly_false"}


def test_every_declared_function_does_something() -> None:
    assert set(FUNCTIONS) - OPERATORS <= set(functions.FUNCTIONS)


def test_overloads_have_names_of_their_own() -> None:
    names = [overload.id for overloads in FUNCTIONS.values() for overload in overloads]
    assert len(names) == len(set(names))
