// An operator built on controller-runtime, at work against the server of KUBECONFIG: a custom kind with status and
// finalizer, an owned Deployment and ConfigMap kept by server-side apply, caches, events, leader election with hand-over.
// The same program plays the user, judges what the operator does, and ends with 0 if all of it came out as meant.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	appsv1apply "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var groupVersion = schema.GroupVersion{Group: "sites.example.com", Version: "v1alpha1"}

const finalizer = "sites.example.com/cleanup"

type SiteSpec struct {
	Replicas int32  `json:"replicas,omitempty"`
	Greeting string `json:"greeting,omitempty"`
}

type SiteStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

type Site struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              SiteSpec   `json:"spec,omitempty"`
	Status            SiteStatus `json:"status,omitempty"`
}

type SiteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Site `json:"items"`
}

func (s *Site) DeepCopyObject() runtime.Object { return s.deepCopy() }

func (s *Site) deepCopy() *Site {
	made := &Site{TypeMeta: s.TypeMeta, Spec: s.Spec, Status: s.Status}
	s.ObjectMeta.DeepCopyInto(&made.ObjectMeta)
	made.Status.Conditions = append([]metav1.Condition(nil), s.Status.Conditions...)
	return made
}

func (l *SiteList) DeepCopyObject() runtime.Object {
	made := &SiteList{TypeMeta: l.TypeMeta, ListMeta: l.ListMeta}
	for i := range l.Items {
		made.Items = append(made.Items, *l.Items[i].deepCopy())
	}
	return made
}

// operator is one replica; cleaned counts what its finalizer did.
type operator struct {
	client.Client
	recorder events.EventRecorder
	name     string
	cleaned  atomic.Int32
	seen     atomic.Int32
}

func (o *operator) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	o.seen.Add(1)
	site := &Site{}
	if err := o.Get(ctx, request.NamespacedName, site); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !site.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(site, finalizer) {
			if err := o.Update(ctx, site); err != nil { // a conflict, where the cache was late
				return ctrl.Result{}, err
			}
			o.cleaned.Add(1)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(site, finalizer) {
		return ctrl.Result{}, o.Update(ctx, site)
	}
	if err := o.applyOwned(ctx, site); err != nil {
		return ctrl.Result{}, err
	}
	before := site.deepCopy()
	site.Status.ObservedGeneration = site.Generation
	condition := metav1.Condition{Type: "Ready", Status: "True", Reason: "Applied", Message: "by " + o.name, ObservedGeneration: site.Generation}
	if meta.SetStatusCondition(&site.Status.Conditions, condition) {
		o.recorder.Eventf(site, nil, corev1.EventTypeNormal, "Applied", "Apply", "generation %d", site.Generation)
	}
	return ctrl.Result{}, o.Status().Patch(ctx, site, client.MergeFrom(before))
}

