import pytest

from kcpshard.cel.named_formats import NAMED_FORMATS


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("dns1123Label", "a-b", "A"), ("dns1123Subdomain", "a.b", "a..b"), ("dns1123LabelPrefix", "a-", "-a"),
     ("qualifiedName", "a.b/C", "a/b/c"), ("labelValue", "", "-"), ("uuid", "0" * 32, "x"), ("byte", "YQ==", "?")],
)  # fmt: skip
def test_formats(name: str, good: str, bad: str) -> None:
    assert NAMED_FORMATS[name].faults(good) == []
    assert NAMED_FORMATS[name].faults(bad)
