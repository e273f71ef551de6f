"""Which schema a logical cluster offers of a resource that several clusters serve, and who can take part. Pure.

Always decided anew from everything there is, so that the order in which imports came makes no difference. Before an API
is published, every import that may shapes it; afterwards one that is not UpdatePublished may only stand in the way of
nothing: it takes part if it accepts what has been promised. A definition that somebody applied by hand dictates.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kcpshard.api.version_order import version_priority
from kcpshard.schema.compatibility import compare
from kcpshard.schema.pulled_apis import PulledApi, definition_of, definition_version
from kcpsyncer.conditions import Condition, status_of, with_conditions
from kcpsyncer.imported_apis import API_VERSION, GROUP, NEVER, PUBLISHED, UNPUBLISHED, api_of, negotiated_of

Object = dict[str, Any]
Raw = Mapping[str, Any]


class View(NamedTuple):
    """All there is of one group resource in one logical cluster. `has_objects` None: nobody has counted yet."""

    imports: Sequence[Object]
    negotiated: Sequence[Object]
    definition: Object | None
    has_objects: bool | None = None


class Plan(NamedTuple):
    """Whole objects as they should be; those that are right already are not in it.

    `must_count`: whether objects exist decides; ask again with `has_objects`."""

    negotiated: tuple[Object, ...] = ()
    removed: tuple[Object, ...] = ()  # negotiated ones, with what they published
    definition: Object | None = None
    delete_definition: bool = False
    imports: tuple[Object, ...] = ()
    must_count: bool = False


class _Version(NamedTuple):
    """What comes out for one version: None without anybody who serves it."""

    version: str
    present: Object | None
    api: PulledApi | None
    publish: bool
    enforced: bool
    retained: bool


def negotiate(view: View, auto_publish: bool, now: str) -> Plan:
    """`now` is an RFC 3339 time for conditions that change."""
    definition = view.definition
    manual = definition is not None and not is_owned(definition)
    versions = [_version(view, version, manual, auto_publish) for version in _versions(view)]
    published = [each for each in versions if each.api is not None and each.publish]
    withdrawn = (each for each in versions if each not in published)
    gives_up = any(each.present is not None and _is_offered(view, each.version) for each in withdrawn)
    if gives_up and definition is not None and not manual and view.has_objects is None:
        return Plan(must_count=True)
    if view.has_objects:
        versions = [_kept(view, each) for each in versions]
        published = [each for each in versions if each.api is not None and (each.publish or each.retained)]
    negotiated = tuple(_negotiated(view, each, manual, now) for each in versions if each.api is not None)
    changed = tuple(obj for obj in negotiated if obj not in view.negotiated)
    removed = tuple(each.present for each in versions if each.api is None and each.present is not None)
    wanted = None if manual else _definition(definition, published, {o["metadata"]["name"]: o for o in negotiated})
    return Plan(
        changed,
        removed,
        wanted if wanted is not None and wanted != definition else None,
        definition is not None and not manual and not published,
        tuple(_judged_imports(view, {each.version: each for each in versions}, negotiated, now)),
    )


def is_owned(definition: Raw) -> bool:
    """Whether it was published by us."""
    return any(
        owner.get("kind") == "NegotiatedAPIResource" and str(owner.get("apiVersion")).startswith(f"{GROUP}/")
        for owner in definition["metadata"].get("ownerReferences") or ()
    )


def _versions(view: View) -> list[str]:
    found = {api_of(each).version for each in (*view.imports, *view.negotiated)}
    return sorted(found, key=version_priority)


def _version(view: View, version: str, manual: bool, auto_publish: bool) -> _Version:
    present = next((each for each in view.negotiated if api_of(each).version == version), None)
    was_enforced = present is not None and _condition(present, "Enforced") == "True"
    dictated = _dictated(view.definition, version) if manual and view.definition is not None else None
    if dictated is not None:
        return _Version(version, present, dictated, True, True, False)
    imports = [each for each in view.imports if api_of(each).version == version]
    offered = present is not None and not was_enforced and _is_offered(view, version)
    api = _agreed(imports, api_of(present) if present is not None and offered else None)
    publish = auto_publish if present is None or was_enforced else bool(present["spec"].get("publish"))
    return _Version(version, present, api, publish, False, False)


def _is_offered(view: View, version: str) -> bool:
    """Whether the definition serves it: what has been promised to whoever uses it."""
    if view.definition is None:
        return False
    return any(each["name"] == version and each.get("served") for each in view.definition["spec"]["versions"])


def _kept(view: View, each: _Version) -> _Version:
    """Objects are not deleted because no cluster is left, or because somebody no longer publishes their type."""
    if each.present is None or not _is_offered(view, each.version) or (each.publish and each.api is not None):
        return each
    return each._replace(api=each.api or api_of(each.present), retained=True)


def _dictated(definition: Raw, version: str) -> PulledApi | None:
    """The version as a definition applied by hand has it."""
    spec = definition["spec"]
    names = spec["names"]
    for each in spec["versions"]:
        if each["name"] == version and (schema := (each.get("schema") or {}).get("openAPIV3Schema")):
            return PulledApi(
                spec.get("group") or "",
                version,
                names["plural"],
                names.get("singular") or names["kind"].lower(),
                names["kind"],
                names.get("listKind") or f"{names['kind']}List",
                spec["scope"],
                tuple(names.get("shortNames") or ()),
                tuple(names.get("categories") or ()),
                tuple(name for name in ("status", "scale") if name in (each.get("subresources") or {})),
                schema,
                tuple(each.get("additionalPrinterColumns") or ()),
            )
    return None


def _agreed(imports: Sequence[Object], offered: PulledApi | None) -> PulledApi | None:
    """`offered`: what is published and may be narrowed only by imports that say so; None without any."""
    may_narrow = (PUBLISHED,) if offered is not None else (PUBLISHED, UNPUBLISHED)
    ordered = sorted(imports, key=lambda each: (str(each["spec"].get("location")), each["metadata"]["name"]))
    movers = [api_of(each) for each in ordered if each["spec"].get("schemaUpdateStrategy") in may_narrow]
    others = [api_of(each) for each in ordered if each["spec"].get("schemaUpdateStrategy") not in may_narrow]
    if offered is None:
        return _common([*movers, *(others[:1] if not movers else ())])
    staying = [api for api in others if not differences(offered, api)]
    found = _common([*staying, *movers])
    if found is None:
        return offered if imports else None
    return offered if not movers and differences(offered, found) else found


def _common(apis: Sequence[PulledApi]) -> PulledApi | None:
    """What they share, the first being the base; one that conflicts is left out."""
    found: PulledApi | None = None
    for api in apis:
        if found is None:
            found = api
        elif _fits(found, api) is None and (lcd := compare(found.schema, api.schema, api.kind).lcd) is not None:
            subresources = tuple(name for name in found.subresources if name in api.subresources)
            found = found._replace(schema=lcd, subresources=subresources)
    return found


def _fits(one: PulledApi, other: PulledApi) -> str | None:
    """What besides the schema must be alike, and is not."""
    for name in ("kind", "scope"):
        if getattr(one, name) != getattr(other, name):
            return f"{name} differs: {getattr(one, name)} and {getattr(other, name)}"
    return None


def differences(offered: PulledApi, served: PulledApi) -> list[str]:
    """Why a cluster does not accept everything that is offered; empty if it does."""
    if (unlike := _fits(offered, served)) is not None:
        return [unlike]
    missing = [name for name in offered.subresources if name not in served.subresources]
    found = [f"subresource {name} is missing" for name in missing]
    return found + [str(each) for each in compare(offered.schema, served.schema, offered.kind).faults]


# --- what is written


def _negotiated(view: View, each: _Version, manual: bool, now: str) -> Object:
    assert each.api is not None
    wanted = negotiated_of(each.api, each.publish)
    present = each.present or {}
    metadata = dict(present.get("metadata") or wanted["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **wanted["metadata"]["annotations"]}
    made = {**wanted, "metadata": metadata}
    conditions, without = _negotiated_conditions(view.definition, each, manual)
    old = (present.get("status") or {}).get("conditions")
    if conditions or old:
        made["status"] = {**(present.get("status") or {}), "conditions": with_conditions(old, conditions, now, without)}
    return made


def _negotiated_conditions(
    definition: Raw | None, each: _Version, manual: bool
) -> tuple[list[Condition], tuple[str, ...]]:
    serves = definition is not None and any(v["name"] == each.version for v in definition["spec"]["versions"])
    if definition is None or not serves:
        return [], ("Published", "Enforced", "Submitted")
    found = [Condition("Submitted", "True"), Condition("Enforced", "True" if manual else "False")]
    published = _health(definition)
    if published == "True" and each.retained:
        found.append(
            Condition("Published", "True", "ObjectsExist", "objects of this type keep it from being withdrawn")
        )
    elif published:
        found.append(Condition("Published", published))
    return found, ()


def _health(definition: Raw) -> str:
    """ "" while it cannot be told."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    bad = {"NonStructuralSchema": "True", "Terminating": "True", "Established": "False", "NamesAccepted": "False"}
    if any(status_of(conditions, kind) == status for kind, status in bad.items()):
        return "False"
    good = all(status_of(conditions, kind) == "True" for kind in ("Established", "NamesAccepted"))
    return "True" if good else ""


