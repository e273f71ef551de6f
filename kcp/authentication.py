"""What an operator may say about authentication, for `kcp start` and `kcp front`: passed on to fronts, and to shards
what they sign tokens by. What the words mean is `kcpfront.authentication`'s; names and defaults are kube-apiserver's.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_WEBHOOK, _PROXY = "--authentication-token-webhook", "--requestheader"
# In the order in which help shows them. Fronts get all, shards those in _OF_SHARDS.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--anonymous-auth": {
        "type": click.Choice(["true", "false"]),
        "help": "Let strangers be system:anonymous [default: true].",
    },
    "--service-account-issuer": {"metavar": "URL", "help": "As whom service accounts' tokens are issued."},
    "--api-audiences": {"metavar": "A,B", "help": "Whom tokens must be for [default: the issuer]."},
    "--authentication-config": {
        "type": _FILE,
        "help": "An AuthenticationConfiguration: OpenID Connect providers and what their claims make of a user.",
    },
    f"{_WEBHOOK}-config-file": {"type": _FILE, "help": "Kubeconfig of a webhook that knows whose tokens are."},
    f"{_WEBHOOK}-cache-ttl": {"metavar": "DURATION", "help": "For how long it is not asked again [default: 2m]."},
    f"{_WEBHOOK}-version": {"type": click.Choice(["v1", "v1beta1"]), "help": "Of TokenReview [default: v1beta1]."},
    f"{_PROXY}-client-ca-file": {"type": _FILE, "help": "Authorities of proxies that tell in headers who asks."},
    f"{_PROXY}-allowed-names": {"metavar": "A,B", "help": "Names of such proxies' certificates [default: any]."},
    f"{_PROXY}-username-headers": {"metavar": "A,B", "help": "Headers in which they tell the user's name."},
    f"{_PROXY}-uid-headers": {"metavar": "A,B", "help": "Headers in which they tell the uid."},
    f"{_PROXY}-group-headers": {"metavar": "A,B", "help": "Headers in which they tell the groups."},
    f"{_PROXY}-extra-headers-prefix": {"metavar": "A,B", "help": "With which headers begin that tell more."},
}
_OF_SHARDS = ("--service-account-issuer", "--api-audiences")


def authentication_options(command: F) -> F:
    """Decorates a command, which gets them as keywords: hand those to `front_arguments` and `shard_arguments`."""
    for name, settings in reversed(tuple(_OPTIONS.items())):
        command = click.option(name, **settings)(command)
    return command


def front_arguments(said: Mapping[str, Any]) -> tuple[str, ...]:
    return _arguments(said, tuple(_OPTIONS))


def shard_arguments(said: Mapping[str, Any]) -> tuple[str, ...]:
    return _arguments(said, _OF_SHARDS)


def _arguments(said: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for name in names:
        value = said.get(name.removeprefix("--").replace("-", "_"))
        if value is not None:
            # One word: a value may begin with a dash.
            found.append(f"{name}={value.absolute() if isinstance(value, Path) else value}")
    return tuple(found)
