"""Events about objects of a logical cluster, as `kubectl describe` shows them."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

COMPONENT = "kcp-syncer"


def event(about: Mapping[str, Any], reason: str, message: str, host: str = "", kind: str = "Warning") -> dict[str, Any]:
    """A new one; `message` is cut to what an Event may hold."""
    metadata = about["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    namespace = metadata.get("namespace") or "default"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{secrets.token_hex(8)}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": about.get("apiVersion") or "",
            "kind": about.get("kind") or "",
            "name": metadata["name"],
            "namespace": metadata.get("namespace") or "",
            "uid": metadata.get("uid") or "",
        },
        "reason": reason,
        "message": message[:1000],
        "type": kind,
        "source": {"component": COMPONENT, "host": host},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
