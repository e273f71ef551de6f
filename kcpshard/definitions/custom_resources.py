"""A CustomResourceDefinition as resource types: what is served of it, and the strategy of its objects.

A `Definition` is shared by all logical clusters whose definitions have the same content. Its resource types are made
from the summary at once; schemas are compiled when somebody first uses one of them (`Definition.load`), so that an idle
definition costs a few hundred bytes and describing what is served compiles nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import FieldError
from kcpshard.api.requests import Identity
from kcpshard.cel.rules import Rules, compile_rules
from kcpshard.definitions.contract import MetadataRules, Object, Resource, Subresource
from kcpshard.definitions.crd_documents import Summary, Version
from kcpshard.definitions.custom_fields import SelectableField, scale_faults, selectable_fields
from kcpshard.definitions.discovery import storage_version_hash
from kcpshard.definitions.strategies import keep, keep_all_but
from kcpshard.definitions.webhook_conversion import Conversion, WebhookConversions
from kcpshard.schema.defaulting import default
from kcpshard.schema.pruning import prune
from kcpshard.schema.structural import Structural, structural
from kcpshard.schema.validation import explain, list_faults, satisfies

_VERBS = frozenset(("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"))
_SUBRESOURCE_VERBS = ("get", "patch", "update")
_MARKERS = frozenset(("metadata.name", "metadata.namespace"))


class Schema:
    """One version's compiled schema and what else the raw version says of its objects."""

    __slots__ = ("columns", "fields", "fingerprint", "has_defaults", "has_embedded", "rules", "scale", "structural")

    def __init__(self, api_version: str, raw: Mapping[str, Any], stored_fields: Sequence[SelectableField]) -> None:
        plain = without_descriptions((raw.get("schema") or {}).get("openAPIV3Schema") or {})
        self.structural: Structural = structural(plain)
        self.fields = tuple(SelectableField.parse(f["jsonPath"]) for f in raw.get("selectableFields") or ())
        self.scale: Mapping[str, str] | None = (raw.get("subresources") or {}).get("scale")
        columns = raw.get("additionalPrinterColumns")
        self.columns: bytes = orjson.dumps(columns) if columns else _AGE_ONLY
        text = orjson.dumps((api_version, plain, [f.path for f in stored_fields]), option=orjson.OPT_SORT_KEYS)
        self.has_defaults = b'"default":' in text
        self.has_embedded = b'"x-kubernetes-embedded-resource":true' in text
        # Looking for rules builds the whole tree, which few schemas are worth.
        self.rules = compile_rules(self.structural) if b'"x-kubernetes-validations":' in text else None
        digest = hashlib.sha256(text).digest()
        self.fingerprint = int.from_bytes(digest[:8], "big") or 1  # 0 means built in


_AGE_ONLY = orjson.dumps(
    [
        {
            "name": "Age",
            "type": "date",
            "jsonPath": ".metadata.creationTimestamp",
            "description": "CreationTimestamp is a timestamp representing the server time when this object was "
            "created. It is not guaranteed to be set in happens-before order across separate operations. Clients may "
            "not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. "
            "Read-only. Null for lists. More info: "
            "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
        }
    ]
)


def without_descriptions(raw: Any) -> Any:
    """A raw schema without the texts for humans: most of its bytes, needed by documents only."""
    if not isinstance(raw, dict):
        return raw
    found = {k: v for k, v in raw.items() if k not in ("description", "externalDocs", "example", "title")}
    for member in ("properties", "patternProperties", "definitions"):
        if isinstance(found.get(member), dict):
            found[member] = {name: without_descriptions(child) for name, child in found[member].items()}
    for member in ("items", "additionalProperties", "not"):
        if member in found:
            found[member] = without_descriptions(found[member])
    for member in ("allOf", "anyOf", "oneOf"):
        if isinstance(found.get(member), list):
            found[member] = [without_descriptions(child) for child in found[member]]
    return found


