// Prints what the Go types of the Kubernetes APIs say about their protobuf form: one JSON value per line, for
// ../generate_protobuf_facts.py. The field tags hold number and JSON name side by side, and the field types tell what
// the published generated.proto files do not: which fields are pointers, and which are inline in JSON only.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

type message struct {
	Message string   `json:"message"`
	Kinds   []string `json:"kinds,omitempty"`
	List    bool     `json:"list,omitempty"`
	Fields  [][]any  `json:"fields"`
}

type marshaler interface{ Marshal() ([]byte, error) }

var (
	marshals = reflect.TypeFor[marshaler]()
	messages = map[string]*message{}
)

func main() {
	utilruntime.Must(apiextensions.AddToScheme(scheme.Scheme))
	utilruntime.Must(apiregistration.AddToScheme(scheme.Scheme))
	for kind, type_ := range scheme.Scheme.AllKnownTypes() {
		if kind.Version == runtime.APIVersionInternal || !reflect.PointerTo(type_).Implements(marshals) {
			continue
		}
		found := visit(type_)
		found.Kinds = append(found.Kinds, kind.GroupVersion().String()+" "+kind.Kind)
	}
	for _, object := range []any{meta.PartialObjectMetadata{}, meta.PartialObjectMetadataList{}, meta.APIGroupList{}, meta.APIGroup{}, meta.APIResourceList{}, meta.APIVersions{}} {
		type_ := reflect.TypeOf(object)
		found := visit(type_)
		found.Kinds = append(found.Kinds, "meta.k8s.io/v1 "+type_.Name())
	}
	print_()
}

func print_() {
	names := []string{}
	for name, found := range messages {
		names = append(names, name)
		sort.Strings(found.Kinds)
	}
	sort.Strings(names)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for _, name := range names {
		utilruntime.Must(encoder.Encode(messages[name]))
	}
}

func nameOf(type_ reflect.Type) string {
	return strings.TrimPrefix(type_.PkgPath(), "k8s.io/") + "." + type_.Name()
}

func visit(type_ reflect.Type) *message {
	name := nameOf(type_)
	if found := messages[name]; found != nil {
		return found
	}
	found := &message{Message: name, Fields: [][]any{}}
	messages[name] = found
	if type_.Kind() == reflect.Slice { // a named list is a message of its own: repeated items = 1
		found.List = true
		found.Fields = append(found.Fields, []any{"items", 1, element(type_.Elem()), "r"})
		return found
	}
	if type_.Kind() != reflect.Struct {
		panic(fmt.Sprintf("%s is a %s", name, type_.Kind()))
	}
	for i := range type_.NumField() {
		if field := type_.Field(i); field.Tag.Get("protobuf") != "" && field.Tag.Get("protobuf") != "-" {
			found.Fields = append(found.Fields, describe(field))
		}
	}
	return found
}

// [JSON name, number, type, flags]; flags: i inline in JSON, m map, o omitted from JSON when empty, p pointer, r repeated,
// z omitted from JSON when an empty struct.
func describe(field reflect.StructField) []any {
	name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	parts := strings.Split(field.Tag.Get("protobuf"), ",")
	number, err := strconv.Atoi(parts[1])
	utilruntime.Must(err)
	flags, type_ := "", field.Type
	if strings.Contains(options, "inline") {
		flags += "i"
	}
	isMessage := reflect.PointerTo(type_).Implements(marshals)
	if type_.Kind() == reflect.Map && !isMessage {
		flags, type_ = flags+"m", type_.Elem()
	}
	if strings.Contains(options, "omitempty") {
		flags += "o"
	}
	if strings.Contains(options, "omitzero") {
		flags += "z"
	}
	if type_.Kind() == reflect.Pointer {
		flags, type_ = flags+"p", type_.Elem()
	}
	if type_.Kind() == reflect.Slice && !reflect.PointerTo(type_).Implements(marshals) && type_.Elem().Kind() != reflect.Uint8 {
		flags, type_ = flags+"r", type_.Elem()
		if type_.Kind() == reflect.Pointer {
			type_ = type_.Elem()
		}
	}
	return []any{name, number, element(type_), flags}
}

func element(type_ reflect.Type) string {
	if reflect.PointerTo(type_).Implements(marshals) {
		visit(type_)
		return nameOf(type_)
	}
	switch type_.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "int"
	case reflect.Float64:
		return "double"
	case reflect.Slice:
		if type_.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
	}
	panic("no protobuf form known of " + type_.String())
}
