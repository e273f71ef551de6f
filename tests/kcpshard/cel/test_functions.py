from kcpshard.cel.functions import FUNCTIONS


def test_urls() -> None:
    url = FUNCTIONS["url"]("https://user@[::1]:80/a%20b?x=1&x=2")
    assert FUNCTIONS["getHost"](url) == "[::1]:80"
    assert FUNCTIONS["getHostname"](url) == "::1"
    assert FUNCTIONS["getEscapedPath"](url) == "/a%20b"
    assert FUNCTIONS["getQuery"](url) == {"x": ["1", "2"]}


def test_addresses() -> None:
    assert FUNCTIONS["isIP"]("::1")
    assert not FUNCTIONS["isIP"]("::ffff:1.2.3.4")
    assert FUNCTIONS["containsIP"](FUNCTIONS["cidr"]("10.0.0.0/8"), "10.9.9.9")


def test_lists() -> None:
    assert FUNCTIONS["distinct"]([1, 1.0, 2]) == [1, 2]
    assert FUNCTIONS["sort"]([3, 1, 2]) == [1, 2, 3]
    assert FUNCTIONS["@sortBy"](["a", "b"], [2, 1]) == ["b", "a"]
