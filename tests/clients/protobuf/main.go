// Reads lines {"kind": "v1 Pod", "json": {…}, "protobuf": base64} and checks that both mean the same object of the
// published Go type; answers each with {"kind": …, "json": {…}, "protobuf": base64, "fault": ""}: that object as Go writes
// it. `compare.py` feeds it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubejson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/diff"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

type sample struct {
	Kind     string          `json:"kind"`
	JSON     json.RawMessage `json:"json"`
	Protobuf []byte          `json:"protobuf"`
	Fault    string          `json:"fault"`
}

func main() {
	utilruntime.Must(apiextensions.AddToScheme(scheme.Scheme))
	utilruntime.Must(apiregistration.AddToScheme(scheme.Scheme))
	version := schema.GroupVersion{Group: "meta.k8s.io", Version: "v1"}
	scheme.Scheme.AddKnownTypes(version, &meta.PartialObjectMetadata{}, &meta.PartialObjectMetadataList{},
		&meta.APIGroup{}, &meta.APIGroupList{}, &meta.APIResourceList{}, &meta.APIVersions{})
	meta.AddToGroupVersion(scheme.Scheme, version)
	read, write := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for read.More() {
		given := sample{}
		utilruntime.Must(read.Decode(&given))
		utilruntime.Must(write.Encode(answer(given)))
	}
}

func answer(given sample) sample {
	binary := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	text := kubejson.NewSerializerWithOptions(kubejson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, kubejson.SerializerOptions{Strict: true})
	fromText, _, err := text.Decode(given.JSON, nil, nil)
	if err != nil {
		return sample{Kind: given.Kind, Fault: fmt.Sprint("our JSON: ", err)}
	}
	fromBinary, _, err := binary.Decode(given.Protobuf, nil, nil)
	if err != nil {
		return sample{Kind: given.Kind, Fault: fmt.Sprint("our protobuf: ", err)}
	}
	if !equality.Semantic.DeepEqual(fromText, fromBinary) {
		return sample{Kind: given.Kind, Fault: "JSON and protobuf differ: " + diff.Diff(fromText, fromBinary)}
	}
	written, err := runtime.Encode(binary, fromText)
	utilruntime.Must(err)
	shown, err := runtime.Encode(text, fromText)
	utilruntime.Must(err)
	return sample{Kind: given.Kind, JSON: shown, Protobuf: written}
}