func (o *operator) applyOwned(ctx context.Context, site *Site) error {
	owner := metav1apply.OwnerReference().WithAPIVersion(groupVersion.String()).WithKind("Site").WithName(site.Name).
		WithUID(site.UID).WithController(true).WithBlockOwnerDeletion(true)
	settings := corev1apply.ConfigMap(site.Name, site.Namespace).WithOwnerReferences(owner).
		WithData(map[string]string{"greeting": site.Spec.Greeting})
	labels := map[string]string{"site": site.Name}
	pod := corev1apply.PodSpec().WithContainers(corev1apply.Container().WithName("web").WithImage("web:1"))
	deployment := appsv1apply.Deployment(site.Name, site.Namespace).WithOwnerReferences(owner).
		WithSpec(appsv1apply.DeploymentSpec().WithReplicas(site.Spec.Replicas).
			WithSelector(metav1apply.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(corev1apply.PodTemplateSpec().WithLabels(labels).WithSpec(pod)))
	options := []client.ApplyOption{client.FieldOwner("site-operator"), client.ForceOwnership}
	return errors.Join(o.Apply(ctx, settings, options...), o.Apply(ctx, deployment, options...))
}

// replica is one operator process' worth: its manager runs until stop is called.
type replica struct {
	*operator
	stop func() error
}

func start(config *rest.Config, scheme *runtime.Scheme, name string) (*replica, error) {
	lease, renew, retry := 3*time.Second, 2*time.Second, 300*time.Millisecond
	skip := true // two managers in one process
	options := ctrl.Options{
		Scheme: scheme, LeaderElection: true, LeaderElectionID: "site-operator", LeaderElectionNamespace: "default",
		LeaderElectionReleaseOnCancel: true, LeaseDuration: &lease, RenewDeadline: &renew, RetryPeriod: &retry,
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
	}
	options.Controller.SkipNameValidation = &skip
	manager, err := ctrl.NewManager(config, options)
	if err != nil {
		return nil, err
	}
	made := &operator{Client: manager.GetClient(), recorder: manager.GetEventRecorder("site-operator"), name: name}
	err = ctrl.NewControllerManagedBy(manager).For(&Site{}).Owns(&corev1.ConfigMap{}).Owns(&appsv1.Deployment{}).Complete(made)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	return &replica{made, func() error { cancel(); return <-ended }}, nil
}

func definition() *apiextensionsv1.CustomResourceDefinition {
	object := func(properties map[string]apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", Properties: properties}
	}
	text, number, three := apiextensionsv1.JSONSchemaProps{Type: "string"}, apiextensionsv1.JSONSchemaProps{Type: "integer"}, 3.0
	replicas := apiextensionsv1.JSONSchemaProps{Type: "integer", Format: "int32", Default: &apiextensionsv1.JSON{Raw: []byte("2")}, Maximum: &three}
	condition := object(map[string]apiextensionsv1.JSONSchemaProps{
		"type": text, "status": text, "reason": text, "message": text, "observedGeneration": number,
		"lastTransitionTime": {Type: "string", Format: "date-time"},
	})
	byType := "map"
	conditions := apiextensionsv1.JSONSchemaProps{
		Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &condition},
		XListType: &byType, XListMapKeys: []string{"type"},
	}
	condition.Required = []string{"type"}
	root := object(map[string]apiextensionsv1.JSONSchemaProps{
		"spec":   object(map[string]apiextensionsv1.JSONSchemaProps{"replicas": replicas, "greeting": text}),
		"status": object(map[string]apiextensionsv1.JSONSchemaProps{"observedGeneration": number, "conditions": conditions}),
	})
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "sites.sites.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: groupVersion.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "sites", Singular: "site", Kind: "Site", ListKind: "SiteList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: groupVersion.Version, Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &root},
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			}},
		},
	}
}

