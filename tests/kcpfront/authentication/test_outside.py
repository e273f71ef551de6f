import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kcpfront.authentication.options import AuthenticationOptions, WebhookOptions
from kcpfront.authentication.outside import ConfigurationError, Outside
from kcpshard.api.service_accounts import DEFAULT_ISSUER
from tests.kcpfront.issuer import local_issuer

EMPTY = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}


def written(directory: Path, document: object) -> Path:
    path = directory / "authentication.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_without_configuration_nobody_is_asked_and_nothing_loaded() -> None:
    made = Outside(AuthenticationOptions())
    assert made.provers == () and made.anonymous and made.anonymous_paths is None and not made.reload()
    text = "import sys, kcpfront.process; print('kcpshard.cel.checking' in sys.modules, 'aiohttp' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert found.stdout == "False False\n"


async def test_a_changed_file_is_taken_into_use_and_a_broken_one_is_not(tmp_path: Path) -> None:
    async with local_issuer() as issuer, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        path = written(tmp_path, EMPTY)
        made = Outside(AuthenticationOptions(config_file=path))
        running = tasks.create_task(made.run())
        (prover,) = made.provers
        wanted = (DEFAULT_ISSUER,)
        assert await prover.prove(issuer.token(), wanted) is None and not made.reload()
        written(tmp_path, {**issuer.document(), "anonymous": {"enabled": True, "conditions": [{"path": "/x"}]}})
        assert made.reload() and made.anonymous_paths == {"/x"}
        found = await prover.prove(issuer.token(), wanted)
        assert found is not None and found.user.username == "oidc:ada"
        path.write_text("nonsense")
        with pytest.raises(ConfigurationError, match=f"cannot use the authentication configuration {path}"):
            made.reload()
        assert await prover.prove(issuer.token(), wanted)
        os.unlink(path)
        running.cancel()
        await made.close()


async def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, {**EMPTY, "anonymous": {"enabled": False}})
    with pytest.raises(ConfigurationError, match="both say who may be anonymous"):
        Outside(AuthenticationOptions(config_file=path, anonymous=True))
    assert not Outside(AuthenticationOptions(config_file=path)).anonymous
    entry = {"issuer": {"url": DEFAULT_ISSUER, "audiences": ["a"]}, "claimMappings": {"username": {}}}
    with pytest.raises(ConfigurationError, match="disallowed issuers"):
        Outside(AuthenticationOptions(config_file=written(tmp_path, {**EMPTY, "jwt": [entry]})))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Outside(AuthenticationOptions(webhook=WebhookOptions(tmp_path / "nowhere")))
