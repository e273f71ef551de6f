// What a program built on client-go does all day, against the server of KUBECONFIG: discovery, typed, dynamic and
// metadata clients, shared informers, apply, pages, events, leader election. Ends with 0 if everything came out as meant.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/tools/record"
	toolswatch "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"
)

const namespace = "informers"

var widgets = schema.GroupVersionResource{Group: "shop.example.com", Version: "v1", Resource: "widgets"}
var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

type clients struct {
	typed    kubernetes.Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	config.QPS, config.Burst = 500, 500
	proto := rest.CopyConfig(config)
	proto.AcceptContentTypes, proto.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"
	c := clients{kubernetes.NewForConfigOrDie(proto), dynamic.NewForConfigOrDie(config), metadata.NewForConfigOrDie(config)}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	_, err = c.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	must(err)
	for _, part := range []struct {
		name string
		run  func(context.Context, clients) error
	}{
		{"discovery", discover}, {"a shared informer follows", followTyped}, {"two informers agree", followInTwoWays},
		{"custom objects", followCustomObjects}, {"apply", applyByTwoManagers}, {"pages", readPages},
		{"conflicts are retried", countTogether}, {"a watch resumes", resumeWatch}, {"events", recordEvents},
		{"leader election", electLeaders}, {"the end of a namespace", endNamespace},
	} {
		began := time.Now()
		if err := part.run(ctx, c); err != nil {
			fmt.Printf("FAILED %s: %v\n", part.name, err)
			os.Exit(1)
		}
		fmt.Printf("ok %s (%.1f s)\n", part.name, time.Since(began).Seconds())
	}
}

func must(err error) {
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
}

// eventually waits until the condition holds; what it last lacked is the error.
func eventually(ctx context.Context, condition func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		last = condition()
		return last == nil, nil
	})
	return errors.Join(err, last)
}

func discover(_ context.Context, c clients) error {
	groups, lists, err := c.typed.Discovery().ServerGroupsAndResources()
	if err != nil || len(groups) < 10 {
		return fmt.Errorf("%d groups: %w", len(groups), err)
	}
	for _, list := range lists {
		if _, err := schema.ParseGroupVersion(list.GroupVersion); err != nil || len(list.APIResources) == 0 {
			return fmt.Errorf("%s with %d resources: %w", list.GroupVersion, len(list.APIResources), err)
		}
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.typed.Discovery()))
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	if err != nil || mapping.Resource.Resource != "deployments" || mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return fmt.Errorf("Deployment is mapped to %v: %w", mapping, err)
	}
	enabled, err := discovery.IsResourceEnabled(c.typed.Discovery(), configMaps)
	if err != nil || !enabled {
		return fmt.Errorf("configmaps are not enabled: %w", err)
	}
	paths, err := c.typed.Discovery().OpenAPIV3().Paths()
	if err != nil || paths["apis/apps/v1"] == nil {
		return fmt.Errorf("no OpenAPI of apps/v1: %w", err)
	}
	_, err = c.typed.Discovery().OpenAPISchema()
	return err
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"by": "informers"}}, Data: data}
}

func followTyped(ctx context.Context, c clients) error {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(c.typed, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().ConfigMaps()
	var lock sync.Mutex
	added, updated, deleted := map[string]int{}, map[string]int{}, map[string]int{}
	count := func(in map[string]int, obj any) {
		lock.Lock()
		defer lock.Unlock()
		in[obj.(metav1.Object).GetName()]++
	}
	_, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { count(added, obj) },
		UpdateFunc: func(_, obj any) { count(updated, obj) },
		DeleteFunc: func(obj any) { count(deleted, obj) },
	})
	if err != nil {
		cancel()
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
		return errors.New("the cache does not synchronize")
	}
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	const number = 50
	for n := range number {
		made, err := maps.Create(ctx, configMap(fmt.Sprintf("typed-%d", n), nil), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		made.Data = map[string]string{"n": fmt.Sprint(n)}
		if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	if err := eventually(ctx, func() error {
		listed, err := informer.Lister().ConfigMaps(namespace).List(labels.SelectorFromSet(labels.Set{"by": "informers"}))
		if err != nil || len(listed) != number {
			return fmt.Errorf("%d of %d in the cache: %w", len(listed), number, err)
		}
		for _, found := range listed {
			if found.Name != "typed-"+found.Data["n"] {
				return fmt.Errorf("%s holds %v", found.Name, found.Data)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "by=informers"}); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		lock.Lock()
		defer lock.Unlock()
		for n := range number {
			name := fmt.Sprintf("typed-%d", n)
			if added[name] != 1 || updated[name] > 1 || deleted[name] != 1 {
				return fmt.Errorf("%s: %d added, %d updated, %d deleted", name, added[name], updated[name], deleted[name])
			}
		}
		return nil
	})
}

func followInTwoWays(ctx context.Context, c clients) error {
	ctx, cancel := context.WithCancel(ctx)
	dynamicFactory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.dynamic, 0, namespace, nil)
	metadataFactory := metadatainformer.NewFilteredSharedInformerFactory(c.metadata, 0, namespace, nil)
	whole, parts := dynamicFactory.ForResource(configMaps).Informer(), metadataFactory.ForResource(configMaps).Informer()
	dynamicFactory.Start(ctx.Done())
	metadataFactory.Start(ctx.Done())
	defer dynamicFactory.Shutdown()
	defer metadataFactory.Shutdown()
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), whole.HasSynced, parts.HasSynced) {
		return errors.New("the caches do not synchronize")
	}
	for n := range 10 {
		name := fmt.Sprintf("both-%d", n)
		if _, err := c.typed.CoreV1().ConfigMaps(namespace).Create(ctx, configMap(name, nil), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return eventually(ctx, func() error {
		a, b := whole.GetStore().ListKeys(), parts.GetStore().ListKeys()
		slices.Sort(a)
		slices.Sort(b)
		if len(a) < 10 || !slices.Equal(a, b) {
			return fmt.Errorf("objects %v, their metadata %v", a, b)
		}
		return nil
	})
}

func definition() *unstructured.Unstructured {
	integer := map[string]any{"type": "integer"}
	object := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": properties}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "widgets.shop.example.com"},
		"spec": map[string]any{
			"group": "shop.example.com", "scope": "Namespaced",
			"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": object(map[string]any{
					"spec": object(map[string]any{"size": integer}), "status": object(map[string]any{"seen": integer}),
				})},
			}},
		},
	}}
}

