# Everything a developer or a new user runs. `make run` and `make test` need only Python 3.11, pip and make.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: properties pip-audit differential-openapi differential-conversions differential-admission differential-http protobuf-clients differential differential-custom setup run test verify scenario fix proto lock bench bench-micro bench-stalls bench-flood robustness powerloss bad-days

.venv/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Compiled here, since it may be that nothing else may write bytecode: a shard's start takes a second more without it.
setup: .venv/.installed
	@$(BIN)/python -m compileall -q kcp kcpfront kcpshard kcpsyncer

run: setup
	$(BIN)/kcp start

verify: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHON=$(BIN)/python scripts/proto --check
	$(BIN)/python scripts/match_tests.py
	$(BIN)/pytest tests -m "not slow"

test: verify

# Sessions with real clients against real processes; the kubectl of $PEERS_DIR or of the PATH is required here.
scenario: setup
	@test -n "$$(PATH="$${PEERS_DIR:+$$PEERS_DIR:$$PEERS_DIR/bin:}$$PATH" command -v kubectl)" || { echo "kubectl is neither on the PATH nor in PEERS_DIR"; exit 1; }
	set -e; for shards in 1 2 4; do KCP_SCENARIO_SHARDS=$$shards $(BIN)/pytest tests/scenario/test_kubectl_session.py tests/scenario/test_python_session.py; done
	$(BIN)/pytest tests/scenario

# Everything in RESULTS.md beside a real kube-apiserver, eighteen minutes: make bench ARGS=--quick|--resume|"--kubeconfig …"
bench: setup
	$(BIN)/python -m benchmarks.suite $(ARGS)

# How long the worst legal requests hold an event loop: make bench-stalls ARGS="--only YAML"
bench-stalls: setup
	$(BIN)/python -m benchmarks.stalls $(ARGS)

# What the flood of one tenant does to the gets of another, beside equal CPU load elsewhere
bench-flood: setup
	$(BIN)/python -m benchmarks.flood $(ARGS)

bench-micro: setup
	$(BIN)/python -m benchmarks.micro $(ARGS)

fix: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: setup
	PYTHON=$(BIN)/python scripts/proto

lock: setup
	$(BIN)/pip-compile --quiet --extra dev --strip-extras --no-emit-index-url --no-emit-find-links --no-header --allow-unsafe --output-file requirements.lock pyproject.toml

# The verbs beside a real kube-apiserver: make differential KUBECONFIG=…/admin.kubeconfig
differential: setup
	$(BIN)/python -m tests.differential.compare $(KUBECONFIG)

# Every built-in kind in protobuf, beside the published Go types. Needs Go and its module proxy.
protobuf-clients: setup
	GOFLAGS=-mod=readonly $(BIN)/python -m tests.clients.protobuf.compare

# The upstream end-to-end suite. PEERS_DIR: its e2e.test, kubectl and kube-controller-manager. CONFORMANCE_DIR: the list of
# specs and its runner. ARGS="--match Watchers --times 1" runs some of them.
.PHONY: conformance
conformance: setup
	$(BIN)/python -m tests.clients.conformance $(ARGS)

# Programs on client-go and controller-runtime at work in logical clusters; their exit codes judge. Need Go and its proxy.
.PHONY: informers operator wildcard
informers operator wildcard: setup
	$(BIN)/python -m tests.clients.go_program $@

# helm with a chart of custom kinds and hooks; built through Go's module proxy unless PEERS_DIR or the PATH have one.
.PHONY: helm
helm: setup
	$(BIN)/python -m tests.clients.helm.session

# The Python client's typed, dynamic and custom-object sides, its watches and its tokens.
.PHONY: python-client
python-client: setup
	$(BIN)/python -m tests.clients.python_client

# Bent requests: no server error, nothing of another logical cluster. ARGS is "SEED EXAMPLES".
.PHONY: fuzz
fuzz: setup
	$(BIN)/python -m tests.clients.fuzz $(ARGS)

# kube-controller-manager, kube-scheduler and KWOK (all from PEERS_DIR) at work in one logical cluster beside another.
.PHONY: controllers
controllers: setup
	$(BIN)/python -m tests.clients.controllers

# Generated custom resources beside a real kube-apiserver; ARGS is "SEED SCHEMAS".
differential-custom: setup
	$(BIN)/python -m tests.differential.custom_resources $(KUBECONFIG) $(ARGS)

# A real kube-apiserver's OpenAPI documents in protobuf, as it and as we encode them
differential-openapi: setup
	$(BIN)/python -m tests.differential.openapi_protobuf $(KUBECONFIG)

# Conversion webhooks beside a real kube-apiserver that may call 127.0.0.1
differential-conversions: setup
	$(BIN)/python -m tests.differential.conversions $(KUBECONFIG)

# Policies and the writes that meet them, beside a real kube-apiserver; ARGS=--record writes the golden file
differential-admission: setup
	$(BIN)/python -m tests.differential.admission $(KUBECONFIG) $(ARGS)

# Generated writes of the built-in kinds; ARGS="--seed 1 --cases 300 --only Pod,Job --show 5"
.PHONY: differential-generated
differential-generated: setup
	$(BIN)/python -m tests.differential.generated_kinds $(KUBECONFIG) $(ARGS)

# Generated pods and workloads under every Pod Security Standard; ARGS is "SEED CASES"
.PHONY: differential-pod-security
differential-pod-security: setup
	$(BIN)/python -m tests.differential.pod_security $(KUBECONFIG) $(ARGS)

# Generated sequences of writes by several managers, beside a real kube-apiserver
differential-fields: setup
	$(BIN)/python -m tests.differential.managed_fields $(KUBECONFIG) $(ARGS)

