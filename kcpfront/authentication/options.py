"""What an operator says about authentication, under the names of kube-apiserver's options."""

from pathlib import Path
from typing import NamedTuple

from kcpshard.api.service_accounts import DEFAULT_ISSUER


class RequestHeaderOptions(NamedTuple):
    """Proxies that tell who asks. Any name is allowed where none is listed; a client certificate never is optional."""

    client_ca_file: Path
    allowed_names: tuple[str, ...] = ()
    username_headers: tuple[str, ...] = ()
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()


class WebhookOptions(NamedTuple):
    config_file: Path  # a kubeconfig
    cache_ttl_s: float = 120.0
    version: str = "v1beta1"  # of TokenReview, as kube-apiserver's default


class AuthenticationOptions(NamedTuple):
    issuer: str = DEFAULT_ISSUER
    audiences: tuple[str, ...] = ()  # empty: the issuer
    anonymous: bool | None = None  # None: not said, which means yes unless the configuration says otherwise
    config_file: Path | None = None
    webhook: WebhookOptions | None = None
    request_header: RequestHeaderOptions | None = None