class Definition:
    """What one content of a definition serves. `resources` are those of served versions, by version name."""

    __slots__ = (
        "__weakref__", "_conversions", "_stored_fields", "_webhook", "digest", "resources", "schemas", "storage",
        "summary",
    )  # fmt: skip

    def __init__(self, summary: Summary) -> None:
        self.summary, self.digest = summary, summary.digest
        self.schemas: dict[str, Schema] = {}  # of all versions, when loaded
        self._stored_fields: Sequence[SelectableField] = ()
        self._webhook: Conversion | None = None
        self._conversions: WebhookConversions | None = None
        made = {v.name: _resource(self, v) for v in summary.versions}
        self.storage = made[summary.storage]
        for version, resource in made.items():
            resource.storage_resource = None if version == summary.storage else self.storage
        self.resources = {v.name: made[v.name] for v in summary.versions if v.served}

    @property
    def is_loaded(self) -> bool:
        return bool(self.schemas)

    def load(self, obj: Object, cluster_id: int = 0, conversions: WebhookConversions | None = None) -> None:
        """Compile from the document that the summary was made of. `cluster_id`: whose it is, if a webhook converts."""
        spec, group = obj["spec"], self.summary.group
        versions: Sequence[Object] = spec["versions"]
        paths = dict.fromkeys(f["jsonPath"] for v in versions for f in v.get("selectableFields") or ())
        self._stored_fields = tuple(SelectableField.parse(path) for path in paths)
        conversion = spec.get("conversion") or {}
        if conversion.get("strategy") == "Webhook":
            hook = conversion["webhook"]
            versions_known = hook["conversionReviewVersions"]
            self._webhook = Conversion(cluster_id, self.digest, hook["clientConfig"], versions_known)
            self._conversions = conversions
        for raw in versions:
            self.schemas[raw["name"]] = Schema(_api_version(group, raw["name"]), raw, self._stored_fields)
        self._equip()

    def load_as(self, other: "Definition") -> None:
        """The same from one that is loaded and of the same content, such as that before it began to terminate."""
        assert other.summary.content == self.summary.content and other.is_loaded
        self._stored_fields, self._webhook, self._conversions = other._stored_fields, other._webhook, other._conversions
        self.schemas = other.schemas
        self._equip()

    def _equip(self) -> None:
        for resource in {id(r): r for r in (self.storage, *self.resources.values())}.values():
            schema = self.schemas[resource.version]
            resource.schema, resource.columns = schema.structural, schema.columns
            resource.fingerprint = schema.fingerprint
            strategy = CustomStrategy(self, schema, resource, self._stored_fields)
            resource.strategy = strategy
            resource.field_names = _MARKERS | {field.label for field in schema.fields}

    def convert(self, obj: Object, wanted: Resource) -> Object:
        """An object as read, or as sent, in the wanted version. Shares nothing with `obj`."""
        obj = orjson.loads(orjson.dumps(obj))
        self.normalise(obj)
        new = {**obj, "apiVersion": wanted.api_version}
        if obj.get("apiVersion") != wanted.api_version:
            if self._webhook is not None:
                if self._conversions is None:
                    raise RuntimeError("no webhook can be asked here")  # in a worker: the shard's loop does it
                new = self._conversions.converted(self._webhook, obj, wanted.api_version)
            schema = self.schemas[wanted.version]
            prune(new, schema.structural)
            if wanted is self.storage and schema.has_defaults:
                # What is stored carries the fingerprint of this schema, which promises that nothing is left to do.
                default(new, schema.structural)
        return new

    async def prepare(self, objects: Sequence[Object], wanted: Resource) -> None:
        """Have the webhook, if there is one, convert those of another version, many at once. Raises ApiError."""
        if self._webhook is None or self._conversions is None:
            return
        others = [orjson.loads(orjson.dumps(o)) for o in objects if o.get("apiVersion") != wanted.api_version]
        for obj in others:
            self.normalise(obj)
        missing = self._conversions.missing(self._webhook, others, wanted.api_version)
        await self._conversions.settle(self._webhook, missing, wanted.api_version)

    @property
    def asks_webhook(self) -> bool:
        return self.summary.webhook

    def normalise(self, obj: Object) -> None:
        """Bring an object read from the store into the form of its own version: unknown fields go, defaults come."""
        schema = self.schemas.get(str(obj.get("apiVersion", "")).rpartition("/")[2])
        if schema is not None:
            prune(obj, schema.structural)
            if schema.has_defaults:
                default(obj, schema.structural)


def _api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


def _resource(definition: Definition, version: Version) -> Resource:
    summary = definition.summary
    names, group = summary.names, summary.group
    found = Resource()
    found.group, found.version, found.plural = group, version.name, names.plural
    found.singular, found.kind, found.list_kind = names.singular, names.kind, names.list_kind
    found.short_names, found.categories = names.short_names, names.categories
    found.namespaced = summary.namespaced
    found.verbs = _VERBS
    found.subresources = _subresources(version)
    if (group, names.plural) == ("", "pods"):  # imported from clusters that run them
        found.subresources = {**found.subresources, **_WAYS_INTO_PODS}
    found.api_version = _api_version(group, version.name)
    found.group_resource = f"{names.plural}.{group}" if group else names.plural
    found.storage_version = _api_version(group, summary.storage)
    found.storage_resource = None
    found.storage_version_hash = storage_version_hash(group, summary.storage, names.kind)
    found.strategy = UNLOADED
    found.schema = None
    found.fingerprint = 1
    found.retention = 0
    found.metadata_rules = MetadataRules(is_lenient=True)
    found.field_names = _MARKERS
    found.columns = b""
    found.unconditional_update = False
    found.create_on_update = False
    found.virtual = False
    found.deprecation = version.warning
    found.definition = definition
    return found


