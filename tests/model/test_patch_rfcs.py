"""JSON patch and merge patch beside what their RFCs say, written down plainly: generated documents and patches."""

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.patches import PatchFault, apply_json_patch, merge_patch, parse_json_patch

KEYS = st.sampled_from(["a", "b", "c", "/", "~", "~1", "0", "-"])
SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", "1", ""])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)


def rfc_7396(target: Any, patch: Any) -> Any:
    """Section 2's MergePatch."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = rfc_7396(target.get(name), value)
    return target


@given(JSON, JSON)
def test_a_merge_patch_does_what_its_rfc_says(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    found = merge_patch(target, patch)
    assert (target, patch) == before
    assert text(found) == text(rfc_7396(target, patch))


class Refused(Exception):
    pass


def rfc_6902(document: Any, step: dict[str, Any]) -> Any:
    """Sections 4.1 to 4.6 on a copy; Refused for a step that has to fail."""
    parts = pointer(step["path"])
    match step["op"]:
        case "add":
            return added(document, parts, step["value"])
        case "remove":
            return removed(document, parts)
        case "replace":
            return added(removed(document, parts), parts, step["value"], at_index=True)
        case "move":
            value = value_at(document, pointer(step["from"]))
            return added(removed(document, pointer(step["from"])), parts, value)
        case "copy":
            return added(document, parts, value_at(document, pointer(step["from"])))
    if text(value_at(document, parts)) != text(step["value"]):
        raise Refused
    return document


def pointer(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def value_at(document: Any, parts: list[str]) -> Any:
    for part in parts:
        document = document[place(document, part)]
    return document


def place(holder: Any, part: str) -> Any:
    if isinstance(holder, dict) and part in holder:
        return part
    if isinstance(holder, list) and part.isdecimal() and int(part) < len(holder):
        return int(part)
    raise Refused


def added(document: Any, parts: list[str], value: Any, at_index: bool = False) -> Any:
    document = copy.deepcopy(document)
    holder, last = value_at(document, parts[:-1]), parts[-1]
    if isinstance(holder, dict):
        holder[last] = value
    elif isinstance(holder, list) and last == "-" and not at_index:
        holder.append(value)
    elif isinstance(holder, list) and last.isdecimal() and int(last) <= len(holder):
        holder.insert(int(last), value)
    else:
        raise Refused
    return document


def removed(document: Any, parts: list[str]) -> Any:
    document = copy.deepcopy(document)
    holder = value_at(document, parts[:-1])
    del holder[place(holder, parts[-1])]
    return document


def text(value: Any) -> str:
    """Equal for equal JSON alone; Python takes True for 1."""
    return json.dumps(value, sort_keys=True)


def pointers(value: Any, at: str = "") -> list[str]:
    """Of all places in it, and of some that are not."""
    found = [at] if at else []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        found += pointers(member, f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}")
    if isinstance(value, dict | list):
        found += [f"{at}/{name}" for name in ("a", "0", "-", str(len(value)))]
    return found


@st.composite
def documents_and_steps(draw: st.DrawFn) -> tuple[Any, list[dict[str, Any]]]:
    document = draw(OBJECTS)
    places = st.sampled_from(pointers(document))
    steps = []
    for _ in range(draw(st.integers(1, 4))):
        op = draw(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]))
        step = {"op": op, "path": draw(places)}
        if op in ("move", "copy"):
            step["from"] = draw(places)
        elif op != "remove":
            step["value"] = value_at_or(document, step["path"]) if draw(st.booleans()) else draw(JSON)
        steps.append(step)
    return document, steps


def value_at_or(document: Any, path: str) -> Any:
    try:
        return value_at(document, pointer(path))
    except Refused:
        return None


def departs(document: Any, step: dict[str, Any]) -> bool:
    """Where kube-apiserver's library, and so ours, does what the RFC refuses: a member that is not there is null to
    `test` and `copy`, and `replace` adds it."""
    path = step["from"] if step["op"] == "copy" else step["path"]
    try:
        holder = value_at(document, pointer(path)[:-1])
    except Refused:
        return False
    return step["op"] in ("replace", "test", "copy") and isinstance(holder, dict) and pointer(path)[-1] not in holder


@given(documents_and_steps())
def test_a_json_patch_does_what_its_rfc_says(given_: tuple[Any, list[dict[str, Any]]]) -> None:
    document, steps = given_
    wanted = document
    done = []
    for step in steps:
        if departs(wanted, step):
            break
        done.append(step)
        try:
            wanted = rfc_6902(wanted, step)
        except Refused:
            wanted = Refused
            break
    try:
        found = apply_json_patch(copy.deepcopy(document), parse_json_patch(done))
    except PatchFault:
        found = Refused
    assert wanted is found if Refused in (wanted, found) else text(found) == text(wanted)