func followCustomObjects(ctx context.Context, c clients) error {
	if _, err := c.dynamic.Resource(definitions).Create(ctx, definition(), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := eventually(ctx, func() error {
		_, err := c.dynamic.Resource(widgets).List(ctx, metav1.ListOptions{})
		return err
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	factory := dynamicinformer.NewDynamicSharedInformerFactory(c.dynamic, 0)
	informer := factory.ForResource(widgets)
	informer.Informer() // made before Start, which starts what there is
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer cancel()
	factory.WaitForCacheSync(ctx.Done())
	in := c.dynamic.Resource(widgets).Namespace(namespace)
	widget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "shop.example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "one"},
		"spec": map[string]any{"size": int64(3)}, "status": map[string]any{"seen": int64(1)},
	}}
	made, err := in.Create(ctx, widget, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if _, found, _ := unstructured.NestedInt64(made.Object, "status", "seen"); found {
		return errors.New("a create wrote the status")
	}
	must(unstructured.SetNestedField(made.Object, int64(7), "status", "seen"))
	if _, err := in.UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		found, err := informer.Lister().ByNamespace(namespace).Get("one")
		if err != nil {
			return err
		}
		object := found.(*unstructured.Unstructured)
		if seen, _, _ := unstructured.NestedInt64(object.Object, "status", "seen"); seen != 7 || object.GetGeneration() != 1 {
			return fmt.Errorf("seen %d at generation %d", seen, object.GetGeneration())
		}
		return nil
	})
}

func applyByTwoManagers(ctx context.Context, c clients) error {
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	wanted := corev1apply.ConfigMap("applied", namespace).WithData(map[string]string{"colour": "blue"})
	if _, err := maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "first"}); err != nil {
		return err
	}
	other := corev1apply.ConfigMap("applied", namespace).WithData(map[string]string{"colour": "red", "size": "3"})
	if _, err := maps.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "second"}); !apierrors.IsConflict(err) {
		return fmt.Errorf("no conflict: %w", err)
	}
	found, err := maps.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "second", Force: true})
	if err != nil || found.Data["colour"] != "red" {
		return fmt.Errorf("forced: %v %w", found.Data, err)
	}
	extracted, err := corev1apply.ExtractConfigMap(found, "second")
	if err != nil || extracted.Data["size"] != "3" {
		return fmt.Errorf("extracted %v: %w", extracted, err)
	}
	smaller := corev1apply.ConfigMap("applied", namespace).WithData(map[string]string{"colour": "red"})
	found, err = maps.Apply(ctx, smaller, metav1.ApplyOptions{FieldManager: "second"})
	if err != nil || len(found.Data) != 1 {
		return fmt.Errorf("what is applied no more stays: %v %w", found.Data, err)
	}
	return nil
}

func readPages(ctx context.Context, c clients) error {
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	for n := range 23 {
		if _, err := maps.Create(ctx, configMap(fmt.Sprintf("page-%02d", n), nil), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	pages := 0
	reader := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		pages++
		return maps.List(ctx, options)
	})
	reader.PageSize = 5
	seen := map[string]bool{}
	err := reader.EachListItem(ctx, metav1.ListOptions{}, func(obj runtime.Object) error {
		seen[obj.(*corev1.ConfigMap).Name] = true
		return nil
	})
	whole, listErr := maps.List(ctx, metav1.ListOptions{})
	if err != nil || listErr != nil || len(seen) != len(whole.Items) || pages < 5 {
		return fmt.Errorf("%d of %d in %d pages: %w", len(seen), len(whole.Items), pages, errors.Join(err, listErr))
	}
	return nil
}

