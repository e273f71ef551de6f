"""Those outside the installation whose word a front takes on tokens: OpenID Connect providers and a webhook.

What an operator has not configured is not even imported: CEL and an HTTP client are megabytes for each front.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from kcpfront.authentication.credential import TokenProver
from kcpfront.authentication.options import AuthenticationOptions
from kcpshard.api.service_accounts import LEGACY_ISSUER

if TYPE_CHECKING:
    from kcpfront.authentication.configuration import Configuration
    from kcpfront.authentication.provider_tokens import ProviderTokens
    from kcpshard.callouts.calls import Callouts


class ConfigurationError(Exception):
    """A file of the operator's cannot be used; the text is one sentence."""


class Outside:
    """`run` until cancelled, then `close`. Raises ConfigurationError when it is made, and from `reload`."""

    def __init__(self, options: AuthenticationOptions) -> None:
        self._options = options
        self._audiences = options.audiences or (options.issuer,)
        self._seen = self._stamp()
        self.anonymous = options.anonymous is not False
        self.anonymous_paths: frozenset[str] | None = None  # None: all
        self._callouts: Callouts | None = None
        self._providers: ProviderTokens | None = None
        self.provers: Sequence[TokenProver] = ()
        if options.config_file is None and options.webhook is None:
            return
        from kcpfront.authentication.calls import operators_callouts

        self._callouts = operators_callouts()
        found: list[TokenProver] = []
        if options.config_file is not None:
            from kcpfront.authentication import provider_tokens

            configuration = self._read(options.config_file)
            self._take_anonymous(configuration)
            self._providers = provider_tokens.ProviderTokens(configuration.issuers, self._callouts, self._audiences)
            found.append(self._providers)
        if options.webhook is not None:
            from kcpfront.authentication.token_webhook import TokenWebhook

            try:
                found.append(TokenWebhook(options.webhook, self._callouts, self._audiences))
            except ValueError as fault:
                raise ConfigurationError(str(fault)) from None
        self.provers = tuple(found)

    def reload(self) -> bool:
        """Whether the configuration has changed and is in use now. What a webhook's kubeconfig says is read once."""
        seen = self._stamp()
        if seen == self._seen or self._options.config_file is None or self._providers is None:
            return False
        self._seen = seen
        configuration = self._read(self._options.config_file)
        self._take_anonymous(configuration)
        self._providers.replace(configuration.issuers)
        return True

    async def run(self) -> None:
        if self._providers is not None:
            await self._providers.run()

    async def close(self) -> None:
        if self._callouts is not None:
            await self._callouts.close()

    def _read(self, path: Path) -> "Configuration":
        from kcpfront.authentication.configuration import InvalidConfiguration, read_configuration

        try:
            document = yaml.safe_load(path.read_text("utf-8"))
            made = read_configuration(document, (self._options.issuer, LEGACY_ISSUER))
        except (OSError, yaml.YAMLError, UnicodeDecodeError, InvalidConfiguration) as fault:
            raise ConfigurationError(f"cannot use the authentication configuration {path}: {fault}") from None
        if made.anonymous is not None and self._options.anonymous is not None:
            raise ConfigurationError(f"cannot use {path}: it and --anonymous-auth both say who may be anonymous")
        return made

    def _take_anonymous(self, configuration: "Configuration") -> None:
        self.anonymous = self._options.anonymous is not False
        if configuration.anonymous is not None:
            self.anonymous = configuration.anonymous
        self.anonymous_paths = configuration.anonymous_paths

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._options.config_file is None:
            return None
        try:
            stat = self._options.config_file.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
