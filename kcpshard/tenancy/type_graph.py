"""What a workspace type means with all that it extends: who prepares its workspaces, what may lie above and below them.

Pure. A type that extends another one *is* that one wherever a limit asks, and all limits of all that it is hold for it.
Where types come from is the caller's: `find` gives the spec of a type, None if there is none, or raises what the caller
understands (that it must be looked for elsewhere first).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.tenancy.names import ROOT, TypeReference, ancestors, read_reference

Spec = Mapping[str, Any]
Find = Callable[[TypeReference], Spec | None]

MAX_TYPES = 64  # that one may be: a bound on what a write has to look up


class TypeFault(Exception):
    """A sentence on why a type cannot be used."""


class KnownType(NamedTuple):
    reference: TypeReference
    spec: Spec


def resolve(wanted: TypeReference, place: str, find: Find) -> KnownType:
    """The type that a reference made in the workspace `place` means: without a path it is looked for there, then in its
    ancestors, at last in root. Raises TypeFault."""
    paths = [wanted.path] if wanted.path else [place, *ancestors(place)]
    if not wanted.path and ROOT not in paths:
        paths.append(ROOT)
    for path in paths:
        reference = TypeReference(path, wanted.name)
        spec = find(reference)
        if spec is not None:
            return KnownType(reference, spec)
    raise TypeFault(f'workspace type "{wanted}" cannot be resolved')


def everything_it_is(known: KnownType, find: Find) -> list[KnownType]:
    """The type with what it extends, directly or not, each once, itself first. Raises TypeFault for a circle."""
    found: dict[TypeReference, KnownType] = {}
    _add(known, find, found, [])
    return list(found.values())


def _add(known: KnownType, find: Find, found: dict[TypeReference, KnownType], way: list[TypeReference]) -> None:
    found[known.reference] = known
    if len(found) > MAX_TYPES:
        raise TypeFault(f"workspace type {known.reference} extends more than {MAX_TYPES} types")
    way = [*way, known.reference]
    for raw in (known.spec.get("extend") or {}).get("with") or ():
        try:
            base = resolve(read_reference(raw), known.reference.path, find)
        except TypeFault:
            raise TypeFault(f"unable to find inherited workspace type {raw.get('name')}") from None
        if base.reference in way:
            circle = [*way[way.index(base.reference) :], base.reference]
            shown = " -> ".join(str(each) for each in circle)
            raise TypeFault(f"circular dependency detected in workspace type {base.reference}: {shown}")
        if base.reference not in found:
            _add(base, find, found, way)


def limit_faults(parents: Sequence[KnownType], children: Sequence[KnownType]) -> list[str]:
    """Why a workspace that is `children` may not lie below one that is `parents`; both as `everything_it_is` gave."""
    parent, child = parents[0].reference, children[0].reference
    faults = _faults(children, parents, "limitAllowedParents", "parent", child, parent)
    return faults + _faults(parents, children, "limitAllowedChildren", "child", parent, child)


def _faults(
    limiting: Iterable[KnownType],
    limited: Sequence[KnownType],
    member: str,
    word: str,
    subject: TypeReference,
    other: TypeReference,
) -> list[str]:
    found = []
    known = {each.reference for each in limited}
    for each in limiting:
        limit = each.spec.get(member) or {}
        if limit.get("none"):
            found.append(f"workspace type {subject} cannot have any {word}")
            continue
        allowed = {read_reference(raw) for raw in limit.get("types") or ()}
        if not allowed or allowed & known:
            continue
        extending = "" if each.reference == subject else f" extends {each.reference}, which"
        found.append(
            f"workspace type {subject}{extending} only allows {_listed(allowed)} {word} workspaces, but {word} type "
            f"{other} only implements {_listed(known)}"
        )
    return found


def _listed(references: Iterable[TypeReference]) -> str:
    return "[" + " ".join(sorted(str(each) for each in references)) + "]"


def initializers(types: Iterable[KnownType]) -> list[str]:
    """Who has to prepare a workspace that is all of `types`."""
    return [str(each.reference) for each in types if each.spec.get("initializer")]


def terminators(types: Iterable[KnownType]) -> list[str]:
    """Who has to clear up before it goes."""
    return [str(each.reference) for each in types if each.spec.get("terminator")]


def inherited(types: Iterable[KnownType]) -> list[str]:
    """What it takes over from its ancestors."""
    return sorted({what for each in types for what in each.spec.get("inherit") or ()})


def added_labels(types: Sequence[KnownType]) -> Mapping[str, str]:
    """Of the type itself only, as kcp has it."""
    return types[0].spec.get("additionalWorkspaceLabels") or {}


def default_child(known: KnownType) -> TypeReference | None:
    raw = known.spec.get("defaultChildWorkspaceType")
    return read_reference(raw) if raw else None
