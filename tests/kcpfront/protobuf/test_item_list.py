import orjson
import pytest

from kcpfront.protobuf.decoding import decode_object
from kcpfront.protobuf.item_list import ItemList
from kcpfront.protobuf.objects import NoProtobuf

OBJECTS = [{"metadata": {"name": f"a{n}"}, "data": {"k": "}"}} for n in range(10)]


def encoded(pieces: list[bytes], slice_objects: int = 3) -> tuple[list[object], int]:
    items, turns = ItemList("api/core/v1.ConfigMap"), 0
    for piece in pieces:
        turns += sum(1 for _ in items.add(piece, slice_objects))
    found = decode_object(items.finished("v1", "ConfigMapList", {}))
    return found.get("items", []), turns


def test_slices_give_way() -> None:
    text = b",".join(map(orjson.dumps, OBJECTS))
    assert encoded([text]) == (OBJECTS, 4)


@pytest.mark.parametrize("cut", [5, 36, 60, 200])
def test_pieces_may_be_cut_anywhere(cut: int) -> None:
    text = b",".join(map(orjson.dumps, OBJECTS))
    assert encoded([text[:cut], text[cut:]])[0] == OBJECTS


def test_an_empty_list() -> None:
    assert encoded([b""]) == ([], 0) == encoded([])


def test_custom_resources_have_no_form() -> None:
    with pytest.raises(NoProtobuf):
        list(ItemList("").add(b"{}", 1))
