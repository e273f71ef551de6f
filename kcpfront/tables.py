"""Objects and lists as Table and PartialObjectMetadata (meta.k8s.io). Pure; `now` is the wall clock in seconds."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from kcpfront.printers.builtin import PRINTERS
from kcpfront.printers.columns import DEFAULT, Object, Printer, name_of
from kcpfront.printers.custom import custom_printer
from kcpfront.request_info import RequestInfo
from kcpshard.api.errors import BadRequest, NotAcceptable

METADATA, OBJECT, NONE = "Metadata", "Object", "None"


def printer_for(info: RequestInfo, columns: bytes) -> Printer:
    """The columns of the resource type: its own (a CRD's), a built-in printer, or name and creation time."""
    built_in = PRINTERS.get((info.group, info.resource))
    if columns:
        # A CRD of a built-in kind that names no columns (an API that clusters have in common) is shown as that kind.
        return tolerant(built_in) if built_in is not None and _are_default(columns) else custom_printer(columns)
    return built_in or DEFAULT


def tolerant(printer: Printer) -> Printer:
    """For objects that need not be what the printer expects: their schema is somebody's own."""

    def cells(obj: Object, now: float) -> list[Any]:
        try:
            return printer.cells(obj, now)
        except (AttributeError, KeyError, TypeError, ValueError):
            return [name_of(obj), *["<unknown>"] * (len(printer.columns) - 1)]

    return Printer(printer.columns, cells)


@lru_cache(512)
def _are_default(columns: bytes) -> bool:
    """Only the age, which a CRD without columns has."""
    declared = orjson.loads(columns)
    return bool(declared) and all(each.get("jsonPath") == ".metadata.creationTimestamp" for each in declared)


def include_object(info: RequestInfo) -> str:
    """The query parameter includeObject. Raises BadRequest."""
    value = info.get("includeObject")
    if value not in ("", METADATA, OBJECT, NONE):
        raise BadRequest(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{value}": '
            "must be 'Metadata', 'Object', 'None', or empty"
        )
    return value or METADATA


def partial(obj: Object, version: str) -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }


def partial_list(items: Iterable[Object], metadata: Object, version: str) -> Object:
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "items": [partial(item, version) for item in items],
    }


def table(printer: Printer, version: str, metadata: Object, rows: list[Object], headers: bool = True) -> Object:
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": [column._asdict() for column in printer.columns] if headers else None,
        "rows": rows,
    }


def row(printer: Printer, obj: Object, include: str, version: str, now: float) -> Object:
    found: Object = {"cells": printer.cells(obj, now)}
    if printer.conditions is not None and (conditions := printer.conditions(obj)):
        found["conditions"] = conditions
    if include == METADATA:
        found["object"] = partial(obj, version)
    elif include == OBJECT:
        found["object"] = obj
    return found


def object_table(printer: Printer, obj: Object, include: str, version: str, now: float, headers: bool = True) -> Object:
    """One object as a table of one row; its resourceVersion is the table's."""
    metadata: dict[str, Any] = {}
    if revision := (obj.get("metadata") or {}).get("resourceVersion"):
        metadata["resourceVersion"] = revision
    return table(printer, version, metadata, [row(printer, obj, include, version, now)], headers)


def wrong_shape(as_: str, is_list: bool) -> NotAcceptable | None:
    """PartialObjectMetadata is for objects, PartialObjectMetadataList for lists."""
    if as_ == "PartialObjectMetadata" and is_list:
        return NotAcceptable("you requested PartialObjectMetadata, but the requested object is a list")
    if as_ == "PartialObjectMetadataList" and not is_list:
        return NotAcceptable("you requested PartialObjectMetadataList, but the requested object is not a list")
    return None
