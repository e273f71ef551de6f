import pytest

from kcp.workspace_paths import NotAPath, resolve, split_last, split_server


@pytest.mark.parametrize(
    ("current", "text", "path"),
    [
        ("root", "a", "root:a"),
        ("root", "a:b", "root:a:b"),
        ("root", "a/b/", "root:a:b"),
        ("root:a:b", "..", "root:a"),
        ("root:a:b", "..:..:c", "root:c"),
        ("root:a", ".", "root:a"),
        ("root:a", "./b", "root:a:b"),
        ("root:a", ":other", "other"),
        ("root:a", ":root:x:..", "root"),
    ],
)
def test_paths(current: str, text: str, path: str) -> None:
    assert resolve(current, text) == path


@pytest.mark.parametrize("text", ["..", "..:..", ":", "A", "a_b", ":-x"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(NotAPath):
        resolve("root", text)


def test_servers() -> None:
    assert split_server("https://h:1/clusters/root:a") == ("https://h:1", "root:a")
    assert split_server("https://h/x/clusters/root/") == ("https://h/x", "root")
    with pytest.raises(NotAPath):
        split_server("https://h:1")


def test_parents() -> None:
    assert split_last("root:a:b") == ("root:a", "b")
    with pytest.raises(NotAPath):
        split_last("root")