func main() {
	ctrl.SetLogger(logr.Discard())
	if err := judge(); err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func judge() error {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(groupVersion, &Site{}, &SiteList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return err
	}
	config := ctrl.GetConfigOrDie()
	config.QPS, config.Burst = 200, 200
	user, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := user.Create(ctx, definition()); err != nil {
		return fmt.Errorf("the definition: %w", err)
	}
	if err := eventually(ctx, func() error { return user.List(ctx, &SiteList{}) }); err != nil {
		return fmt.Errorf("the kind is not served: %w", err)
	}
	first, err := start(config, scheme, "first")
	if err != nil {
		return err
	}
	if err := judgeOperator(ctx, user, first); err != nil {
		return errors.Join(err, first.stop())
	}
	second, err := start(config, scheme, "second")
	if err != nil {
		return errors.Join(err, first.stop())
	}
	return errors.Join(judgeHandOver(ctx, user, first, second), second.stop())
}

func judgeOperator(ctx context.Context, user client.Client, first *replica) error {
	site := &Site{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "default"}, Spec: SiteSpec{Greeting: "hello"}}
	if err := user.Create(ctx, site); err != nil {
		return err
	}
	if site.Spec.Replicas != 2 {
		return fmt.Errorf("the default did not come back: %d", site.Spec.Replicas)
	}
	if err := eventually(ctx, func() error { return isReady(ctx, user, site, "first") }); err != nil {
		return err
	}
	settings := &corev1.ConfigMap{}
	repaired := func(greeting string) func() error {
		return func() error {
			err := user.Get(ctx, client.ObjectKeyFromObject(site), settings)
			if err != nil || settings.Data["greeting"] != greeting {
				return fmt.Errorf("the settings are %v: %w", settings.Data, err)
			}
			return nil
		}
	}
	if err := eventually(ctx, repaired("hello")); err != nil {
		return err
	}
	settings.Data["greeting"], settings.Data["mine"] = "changed by hand", "stays"
	if err := errors.Join(user.Update(ctx, settings), eventually(ctx, repaired("hello"))); err != nil {
		return fmt.Errorf("the operator does not repair: %w", err)
	}
	if settings.Data["mine"] != "stays" {
		return fmt.Errorf("apply took what another owns: %v", settings.Data)
	}
	if err := user.Delete(ctx, settings); err != nil {
		return err
	}
	if err := eventually(ctx, repaired("hello")); err != nil {
		return fmt.Errorf("the operator does not make it again: %w", err)
	}
	return eventually(ctx, func() error {
		found := &corev1.EventList{}
		err := user.List(ctx, found, client.InNamespace("default"), client.MatchingFields{"reason": "Applied"})
		if err != nil || len(found.Items) == 0 || found.Items[0].InvolvedObject.Name != "shop" {
			return fmt.Errorf("%d events: %w", len(found.Items), err)
		}
		return nil
	})
}

func judgeHandOver(ctx context.Context, user client.Client, first, second *replica) error {
	time.Sleep(time.Second)
	if second.seen.Load() != 0 {
		return errors.Join(errors.New("two replicas lead"), first.stop())
	}
	if err := first.stop(); err != nil {
		return fmt.Errorf("the first replica: %w", err)
	}
	site := &Site{}
	key := client.ObjectKey{Namespace: "default", Name: "shop"}
	if err := user.Get(ctx, key, site); err != nil {
		return err
	}
	before := site.deepCopy()
	site.Spec.Replicas = 3
	if err := user.Patch(ctx, site, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return err
	}
	if err := eventually(ctx, func() error { return isReady(ctx, user, site, "second") }); err != nil {
		return err
	}
	too := site.deepCopy()
	too.Spec.Replicas = 4
	if err := user.Update(ctx, too); !apierrors.IsInvalid(err) {
		return fmt.Errorf("4 replicas: %w", err)
	}
	if err := user.Delete(ctx, site, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		return err
	}
	for _, owned := range []client.Object{&Site{}, &corev1.ConfigMap{}, &appsv1.Deployment{}} {
		if err := eventually(ctx, func() error {
			if err := user.Get(ctx, key, owned); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%T is still there: %w", owned, err)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if first.cleaned.Load()+second.cleaned.Load() != 1 {
		return fmt.Errorf("the finalizer ran %d times", first.cleaned.Load()+second.cleaned.Load())
	}
	return nil
}

// isReady tells what is missing until the status is by that replica and of the newest generation, and the Deployment as asked.
func isReady(ctx context.Context, user client.Client, site *Site, by string) error {
	if err := user.Get(ctx, client.ObjectKeyFromObject(site), site); err != nil {
		return err
	}
	ready := meta.FindStatusCondition(site.Status.Conditions, "Ready")
	if ready == nil || site.Status.ObservedGeneration != site.Generation || ready.Message != "by "+by {
		return fmt.Errorf("generation %d, status %+v", site.Generation, site.Status)
	}
	deployment := &appsv1.Deployment{}
	err := user.Get(ctx, client.ObjectKeyFromObject(site), deployment)
	if err != nil || *deployment.Spec.Replicas != site.Spec.Replicas || !metav1.IsControlledBy(deployment, site) {
		return fmt.Errorf("the Deployment has %v replicas: %w", deployment.Spec.Replicas, err)
	}
	return nil
}

// eventually waits until the condition holds; what it last lacked is the error.
func eventually(ctx context.Context, condition func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		last = condition()
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}
