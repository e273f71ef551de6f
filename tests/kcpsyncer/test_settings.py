from kcpsyncer.settings import Settings


def test_the_prototype_s_defaults() -> None:
    assert Settings().resources == ("pods", "deployments.apps") and not Settings().auto_publish
