// A shared informer that must not notice that its logical cluster moves from shard to shard while objects are written.
// Reads "stop" from standard input when the moves are over, then compares what it has seen. Ends with 0 if it has sent
// one list and one watch, has met no error and has seen every write exactly once and in order.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const namespace, writers = "default", 4

// counter counts what the informer's client asks, and what goes wrong.
type counter struct {
	inner                  http.RoundTripper
	lists, watches, faults atomic.Int64
}

func (c *counter) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet {
		if request.URL.Query().Get("watch") != "" {
			c.watches.Add(1)
		} else {
			c.lists.Add(1)
		}
	}
	answer, err := c.inner.RoundTrip(request)
	if err != nil || answer.StatusCode >= 400 {
		c.faults.Add(1)
		fmt.Println("fault:", request.Method, request.URL.Path, err, status(answer))
	}
	return answer, err
}

func status(answer *http.Response) string {
	if answer == nil {
		return ""
	}
	return answer.Status
}

// seen is what the informer told of each object, in order: its resourceVersions.
type seen struct {
	sync.Mutex
	versions map[string][]uint64
}

func (s *seen) note(object any) {
	configMap := object.(*corev1.ConfigMap)
	version, err := strconv.ParseUint(configMap.ResourceVersion, 10, 64)
	must(err)
	s.Lock()
	defer s.Unlock()
	s.versions[configMap.Name] = append(s.versions[configMap.Name], version)
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	config.QPS, config.Burst = 500, 500
	watching := *config
	counts := &counter{}
	watching.Wrap(func(inner http.RoundTripper) http.RoundTripper { counts.inner = inner; return counts })
	writing := kubernetes.NewForConfigOrDie(config)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	factory := informers.NewSharedInformerFactoryWithOptions(
		kubernetes.NewForConfigOrDie(&watching), 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().ConfigMaps().Informer()
	told := &seen{versions: map[string][]uint64{}}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: told.note, UpdateFunc: func(_, object any) { told.note(object) },
	})
	must(err)
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		fail("the informer does not get ready")
	}
	fmt.Println("ready")

	stop := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if strings.TrimSpace(lines.Text()) == "stop" {
				break
			}
		}
		close(stop)
	}()
	written := make([]map[string][]uint64, writers)
	var working sync.WaitGroup
	for n := range writers {
		written[n] = map[string][]uint64{}
		working.Add(1)
		go func() { defer working.Done(); write(ctx, writing, n, stop, written[n]) }()
	}
	working.Wait()
	wanted := map[string][]uint64{}
	total := 0
	for _, each := range written {
		for name, versions := range each {
			wanted[name] = versions
			total += len(versions)
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for reason := differs(told, wanted); reason != ""; reason = differs(told, wanted) {
		if time.Now().After(deadline) {
			fail(reason)
		}
		time.Sleep(50 * time.Millisecond)
	}
	lists, watches, faults := counts.lists.Load(), counts.watches.Load(), counts.faults.Load()
	fmt.Printf("%d writes seen once and in order; %d lists, %d watches, %d faults\n", total, lists, watches, faults)
	// With WatchList the first state comes with the watch, and there is no list at all.
	if lists > 1 || watches != 1 || faults != 0 {
		fail("the informer has noticed")
	}
}

// write creates objects and updates them until told to stop, and notes the resourceVersion of each answer.
func write(ctx context.Context, client kubernetes.Interface, writer int, stop <-chan struct{}, written map[string][]uint64) {
	configMaps := client.CoreV1().ConfigMaps(namespace)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		name := fmt.Sprintf("moving-%d-%d", writer, n/4)
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"n": strconv.Itoa(n)}}
		var answer *corev1.ConfigMap
		var err error
		if n%4 == 0 {
			answer, err = configMaps.Create(ctx, object, metav1.CreateOptions{})
		} else {
			answer, err = configMaps.Update(ctx, object, metav1.UpdateOptions{})
		}
		must(err)
		version, err := strconv.ParseUint(answer.ResourceVersion, 10, 64)
		must(err)
		written[name] = append(written[name], version)
	}
}

// differs says what the informer has missed, repeated or mixed up; empty: nothing.
func differs(told *seen, wanted map[string][]uint64) string {
	told.Lock()
	defer told.Unlock()
	for name, versions := range wanted {
		if found := told.versions[name]; fmt.Sprint(found) != fmt.Sprint(versions) {
			return fmt.Sprintf("%s: written %v, seen %v", name, versions, found)
		}
	}
	return ""
}

func must(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(reason string) {
	fmt.Println("FAILED:", reason)
	os.Exit(1)
}
