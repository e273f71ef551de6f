"""Whether whoever changes a CertificateSigningRequest may approve or sign for its signer."""

from kcpshard.admission.attributes import Attributes
from kcpshard.admission.certificate_requests import CERTIFICATE_REQUESTS, forbidden, needed_right
from kcpshard.authorization import attributes as rights
from kcpshard.verbs.shard import Shard


def check_signer(shard: Shard, path: str, write: Attributes) -> None:
    """Of an update. Raises Forbidden."""
    if write.resource.group_resource != CERTIFICATE_REQUESTS or write.object is None or write.old is None:
        return
    verb = needed_right(write.subresource, write.object, write.old)
    if not verb:
        return
    signer: str = write.old["spec"]["signerName"]
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        wanted = rights.Attributes(verb, "certificates.k8s.io", "*", "signers", name=name)
        if shard.authorizer.decide(write.cluster, path, write.identity, wanted).allowed:
            return
    raise forbidden(write.name, f'user not permitted to {verb} requests with signerName "{signer}"')
