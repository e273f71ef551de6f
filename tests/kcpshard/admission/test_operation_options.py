from kcpshard.admission.operation_options import operation_options
from kcpshard.rpc import shard_pb2 as pb

META = {"apiVersion": "meta.k8s.io/v1"}


def test_options_say_what_the_request_says() -> None:
    request = pb.Request(field_manager="m", field_validation="Strict", dry_run=True)
    wanted = {"kind": "UpdateOptions", **META, "dryRun": ["All"], "fieldManager": "m", "fieldValidation": "Strict"}
    assert operation_options(request, "UPDATE") == wanted
    assert operation_options(pb.Request(), "CREATE") == {"kind": "CreateOptions", **META}
    assert operation_options(request, "CONNECT") is None


def test_those_of_a_deletion_are_its_body() -> None:
    request = pb.Request(body=b'{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan","dryRun":[]}')
    assert operation_options(request, "DELETE") == {"kind": "DeleteOptions", **META, "propagationPolicy": "Orphan"}
