"""The EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are sealed, by whose keys.

The first provider of a rule seals what is written; all providers of the file open what is read. `identity` first means
that nothing is sealed any more. Decides from the document alone; reading the file is at the bottom.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_KEY_BYTES = (16, 24, 32)
_KMS_TIMEOUT_S = 3.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
Document = Mapping[str, Any]


class ConfigurationError(Exception):
    """The file cannot be used; the text is one sentence with the field's path."""


class LocalKey(NamedTuple):
    """A key of the file. `name` is what stored data says; `secret` stays in memory."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        return f"LocalKey({self.name!r})"


class KmsPlugin(NamedTuple):
    """A KMS v2 plug-in on a unix socket."""

    name: str
    endpoint: str
    timeout_s: float


Provider = LocalKey | KmsPlugin


class Rule(NamedTuple):
    """`resources` as in the file: secrets, deployments.apps, *.apps, *. (the core group), *.* (all)."""

    resources: tuple[str, ...]
    writer: Provider | None  # None: identity, nothing is sealed

    def covers(self, group_resource: str) -> bool:
        return any(_matches(pattern, group_resource) for pattern in self.resources)


class Configuration(NamedTuple):
    rules: tuple[Rule, ...]
    providers: tuple[Provider, ...]  # each once, in the order of the file

    def writer_of(self, group_resource: str) -> Provider | None:
        """Who seals objects of that type: the first rule that covers it decides."""
        for rule in self.rules:
            if rule.covers(group_resource):
                return rule.writer
        return None


def _matches(pattern: str, group_resource: str) -> bool:
    if pattern == "*.*":
        return True
    name, _, group = group_resource.partition(".")
    if pattern.startswith("*."):
        return group == pattern[2:]
    return pattern in (group_resource, f"{name}." if not group else group_resource)


def parse(document: object) -> Configuration:
    """Raises ConfigurationError."""
    if not isinstance(document, dict) or document.get("kind") != "EncryptionConfiguration":
        raise ConfigurationError("it is not an EncryptionConfiguration")
    rules: list[Rule] = []
    providers: dict[tuple[type[Provider], str], Provider] = {}
    for index, entry in enumerate(_list(document, "resources", "")):
        path = f"resources[{index}]"
        patterns = tuple(_text(each, f"{path}.resources") for each in _list(entry, "resources", path))
        entries = _list(entry, "providers", path)
        found = [provider for number, each in enumerate(entries) for provider in _providers(each, path, number)]
        for provider in found:
            if provider is None:
                continue
            known = providers.setdefault((type(provider), provider.name), provider)
            if known != provider:
                raise ConfigurationError(f'{path}.providers: the name "{provider.name}" stands for two different keys')
        rules.append(Rule(patterns, found[0]))
    return Configuration(tuple(rules), tuple(providers.values()))


def _providers(entry: object, path: str, number: int) -> Iterator[Provider | None]:
    where = f"{path}.providers[{number}]"
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ConfigurationError(f"{where}: exactly one provider is needed")
    ((kind, settings),) = entry.items()
    match kind:
        case "identity":
            yield None
        case "aesgcm":
            yield from _keys(settings, f"{where}.aesgcm")
        case "kms":
            yield _kms(settings, f"{where}.kms")
        case _:
            raise ConfigurationError(f'{where}: the provider "{kind}" is not known: use aesgcm, kms or identity')


def _keys(settings: object, path: str) -> Iterator[LocalKey]:
    for index, key in enumerate(_list(settings, "keys", path)):
        where = f"{path}.keys[{index}]"
        name = _text(key.get("name") if isinstance(key, dict) else None, f"{where}.name")
        try:
            secret = base64.b64decode(key.get("secret") or "", validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise ConfigurationError(f"{where}.secret: must be base64") from None
        if len(secret) not in _KEY_BYTES:
            raise ConfigurationError(f"{where}.secret: must be 16, 24 or 32 bytes, it is {len(secret)}")
        yield LocalKey(name, secret)


def _kms(settings: object, path: str) -> KmsPlugin:
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path}: must be an object")
    if settings.get("apiVersion") != "v2":
        raise ConfigurationError(f"{path}.apiVersion: only v2 is spoken")
    endpoint = _text(settings.get("endpoint"), f"{path}.endpoint")
    if not endpoint.startswith("unix://"):
        raise ConfigurationError(f"{path}.endpoint: must be a unix socket, unix:///…")
    return KmsPlugin(_text(settings.get("name"), f"{path}.name"), endpoint, _timeout_s(settings.get("timeout"), path))


def _timeout_s(text: object, path: str) -> float:
    if text is None:
        return _KMS_TIMEOUT_S
    for unit, seconds in _UNITS.items():
        if isinstance(text, str) and text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdigit():
            return float(text[: -len(unit)]) * seconds
    raise ConfigurationError(f"{path}.timeout: must be a duration such as 3s")


def _list(holder: object, name: str, path: str) -> list[Any]:
    where = f"{path}.{name}".lstrip(".")
    found = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(found, list) or not found:
        raise ConfigurationError(f"{where}: must be a list with at least one entry")
    return found


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{path}: must be a non-empty string")
    return value


def read(path: Path) -> Configuration:
    """Raises ConfigurationError, also for a file that others may read: it holds keys."""
    import yaml  # only installations that seal something need it

    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path}: others may read it: make it 0600")
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError):
        raise ConfigurationError(f"{path}: it is no YAML") from None
    try:
        return parse(document)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