_WAYS_INTO_PODS = {
    "attach": Subresource("attach", ("create", "get"), "PodAttachOptions"),
    "exec": Subresource("exec", ("create", "get"), "PodExecOptions"),
    "log": Subresource("log", ("get",)),
    "portforward": Subresource("portforward", ("create", "get"), "PodPortForwardOptions"),
}


def _subresources(version: Version) -> Mapping[str, Subresource]:
    found = {}
    if version.status:
        found["status"] = Subresource("status", _SUBRESOURCE_VERBS)
    if version.scale:
        found["scale"] = Subresource("scale", _SUBRESOURCE_VERBS, "Scale", "autoscaling", "v1")
    return found


class CustomStrategy:
    """The contract's Strategy for the objects of one version of a definition."""

    __slots__ = ("_definition", "_has_status", "_schema", "_stored_fields", "field_names")

    def __init__(
        self, definition: Definition, schema: Schema, resource: Resource, stored_fields: Sequence[SelectableField]
    ) -> None:
        self._definition, self._schema, self._stored_fields = definition, schema, stored_fields
        self._has_status = "status" in resource.subresources
        self.field_names = tuple(field.label for field in schema.fields)

    def attribute(self, obj: Object, identity: Identity) -> None:
        pass

    def default(self, obj: Object) -> None:
        if self._schema.has_defaults:
            default(obj, self._schema.structural)

    def prepare_create(self, obj: Object) -> None:
        if self._has_status:
            obj.pop("status", None)

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        if subresource == "status":
            _keep_metadata(new, old)
            keep_all_but(new, old, subresource)
        elif self._has_status:
            keep(new, old, "status")

    def validate_create(self, obj: Object) -> list[FieldError]:
        schema = self._schema
        found = [] if satisfies(obj, schema.structural) else _faults(obj, schema.structural)
        found += scale_faults(obj, schema.scale)
        return found if schema.rules is None else found + _rule_faults(schema.rules, obj, None, found)

    def validate_update(self, new: Object, old: Object, subresource: str) -> list[FieldError]:
        schema = self._schema
        found = [] if satisfies(new, schema.structural) else _update_faults(new, old, schema.structural)
        found += scale_faults(new, schema.scale)
        return found if schema.rules is None else found + _rule_faults(schema.rules, new, old, found)

    def early_warnings(self, obj: Object) -> list[str]:
        return []

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        return []

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        return selectable_fields(obj, self._stored_fields) if self._stored_fields else {}

    def has_empties(self, obj: Object) -> bool:
        return False

    def has_generation(self) -> bool:
        return True

    def graceful(self, obj: Object, grace_period_s: int | None) -> int:
        return 0


def _faults(obj: Object, schema: Structural) -> list[FieldError]:
    return [*explain(obj, schema), *list_faults(obj, schema)]


def _update_faults(new: Object, old: Object, schema: Structural) -> list[FieldError]:
    """Lists that held something twice may go on doing so."""
    found = list(explain(new, schema, "", old))
    return found if next(list_faults(old, schema), None) is not None else [*found, *list_faults(new, schema)]


# After one of these a rule might see a value that its type does not allow.
_BLOCKING = frozenset(("FieldValueRequired", "FieldValueTypeInvalid", "FieldValueTooLong", "FieldValueTooMany"))


def _rule_faults(rules: Rules, new: Object, old: Object | None, found: Sequence[FieldError]) -> list[FieldError]:
    if any(fault.reason in _BLOCKING for fault in found):
        text = "some validation rules were not checked because the object was invalid; correct the existing errors to "
        return [FieldError("<nil>", "FieldValueInvalid", f"Invalid value: null: {text}complete validation")]
    return rules.validate(new, old)


def _keep_metadata(new: Object, old: Object) -> None:
    """A subresource changes no metadata but the note of who manages what."""
    given = new["metadata"].get("managedFields")
    new["metadata"] = dict(old["metadata"])
    if given is not None:
        new["metadata"]["managedFields"] = given


class _Unloaded:
    """In the place of a strategy until the schema is compiled. Whoever meets it has not come through the catalogue."""

    field_names: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a definition that is not loaded")


UNLOADED: Any = _Unloaded()
