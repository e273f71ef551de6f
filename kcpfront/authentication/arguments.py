"""The command line's options about authentication, named as kube-apiserver's."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from kcpfront.authentication.options import AuthenticationOptions, RequestHeaderOptions, WebhookOptions
from kcpshard.api.service_accounts import DEFAULT_ISSUER

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--anonymous-auth", choices=["true", "false"], help="let strangers be system:anonymous (default: true)"
    )
    parser.add_argument("--service-account-issuer", default=DEFAULT_ISSUER, metavar="URL", help="iss of tokens")
    _add_list(parser, "--api-audiences", "who tokens must be for (default: the issuer)")
    parser.add_argument("--authentication-config", type=Path, help="an AuthenticationConfiguration")
    webhook = "--authentication-token-webhook"
    parser.add_argument(f"{webhook}-config-file", type=Path, help="kubeconfig of a webhook for tokens")
    parser.add_argument(f"{webhook}-cache-ttl", type=_duration, default=120.0, help="for how long it is remembered")
    parser.add_argument(f"{webhook}-version", choices=["v1", "v1beta1"], default="v1beta1", help="of TokenReview")
    parser.add_argument("--requestheader-client-ca-file", type=Path, help="authorities of proxies that tell who asks")
    _add_list(parser, "--requestheader-allowed-names", "names of such proxies' certificates (default: any)")
    for what in ("username", "uid", "group"):
        _add_list(parser, f"--requestheader-{what}-headers", f"in which they tell the {what}")
    _add_list(parser, "--requestheader-extra-headers-prefix", "with which headers begin that tell more")


def read_arguments(found: argparse.Namespace) -> AuthenticationOptions:
    webhook = found.authentication_token_webhook_config_file
    proxies = found.requestheader_client_ca_file
    return AuthenticationOptions(
        found.service_account_issuer,
        found.api_audiences,
        None if found.anonymous_auth is None else found.anonymous_auth == "true",
        found.authentication_config,
        WebhookOptions(
            webhook, found.authentication_token_webhook_cache_ttl, found.authentication_token_webhook_version
        )
        if webhook is not None
        else None,
        RequestHeaderOptions(
            proxies,
            found.requestheader_allowed_names,
            found.requestheader_username_headers,
            found.requestheader_uid_headers,
            found.requestheader_group_headers,
            found.requestheader_extra_headers_prefix,
        )
        if proxies is not None
        else None,
    )


class _Words(argparse.Action):
    """Words between commas; said again adds to them."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        words = tuple(word.strip() for word in str(values).split(",") if word.strip())
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), *words))


def _add_list(parser: argparse.ArgumentParser, name: str, help_: str) -> None:
    parser.add_argument(name, action=_Words, default=(), metavar="A,B", help=help_)


def _duration(text: str) -> float:
    found = _DURATION.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 2m")
    return float(sum(float(number) * _UNITS[unit] for number, unit in found))