func countTogether(ctx context.Context, c clients) error {
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Create(ctx, configMap("counter", map[string]string{"n": ""}), metav1.CreateOptions{}); err != nil {
		return err
	}
	var group sync.WaitGroup
	faults := make(chan error, 8)
	patient := wait.Backoff{Steps: 50, Duration: 5 * time.Millisecond, Jitter: 1}
	for range 8 {
		group.Go(func() {
			faults <- retry.RetryOnConflict(patient, func() error {
				found, err := maps.Get(ctx, "counter", metav1.GetOptions{})
				if err != nil {
					return err
				}
				found.Data["n"] += "x"
				_, err = maps.Update(ctx, found, metav1.UpdateOptions{})
				return err
			})
		})
	}
	group.Wait()
	close(faults)
	for err := range faults {
		if err != nil {
			return err
		}
	}
	found, err := maps.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil || len(found.Data["n"]) != 8 {
		return fmt.Errorf("%q after 8 additions: %w", found.Data["n"], err)
	}
	return nil
}

func resumeWatch(ctx context.Context, c clients) error {
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	listed, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for n := range 3 {
		if _, err := maps.Create(ctx, configMap(fmt.Sprintf("resumed-%d", n), nil), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	short := int64(1) // so that the watcher has to start again in between
	source := &cache.ListWatch{WatchFunc: func(options metav1.ListOptions) (watch.Interface, error) {
		options.TimeoutSeconds = &short
		return maps.Watch(ctx, options)
	}}
	watcher, err := toolswatch.NewRetryWatcherWithContext(ctx, listed.ResourceVersion, source)
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for n := range 6 {
		if n == 3 {
			time.Sleep(1500 * time.Millisecond)
		}
		if n >= 3 {
			if _, err := maps.Create(ctx, configMap(fmt.Sprintf("resumed-%d", n), nil), metav1.CreateOptions{}); err != nil {
				return err
			}
		}
		event := <-watcher.ResultChan()
		found, is := event.Object.(*corev1.ConfigMap)
		if !is || event.Type != watch.Added || found.Name != fmt.Sprintf("resumed-%d", n) {
			return fmt.Errorf("event %d is %v of %v", n, event.Type, event.Object)
		}
	}
	return nil
}

func recordEvents(ctx context.Context, c clients) error {
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.typed.CoreV1().Events(namespace)})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "informers"})
	about, err := c.typed.CoreV1().ConfigMaps(namespace).Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	for range 3 {
		recorder.Event(about, corev1.EventTypeNormal, "Counted", "all together")
	}
	return eventually(ctx, func() error {
		selector := "involvedObject.name=counter,reason=Counted"
		found, err := c.typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
		if err != nil || len(found.Items) != 1 || found.Items[0].Count != 3 {
			return fmt.Errorf("%d events: %w", len(found.Items), err)
		}
		return nil
	})
}

func electLeaders(ctx context.Context, c clients) error {
	led := make(chan string, 4)
	candidate := func(ctx context.Context, name string) {
		lock := &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Name: "leader", Namespace: namespace}, Client: c.typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: lock, ReleaseOnCancel: true, LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) { led <- name; <-ctx.Done() }, OnStoppedLeading: func() {},
			},
		})
	}
	firstContext, stopFirst := context.WithCancel(ctx)
	secondContext, stopSecond := context.WithCancel(ctx)
	defer stopSecond()
	go candidate(firstContext, "first")
	if leader := <-led; leader != "first" {
		stopFirst()
		return fmt.Errorf("%s leads", leader)
	}
	go candidate(secondContext, "second")
	select {
	case other := <-led:
		stopFirst()
		return fmt.Errorf("%s leads beside the first", other)
	case <-time.After(4 * time.Second):
	}
	stopFirst()
	select {
	case leader := <-led:
		if leader != "second" {
			return fmt.Errorf("%s leads after the first", leader)
		}
	case <-time.After(10 * time.Second):
		return errors.New("nobody leads")
	}
	lease, err := c.typed.CoordinationV1().Leases(namespace).Get(ctx, "leader", metav1.GetOptions{})
	if err != nil || *lease.Spec.LeaseTransitions < 1 {
		return fmt.Errorf("transitions: %v %w", lease.Spec.LeaseTransitions, err)
	}
	return nil
}

func endNamespace(ctx context.Context, c clients) error {
	patch := []byte(`{"metadata":{"finalizers":["example.com/wait"]}}`)
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Patch(ctx, "counter", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	if err := c.typed.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := eventually(ctx, func() error {
		found, err := c.typed.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range found.Status.Conditions {
			if condition.Type == corev1.NamespaceFinalizersRemaining && condition.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("conditions %v", found.Status.Conditions)
	}); err != nil {
		return err
	}
	if _, err := maps.Create(ctx, configMap("late", nil), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		return fmt.Errorf("a create in a namespace that ends: %w", err)
	}
	if _, err := maps.Patch(ctx, "counter", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		_, err := c.typed.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there: %w", err)
	})
}
