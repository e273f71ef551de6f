"""APIBindings: who binds an APIExport needs the right to (`bind`), in the exporter's logical cluster.

The sentences are kcp's. The export may lie on another shard (`tenancy.directory`); then the write waits for the answer.
"""

from kcpshard.admission.attributes import CREATE, UPDATE, Attributes
from kcpshard.api.errors import Forbidden
from kcpshard.api.requests import decode_identity
from kcpshard.authorization.attributes import Attributes as Wanted
from kcpshard.authorization.policy import MASTERS
from kcpshard.tenancy.exports import APIS, FINALIZER, OLD_VERSION, reference_of


def admit(attributes: Attributes) -> None:
    identity = decode_identity(attributes.identity)
    is_privileged = MASTERS in identity.groups and not identity.scope
    obj = attributes.object
    if attributes.operation == CREATE and obj is not None:
        meta = obj["metadata"]
        if FINALIZER not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), FINALIZER]
        if not is_privileged:
            _check_right(attributes)
    elif attributes.operation == UPDATE and obj is not None and attributes.old is not None and not is_privileged:
        had, has = (FINALIZER in (each["metadata"].get("finalizers") or ()) for each in (attributes.old, obj))
        if had and not has:
            raise _refusal(attributes, f"finalizer {FINALIZER} can only be removed by system privileged users")


def _check_right(attributes: Attributes) -> None:
    assert attributes.object is not None
    here = attributes.cluster.path if attributes.cluster is not None else ""
    if not here and attributes.request is not None:
        here = attributes.request.cluster
    reference = reference_of(attributes.object, here)
    directory = attributes.registry.directory if attributes.registry is not None else None
    wanted = Wanted("bind", APIS, OLD_VERSION, "apiexports", "", "", reference.name)
    proof = attributes.request.proof if attributes.request is not None else b""
    if directory is None or not directory.may(attributes.identity, reference.path, wanted, proof):
        text = f"missing verb='bind' permission on apiexports {reference}"
        raise _refusal(attributes, f"unable to create APIBinding: no permission to bind to export {reference}: {text}")


def _refusal(attributes: Attributes, text: str) -> Forbidden:
    name = attributes.name
    shown = f'apibindings.{APIS} "{name}" is forbidden: {text}'
    return Forbidden(shown, name=name, group=APIS, kind="apibindings")
