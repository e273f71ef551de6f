from kcpfront.protobuf import facts
from kcpfront.protobuf.facts import ResourceKind


def test_kinds_and_their_messages() -> None:
    assert facts.message_of("v1", "Pod") == "api/core/v1.Pod"
    assert facts.message_of("meta.k8s.io/v1beta1", "PartialObjectMetadata").endswith(".PartialObjectMetadata")
    assert facts.message_of("apps/v1", "DeleteOptions") == facts.message_of("v1", "DeleteOptions") != ""
    assert facts.message_of("example.com/v1", "Pod") == "" == facts.message_of("v1", "Table")


def test_resources_are_sent_as_kinds() -> None:
    assert facts.resource_kind("", "v1", "pods", "eviction") == ResourceKind("policy/v1", "Eviction")
    assert facts.resource_kind("apps", "v1", "deployments", "scale") == ResourceKind("autoscaling/v1", "Scale")
    assert facts.resource_kind("example.com", "v1", "foos", "") is None
    assert facts.resource_kind("", "v1", "pods", "nothing") is None


def test_every_message_named_is_described() -> None:
    for message in facts.kinds().values():
        assert facts.fields(message)


def test_fields_keep_what_json_does_not_show() -> None:
    fields = {field.name: field for field in facts.fields("apimachinery/pkg/apis/meta/v1.ObjectMeta")}
    assert fields["name"].number == 1 and fields["name"].omits_zero
    assert not fields["deletionGracePeriodSeconds"].omits_zero  # a pointer: zero is not unset
    assert fields["creationTimestamp"].omits_empty and fields["labels"].map and fields["finalizers"].repeated
    volume = {field.number: field for field in facts.fields("api/core/v1.Volume")}
    assert volume[2].inline and volume[2].type == "api/core/v1.VolumeSource"


def test_named_go_lists() -> None:
    assert facts.is_list("api/authentication/v1.ExtraValue") and not facts.is_list("api/core/v1.Pod")