def _definition(
    present: Object | None, published: Sequence[_Version], negotiated: Mapping[str, Object]
) -> Object | None:
    """The definition that publishes them, as a change of the present one; None: there is none to be.

    A negotiated object that is not stored yet has no uid and cannot be an owner: its turn comes with its creation."""
    apis = [each.api for each in published if each.api is not None]
    owners = [o for o in negotiated.values() if o["metadata"].get("uid") and _publishes(o, apis)]
    if not owners:
        return None
    made = definition_of(apis[0])
    versions = [definition_version(api, storage=False) for api in apis]
    stored = ((present or {}).get("status") or {}).get("storedVersions") or ()
    known = {version["name"] for version in versions}
    if present is not None:
        withdrawn = [v for v in present["spec"]["versions"] if v["name"] in stored and v["name"] not in known]
        versions += [{**version, "served": False, "storage": False} for version in withdrawn]
    versions[0]["storage"] = True  # they are in Kubernetes' order, the best first
    references = [_owner(each) for each in owners]
    if present is None:
        made["metadata"]["ownerReferences"] = references
        made["spec"]["versions"] = versions
        return made
    foreign = [o for o in present["metadata"].get("ownerReferences") or () if o.get("kind") != "NegotiatedAPIResource"]
    metadata = {**present["metadata"], "ownerReferences": [*foreign, *references]}
    spec = {**present["spec"], **made["spec"], "versions": _like_present(present["spec"]["versions"], versions)}
    spec["names"] = {**present["spec"]["names"], **made["spec"]["names"]}
    return {**present, "metadata": metadata, "spec": spec}


