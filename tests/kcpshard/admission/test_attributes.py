from kcpshard.admission.attributes import NOTHING, Notes


def test_notes_add_up_and_nothing_stays_nothing() -> None:
    found = NOTHING.plus(["a"], {"k": "v"}).plus(["b"], {})
    assert found == Notes(("a", "b"), (("k", "v"),))
    assert Notes() == NOTHING
