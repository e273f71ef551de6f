"""The kubeconfig of the administrator: three contexts, one per logical cluster everybody starts with.

Deciding only: documents in and out. A file that its owner has changed (current context, namespaces, further entries)
keeps those changes; only what the installation knows better is replaced.
"""

import base64
from typing import Any

CONTEXTS = ("root", "admin", "user")
USER = "kcp-admin"

Document = dict[str, Any]


def build(server: str, authority: bytes, token: str) -> Document:
    """`server` is `https://host:port`, `authority` the PEM of the serving CA."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXTS[0],
        "preferences": {},
        "clusters": [{"name": name, "cluster": _cluster(server, authority, name)} for name in CONTEXTS],
        "contexts": [{"name": name, "context": {"cluster": name, "user": USER}} for name in CONTEXTS],
        "users": [{"name": USER, "user": {"token": token}}],
    }


def update(document: Document, server: str, authority: bytes, token: str) -> Document:
    """`document` with our entries made true and everything else left as it is."""
    wanted = build(server, authority, token)
    changed = {**wanted, **document}
    for kind in ("clusters", "users"):
        changed[kind] = _merge(document.get(kind), wanted[kind], replace=True)
    changed["contexts"] = _merge(document.get("contexts"), wanted["contexts"], replace=False)
    return changed


def _cluster(server: str, authority: bytes, name: str) -> Document:
    return {
        "server": f"{server}/clusters/{name}",
        "certificate-authority-data": base64.b64encode(authority).decode(),
    }


def _merge(present: Any, wanted: list[Document], *, replace: bool) -> list[Document]:
    """Entries by name: ours win if `replace`, otherwise only missing ones are added."""
    merged = {entry["name"]: entry for entry in present or () if isinstance(entry, dict) and "name" in entry}
    for entry in wanted:
        if replace or entry["name"] not in merged:
            merged[entry["name"]] = entry
    return list(merged.values())