# Deaths, pauses and power cuts under load, judged by what the clients saw; docs/reliability.md. Twenty minutes each at
# most; another seed or fewer kills: make robustness ARGS="--seed 2 --kills 40". The power cuts need a C compiler.
robustness: setup
	$(BIN)/python -m tests.robustness.run $(ARGS)

# Moves of logical clusters, drains and restarts under load, shards dying at each step of a move; about ten minutes.
# Fewer: make moves ARGS="--phases calm,deaths --steps moves.sealed --deaths 1"
.PHONY: moves moving-clients
moves: setup
	$(BIN)/python -m tests.robustness.moves $(ARGS)

# kubectl get -w and a client-go informer across moves; need Go and its proxy, and kubectl
moving-clients: setup
	$(BIN)/python -m tests.clients.moves

# The property tests with new examples: a thousand each, instead of the same hundred each time
properties: setup
	KCP_PROPERTIES=explore $(BIN)/pytest tests -m "hypothesis and not slow" $(ARGS)

# Workspaces, shared types and moves against a model, long stories; KCP_TENANCY_STORIES and KCP_TENANCY_STEPS say how long
.PHONY: tenancy-model
tenancy-model: setup
	KCP_TENANCY_STORIES=$${KCP_TENANCY_STORIES:-200} KCP_TENANCY_STEPS=$${KCP_TENANCY_STEPS:-40} $(BIN)/pytest tests/model/test_tenancy.py tests/model/test_workspace_tree.py $(ARGS)

powerloss: setup
	$(BIN)/python -m tests.robustness.run --powerloss 10 $(ARGS)
	$(BIN)/python -m tests.robustness.run --powerloss 2 --deaf $(ARGS)

# A full disk, a read-only one, no descriptors, damaged data, a wrong clock; small file systems need the right to mount.
bad-days: setup
	$(BIN)/pytest tests/robustness -m slow $(ARGS)

# The edge of HTTP, a real kube-apiserver beside a running kcp: make differential-http KUBECONFIG=… OURS=.kcp/admin.kubeconfig
differential-http: setup
	$(BIN)/python -m tests.differential.compare_http $(KUBECONFIG) $(OURS)

# An administrator of one logical cluster, and a process in another's role, against two fronts and three shards: every
# verb, spelling and credential; counting, timing, blocking; holes planted in each tier, which it has to find.
.PHONY: attack
attack: setup
	$(BIN)/python -m tests.attack $(ARGS)

# The audit log of the same requests, beside a fresh kube-apiserver that was started with the policy which
# `python -m tests.differential.audit policy` prints: make differential-audit KUBECONFIG=… AUDIT_LOG=…
.PHONY: differential-audit
differential-audit: setup
	$(BIN)/python -m tests.differential.audit $(KUBECONFIG) $(AUDIT_LOG)

# Roles, bindings and questions, generated: make differential-rbac KUBECONFIG=…/admin.kubeconfig (a cluster of its own)
.PHONY: differential-rbac
differential-rbac: setup
	$(BIN)/python -m tests.differential.rbac_matrix $(KUBECONFIG) $(ARGS)

# Nodes: the Node authoriser and NodeRestriction, beside a fresh kube-apiserver that has both on, without controllers
.PHONY: differential-nodes
differential-nodes: setup
	$(BIN)/python -m tests.differential.node_access $(KUBECONFIG) $(ARGS)

# Authorisation webhooks and their matchConditions, beside a kube-apiserver that this starts (PEERS_DIR)
.PHONY: differential-authorization
differential-authorization: setup
	$(BIN)/python -m tests.differential.authorization_webhooks $(ARGS)

# Tokens of OpenID Connect issuers, beside a kube-apiserver that this starts (PEERS_DIR) with the same configuration
.PHONY: differential-authentication
differential-authentication: setup
	$(BIN)/python -m tests.differential.authentication $(ARGS)

# What authentication and authorisation add to a get, over 1 000 logical clusters of 100 bindings each.
.PHONY: bench-authorisation
bench-authorisation: setup
	$(BIN)/python -m benchmarks.authorisation_micro $(ARGS)

# Known vulnerabilities of what requirements.lock pins; needs PyPI's advisories and fails where it cannot ask for them.
pip-audit:
	test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/pip install --quiet --disable-pip-version-check pip-audit; }
	.venv-audit/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements.lock

# The early prototype's demos with the real kubectl on two real clusters: make demo ARGS="EAST.kubeconfig WEST.kubeconfig [--port N]"
.PHONY: demo
demo: setup
	$(BIN)/python -m tests.clients.demo $(ARGS)

# logs, exec, attach, port-forward and cp of the real kubectl into pods that a real physical cluster runs. As long as agents
# do not write the pods upstream: make delegation ARGS=--show-pods
.PHONY: delegation
delegation: setup
	$(BIN)/python -m tests.clients.delegation $(ARGS)

# A Service of one real physical cluster in another
.PHONY: services
services: setup
	$(BIN)/python -m tests.clients.service_discovery $(ARGS)

# A physical cluster dies and its workloads are replaced
.PHONY: failover
failover: setup
	$(BIN)/pytest tests/kcpsyncer -m slow

# Physical clusters paused, killed, cut off, drained, upgraded and returned, two Kubernetes minors, judged by the pods that
# really run in them. PEERS_DIR: etcd, kube-apiserver, …, and VERSION/bin for another version of Kubernetes
.PHONY: chaos
chaos: setup
	$(BIN)/python -m tests.clients.chaos $(ARGS)

# What carrying workloads to 100 physical clusters costs, how long it takes, and how long a failover does
.PHONY: bench-multi-cluster
bench-multi-cluster: setup
	$(BIN)/python -m benchmarks.multi_cluster $(ARGS)
