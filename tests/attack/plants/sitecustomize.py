"""A hole for each tier, planted in real processes whose PYTHONPATH leads here: KCP_PLANTED_HOLE says which.

A test of the attack: what it does not find here it would not find in earnest.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def _front(module: ModuleType) -> None:
    """Forgets whose an account is."""
    prove = module.ServiceAccountTokens.prove

    async def without_scope(self: Any, token: str, audiences: Any) -> Any:
        found = await prove(self, token, audiences)
        return None if found is None else module.credential(found.user._replace(scope=0))

    module.ServiceAccountTokens.prove = without_scope  # type: ignore[attr-defined]


def _grpc(module: ModuleType) -> None:
    """Lets a front's certificate do what an administrator's may."""
    table = dict(module.METHOD_ROLES)
    for path, roles in table.items():
        if "/ShardAdmin" in path or ".ShardAdmin/" in path:
            table[path] = roles | {"front"}
    module.METHOD_ROLES = table  # type: ignore[attr-defined]


def _shard(module: ModuleType) -> None:
    """Lets everybody list."""
    check = module.check

    def lenient(shard: Any, request: Any) -> Any:
        from kcpshard.authorization.policy import ALLOWED
        from kcpshard.rpc import shard_pb2

        return ALLOWED if request.verb == shard_pb2.LIST else check(shard, request)

    module.check = lenient  # type: ignore[attr-defined]


HOLES: Mapping[str, tuple[str, Callable[[ModuleType], None]]] = {
    "front": ("kcpfront.authentication.service_account_tokens", _front),
    "grpc": ("kcpshard.rpc.roles", _grpc),
    "shard": ("kcpshard.verbs.access", _shard),
}


class _Planter:
    """A finder that lets the usual ones find, and has the module changed once it is loaded."""

    def __init__(self, name: str, plant: Callable[[ModuleType], None]) -> None:
        self._name, self._plant = name, plant

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        found = importlib.util.find_spec(name)
        assert found is not None and found.loader is not None
        execute = found.loader.exec_module

        def planted(module: ModuleType) -> None:
            execute(module)
            self._plant(module)

        found.loader.exec_module = planted  # type: ignore[method-assign]
        return found


if hole := os.environ.get("KCP_PLANTED_HOLE"):
    sys.meta_path.insert(0, _Planter(*HOLES[hole]))  # type: ignore[arg-type]