def _like_present(present: Sequence[Raw], wanted: Sequence[Object]) -> list[Object]:
    """What a server adds to a version (the default of a column's priority) is no difference."""
    known = {version["name"]: version for version in present}
    return [dict(known[v["name"]]) if _same(known.get(v["name"]), v) else v for v in wanted]


def _same(present: Raw | None, wanted: Raw) -> bool:
    return present is not None and all(present.get(key) == value for key, value in wanted.items())


def _publishes(negotiated: Raw, apis: Sequence[PulledApi]) -> bool:
    return api_of(negotiated).version in {api.version for api in apis}


def _owner(negotiated: Raw) -> Object:
    metadata = negotiated["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": "NegotiatedAPIResource",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def _judged_imports(
    view: View, versions: Mapping[str, _Version], negotiated: Sequence[Object], now: str
) -> Iterator[Object]:
    published = {api_of(each).version: _condition(each, "Published") for each in negotiated}
    for each in view.imports:
        api = api_of(each)
        found = versions[api.version]
        if found.api is None:
            continue
        old = (each.get("status") or {}).get("conditions") or []
        wrong = differences(found.api, api)
        wanted = [Condition("Compatible", "False", "IncompatibleSchema", "\n".join(wrong))]
        if not wrong:
            wanted = [Condition("Compatible", "True")]
        status = published.get(api.version, "")
        if status and not wrong:
            wanted.append(Condition("Available", status))
        elif status_of(old, "Available"):
            wanted.append(Condition("Available", "False", "Incompatible" if wrong else "NotPublished"))
        conditions = with_conditions(old, wanted, now)
        if conditions != old:
            yield {**each, "status": {**(each.get("status") or {}), "conditions": conditions}}


def _condition(obj: Raw, kind: str) -> str:
    return status_of((obj.get("status") or {}).get("conditions"), kind)


STRATEGIES = (NEVER, UNPUBLISHED, PUBLISHED)
