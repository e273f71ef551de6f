from kcpfront.authentication.options import AuthenticationOptions
from kcpshard.api.service_accounts import DEFAULT_ISSUER


def test_nothing_said_is_what_a_front_did_without_options() -> None:
    made = AuthenticationOptions()
    assert made.issuer == DEFAULT_ISSUER and made.anonymous is None
    assert made.config_file is made.webhook is made.request_header is None
