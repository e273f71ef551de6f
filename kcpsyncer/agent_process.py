"""An agent inside a physical cluster: calls us, with a certificate of its own. Holds no controller."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kcpshard.rpc.transport import TlsFiles
from kcpsyncer.agent import Agent, Registered, sync_agent
from kcpsyncer.agent_credentials import AgentCredentials
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.kubeconfig import Access, Unusable
from kcpsyncer.stream.upstream import Shards, Upstream

_log = logging.getLogger(__name__)
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ACCOUNT_TOKEN_S = 1800.0  # a service account's token lives an hour, and is renewed in its file
MAX_RETRY_S = 30.0


def in_cluster_access(directory: Path = _ACCOUNT) -> Access:
    """As a pod's service account. Raises Unusable outside of a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise Unusable("", "this is not a pod: KUBERNETES_SERVICE_HOST is not set")
    shown = f"[{host}]" if ":" in host else host
    try:
        token, authority = (directory / "token").read_text().strip(), (directory / "ca.crt").read_text()
    except OSError as fault:
        raise Unusable("", f"the service account cannot be read: {fault}") from None
    return Access(f"https://{shown}:{port}", authority, token)


class AgentProcess:
    """`physical` is asked again now and then: tokens in files are renewed there. `secret` keeps our certificate."""

    def __init__(
        self,
        registered: Registered,
        bootstrap: Access,
        physical: Callable[[], Access],
        resources: Sequence[str],
        secret: tuple[str, str],
    ) -> None:
        self._registered, self._bootstrap, self._physical = registered, bootstrap, physical
        self._resources, self._secret = resources, secret

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Until `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(self._work())
            ready()
            await stop.wait()
            working.cancel()

    async def _work(self) -> None:
        delay_s = 1.0
        while True:
            try:
                async with KubeClient(self._physical()) as downstream:
                    credentials = AgentCredentials(self._registered.uid, self._bootstrap, downstream, self._secret)
                    access, renewal_s = await credentials.access()
                    delay_s = 1.0
                    await self._serve(access, downstream, min(renewal_s, ACCOUNT_TOKEN_S))
                    continue
            except (Failure, Unusable, TimeoutError) as fault:
                _log.warning("cannot work yet: %s", fault)
            except Exception:  # noqa: BLE001 - it must go on for ever
                _log.exception("the agent has ended")
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, MAX_RETRY_S)

    async def _serve(self, access: Access, downstream: KubeClient, seconds: float) -> None:
        async with KubeClient(access, manager="kcp-syncer") as client:
            shards = await self._shards(client, access)
        holder = f"agent-{os.uname().nodename}"
        upstream = Upstream(sync_agent(self._registered, holder), shards, holder)
        agent = Agent(self._registered, upstream, downstream, self._resources, holder, calls=True)
        try:
            async with asyncio.timeout(max(seconds, 1.0)):
                await agent.run()
        except TimeoutError:
            return  # time for fresh credentials

    async def _shards(self, client: KubeClient, access: Access) -> Shards:
        """Where some are is written at our Cluster; those tell where the others are. Raises Failure."""
        found = await client.get(
            resource_path("cluster.example.dev", "v1alpha1", "clusters", "", self._registered.name)
        )
        told = ((found or {}).get("status") or {}).get("sync") or {}
        addresses = told.get("addresses") or ()
        if not addresses:
            raise Failure(0, "NotReady", "it is not known yet where the shards are")
        authority = told.get("certificateAuthority") or ""
        tls = TlsFiles(access.certificate.encode(), access.key.encode(), authority.encode()) if authority else None
        return Shards(addresses, tls)
