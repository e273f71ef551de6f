"""Workspaces as contexts of a kubeconfig: documents in and out, and the files that they are kept in.

Entering a workspace adds a context with its path as name and makes it current. Contexts that exist are not changed, so
a command that names one means the same workspace for ever. What is current belongs to a file; a terminal that has a
file of its own in front (`kcp ws shell`) moves nobody else.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kcp.files import write_private
from kcp.output import Refused, os_sentence

Document = dict[str, Any]
_PREVIOUS = "workspace.kcp.io/previous"


class Kubeconfig:
    """The files of $KUBECONFIG in their order, as kubectl merges them: the first that says something counts. What is
    written goes to the first file."""

    def __init__(self, paths: Sequence[Path], documents: Sequence[Document]) -> None:
        self._paths, self._documents = paths, documents

    @property
    def current(self) -> str:
        return next((str(name) for d in self._documents if (name := d.get("current-context"))), "")

    @property
    def previous(self) -> str:
        for document in self._documents:
            for each in document.get("extensions") or ():
                if each.get("name") == _PREVIOUS:
                    return str(each["extension"]["context"])
        return ""

    def find(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """The entry of `contexts`, `clusters` or `users` with that name."""
        found = (each for d in self._documents for each in d.get(kind) or () if each.get("name") == name)
        return next(found, None)

    def server_of(self, context: str) -> str:
        return str(self.cluster_of(context).get("server") or "")

    def cluster_of(self, context: str) -> Mapping[str, Any]:
        """Raises Refused."""
        entry = self.find("contexts", context)
        if entry is None:
            raise Refused(f'there is no context "{context}" in the kubeconfig')
        cluster = self.find("clusters", entry["context"].get("cluster") or "")
        if cluster is None:
            raise Refused(f'the context "{context}" names no cluster of the kubeconfig')
        found: Mapping[str, Any] = cluster["cluster"]
        return found

    def add(self, context: str, path: str, server: str) -> str:
        """A context like `context` for another workspace at `server`; its name. One that is there already is kept."""
        entry = self.find("contexts", context)
        assert entry is not None, "cluster_of has found it"
        user = entry["context"].get("user")
        name = self._free_name(path, server, user)
        if self.find("contexts", name) is None:
            cluster = {**self.cluster_of(context), "server": server}
            if authority := cluster.get("certificate-authority"):  # beside the file that names it, perhaps not ours
                cluster["certificate-authority"] = str(self._home_of(context) / authority)
            self._first.setdefault("clusters", []).append({"name": name, "cluster": cluster})
            self._first.setdefault("contexts", []).append({"name": name, "context": {"cluster": name, "user": user}})
        return name

    def _home_of(self, context: str) -> Path:
        """The directory of the file with the context's cluster."""
        entry = self.find("contexts", context)
        name = entry["context"].get("cluster") if entry is not None else None
        for path, document in zip(self._paths, self._documents, strict=True):
            if any(each.get("name") == name for each in document.get("clusters") or ()):
                return path.absolute().parent
        return Path.cwd()

    def _free_name(self, path: str, server: str, user: Any) -> str:
        host = server.partition("://")[2].partition("/")[0]
        for name in (path, f"{path}@{host}", *(f"{path}@{host}#{n}" for n in range(2, 100))):
            entry = self.find("contexts", name)
            if entry is None and self.find("clusters", name) is None:
                return name
            if entry is not None and self.server_of(name) == server and entry["context"].get("user") == user:
                return name
        raise Refused(f"the kubeconfig has too many contexts for {path}")

    def enter(self, context: str) -> None:
        """Make it current; where we come from is remembered for `-`."""
        before = self.current
        self._first["current-context"] = context
        if before and before != context:
            others = [each for each in self._first.get("extensions") or () if each.get("name") != _PREVIOUS]
            self._first["extensions"] = [*others, {"name": _PREVIOUS, "extension": {"context": before}}]

    def save(self) -> None:
        try:
            self._paths[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._paths[0], yaml.safe_dump(self._first, sort_keys=False).encode())
        except OSError as fault:
            raise Refused(os_sentence("cannot write the kubeconfig", fault)) from fault

    @property
    def _first(self) -> Document:
        return self._documents[0]


def load(explicit: str | None) -> Kubeconfig:
    """That of --kubeconfig, $KUBECONFIG or ~/.kube/config. Raises Refused."""
    paths = kubeconfig_paths(explicit)
    return Kubeconfig(paths, [_read(path) for path in paths])


def kubeconfig_paths(explicit: str | None) -> list[Path]:
    if explicit:
        return [Path(explicit)]
    named = [Path(each) for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return named or [Path.home() / ".kube" / "config"]


def _read(path: Path) -> Document:
    try:
        found = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        found = None
    except (OSError, yaml.YAMLError) as fault:
        raise Refused(f"cannot read the kubeconfig {path}: {fault}") from fault
    if found is None:
        return {"apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [], "users": []}
    if not isinstance(found, dict):
        raise Refused(f"{path} is no kubeconfig")
    return found
