"""What a cluster serves against the imports that say so: which to create, to change, to delete. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kcpshard.schema.pulled_apis import PulledApi
from kcpsyncer.imported_apis import import_of, spec_of

Object = dict[str, Any]


class ImportChanges(NamedTuple):
    create: tuple[Object, ...]
    update: tuple[Object, ...]
    delete: tuple[Object, ...]


def import_changes(apis: Iterable[PulledApi], cluster: Mapping[str, Any], present: Iterable[Object]) -> ImportChanges:
    """`present`: the imports of this location. Their strategy, labels and annotations are somebody else's."""
    wanted = {made["metadata"]["name"]: (made, api) for api in apis for made in (import_of(api, cluster),)}
    known = {each["metadata"]["name"]: each for each in present}
    update = []
    for name, (made, api) in wanted.items():
        if (old := known.get(name)) is None:
            continue
        spec = {**_own(old["spec"]), **spec_of(api)}
        owners = made["metadata"]["ownerReferences"]
        if spec != old["spec"] or old["metadata"].get("ownerReferences") != owners:
            update.append({**old, "metadata": {**old["metadata"], "ownerReferences": owners}, "spec": spec})
    return ImportChanges(
        tuple(made for name, (made, _) in wanted.items() if name not in known),
        tuple(update),
        tuple(old for name, old in known.items() if name not in wanted),
    )


def _own(spec: Mapping[str, Any]) -> Object:
    """What is not read from the cluster."""
    return {key: spec[key] for key in ("location", "schemaUpdateStrategy") if key in spec}
