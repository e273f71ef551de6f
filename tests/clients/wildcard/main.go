// A client-go reflector on many logical clusters at once, against the server of KUBECONFIG: what it holds in the end, and
// at every bookmark, is what they hold. Writers work in the logical clusters meanwhile. Ends with 0 if all is as meant.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/pager"
)

const clusters, writes = 12, 60

// Names of logical clusters are this program's own: the server may hold others.
func path(number int) string { return fmt.Sprintf("wildcard-%d", number) }

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	config.QPS, config.Burst = 1000, 1000
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	all := at(config, "*")

	mustBeRefused(all.CoreV1().ConfigMaps("default").Create(ctx, configMap("refused", 0), metav1.CreateOptions{}))

	store := cache.NewStore(func(obj any) (string, error) { return key(obj.(*corev1.ConfigMap)), nil })
	var lists atomic.Int32
	selector := func(options *metav1.ListOptions) { options.LabelSelector = "wildcard=yes" }
	source := cache.NewFilteredListWatchFromClient(all.CoreV1().RESTClient(), "configmaps", metav1.NamespaceAll, selector)
	list := source.ListWithContextFunc
	source.ListWithContextFunc = func(ctx context.Context, options metav1.ListOptions) (result runtime.Object, err error) {
		lists.Add(1)
		return list(ctx, options)
	}
	reflector := cache.NewReflector(source, &corev1.ConfigMap{}, store, 0)
	go reflector.RunWithContext(ctx)

	var writers sync.WaitGroup
	for number := range clusters {
		writers.Add(1)
		go func() {
			defer writers.Done()
			write(ctx, at(config, path(number)), rand.New(rand.NewSource(int64(number))))
		}()
	}
	writers.Wait()

	must(wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		return difference(held(store), stored(ctx, config)) == "", nil
	}))
	if found := difference(held(store), paged(ctx, all)); found != "" {
		must(fmt.Errorf("pages and reflector differ: %s", found))
	}
	if lists.Load() > 1 {
		must(fmt.Errorf("the reflector listed %d times", lists.Load()))
	}
	fmt.Println("ok", len(held(store)), "objects")
}

func at(config *rest.Config, cluster string) kubernetes.Interface {
	own := rest.CopyConfig(config)
	base, _, _ := strings.Cut(config.Host, "/clusters/")
	own.Host = base + "/clusters/" + cluster
	return kubernetes.NewForConfigOrDie(own)
}

func configMap(name string, value int) *corev1.ConfigMap {
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{"wildcard": "yes"}}
	return &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"value": fmt.Sprint(value)}}
}

func write(ctx context.Context, client kubernetes.Interface, random *rand.Rand) {
	maps := client.CoreV1().ConfigMaps("default")
	for value := range writes {
		wanted := configMap(fmt.Sprintf("c%d", random.Intn(8)), value)
		switch random.Intn(4) {
		case 0:
			err := maps.Delete(ctx, wanted.Name, metav1.DeleteOptions{})
			if !apierrors.IsNotFound(err) {
				must(err)
			}
		default:
			_, err := maps.Create(ctx, wanted, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				_, err = maps.Update(ctx, wanted, metav1.UpdateOptions{})
			}
			must(err)
		}
	}
}

func key(found *corev1.ConfigMap) string {
	return found.Annotations["kcp.io/cluster"] + "/" + found.Namespace + "/" + found.Name
}

func held(store cache.Store) map[string]string {
	found := map[string]string{}
	for _, each := range store.List() {
		one := each.(*corev1.ConfigMap)
		found[key(one)] = one.ResourceVersion
	}
	return found
}

// stored is what the logical clusters say themselves.
func stored(ctx context.Context, config *rest.Config) map[string]string {
	found := map[string]string{}
	for number := range clusters {
		options := metav1.ListOptions{LabelSelector: "wildcard=yes"}
		listed, err := at(config, path(number)).CoreV1().ConfigMaps("").List(ctx, options)
		must(err)
		for _, each := range listed.Items {
			found[path(number)+"/"+each.Namespace+"/"+each.Name] = each.ResourceVersion
		}
	}
	return found
}

func paged(ctx context.Context, all kubernetes.Interface) map[string]string {
	found := map[string]string{}
	pages := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		return all.CoreV1().ConfigMaps("").List(ctx, options)
	}))
	pages.PageSize = 7
	must(pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: "wildcard=yes"}, func(obj runtime.Object) error {
		one := obj.(*corev1.ConfigMap)
		if found[key(one)] != "" {
			return fmt.Errorf("%s came twice", key(one))
		}
		found[key(one)] = one.ResourceVersion
		return nil
	}))
	return found
}

func difference(one, other map[string]string) string {
	for name, version := range one {
		if other[name] != version {
			return fmt.Sprintf("%s: %s and %q", name, version, other[name])
		}
	}
	if len(one) != len(other) {
		return fmt.Sprintf("%d and %d objects", len(one), len(other))
	}
	return ""
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// mustBeRefused expects that a write to many logical clusters is refused.
func mustBeRefused(_ *corev1.ConfigMap, err error) {
	if !apierrors.IsMethodNotSupported(err) {
		must(fmt.Errorf("a write to many logical clusters was answered with %v", err))
	}
}
