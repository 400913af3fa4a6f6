# tmms: "make help" lists what there is. "make test" sets up what it needs.
SHELL := /bin/bash
LINT_VERSION := v2.15.0
LINT := .tools/bin/golangci-lint-$(LINT_VERSION)
# On two processors five nights are ten minutes of a processor for each target.
FUZZTIME ?= 1m
FUZZ ?= .

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: ## start everything in one process, with a demo stream
	go run ./cmd/tmms dev --demo

.PHONY: test
test: deps deploy-deps unit test-race ## all checks: lint, unit, race, end to end with real clients and a browser
	@$(BESIDE) lint e2e-cluster e2e-node

.PHONY: quick
quick: ## build, vet and the short unit tests (under 2 minutes)
	go build ./...
	go vet ./...
	go vet -tags=next ./cluster/... ./media/... ./cmd/tmms
	go test -short $$(go list ./... | grep -vE "/e2e|/deploy/watch")

# Many packages wait for clocks and peers, so three go beside each other on two processors.
.PHONY: unit
unit: ## unit tests
	.ci/again -p=3 -shuffle=on $$(go list ./... | grep -v /e2e)
	go test -tags=next ./cluster/state
	go test -tags=next -run='^Test(NextRelease|Version1)$$' ./media/relaywire

.PHONY: test-race
test-race: ## unit tests of what has goroutines or locks, under the race detector
	.ci/again -p=3 -race -vet=off -short -shuffle=on $$(.ci/concurrent)

# The end-to-end tests wait most of the time, so two runs go beside each other:
# those that start the cluster of docs/quickstart-cluster.md on its fixed ports,
# one after the other, and all others. The linter takes what they leave.
BESIDE := $(MAKE) -j3 --output-sync=target --no-print-directory
CLUSTER := ^(TestQuickstart|TestPublishAnywhere|TestClusterFaults|TestLowLatencyIsTheSameOnEveryEdge|TestRollingUpgrade|TestLocationFreeHLS|TestConfigUnderLoad)$$

.PHONY: e2e
e2e: deps ## the real binary with ffmpeg, rtmpdump, GStreamer and Chromium
	@$(BESIDE) e2e-cluster e2e-node

.PHONY: e2e-cluster e2e-node
e2e-cluster:
	.ci/again -count=1 -timeout=15m -run='$(CLUSTER)' ./cmd/tmms/e2e/...
e2e-node:
	.ci/again -count=1 -timeout=15m -parallel=3 -skip='$(CLUSTER)' ./cmd/tmms/e2e/...

.PHONY: readme
readme: ## run the README's first command and see its stream play
	go test -count=1 -timeout 5m -run '^TestReadme' ./cmd/tmms/e2e/...

# "make faults" kills so many leaders, does the other cases a tenth as often, and then
# draws faults from SEED for a time.
KILLS ?= 100
FAULTS ?= 0s
SEED ?= 1

.PHONY: faults
faults: deps ## break nodes, networks, disks and clocks of a cluster in network namespaces, as root, over an hour; KILLS=1: minutes; FAULTS=30m SEED=n: and at random
	@mkdir -p .cache
	$(BENCH) faults -kills $(KILLS) -random $(FAULTS) -seed $(SEED) -report .cache/faults.json

.PHONY: siege
siege: ## attacks between nodes, 15 s each: what they cost, and what becomes of a healthy subscription
	go test ./cluster/relay -count=1 -timeout 20m -v -run '^Test(HostileSubscriber|HostileOwner|DatagramFlood)$$' -siege 15s
	go test ./cluster/fabric -count=1 -run '^$$' -bench Stranger -benchtime 20000x

SEEDS ?= 10000
.PHONY: sim
sim: ## SEEDS clusters in virtual time under faults, two minutes a thousand; SEED=N shows one, FIRST=N begins there
	go test ./cluster/sim -count=1 -timeout 4h -v -run '^TestSeeds$$' -seeds $(SEEDS) $(if $(FIRST),-first $(FIRST)) $(if $(SEED),-seed $(SEED))

.PHONY: deaths
deaths: ## 20 owners and 20 leaders are killed: how long their streams are without an owner, against the limits
	go test ./cluster/replica -count=1 -timeout 20m -v -run '^TestOwnerDies$$' -deaths=20

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME, a table, findings in .cache/fuzz; FUZZ=PATTERN chooses
	@.ci/fuzz $(FUZZTIME) $(FUZZ)

.PHONY: lint
lint: $(LINT) ## golangci-lint
	nice -n 19 $(LINT) run ./...

# The quick tests of deploy/ are part of "make unit".
.PHONY: deploy-test-quick
deploy-test-quick: deploy-deps ## what deploy/ plans and renders, under a minute
	go test -count=1 ./deploy/terraform

.PHONY: deploy-test
deploy-test: ## all of deploy/: tflint, schemas, the release on a host with systemd, and clusters that are really made (AWS emulated, namespaces), as root
	@.ci/deploy-deps full
	cd deploy/check && go test -count=1 ./...
	go test -count=1 -timeout=60m -v ./deploy/terraform ./deploy/host -args -full

.PHONY: deploy-deps
deploy-deps: ## install what the tests of deploy/ need
	@.ci/deploy-deps

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt ./...

BENCH := go run ./cmd/tmms-bench
RESULTS ?= bench/results

# The benches; each goes on where one before has failed.
define BENCHES
compare -pairs 9 -results $(RESULTS)
mtu 1500 compare -pairs 3 -flush 100 -viewers 1000 -results $(RESULTS)/mtu-1500
peers -results $(RESULTS)
hls -results $(RESULTS)
latency -results $(RESULTS)
scale -results $(RESULTS)
scale -proto rtmp -results $(RESULTS)
streams -results $(RESULTS)
ingest -results $(RESULTS)
glass -results $(RESULTS)
glass -player llhls -results $(RESULTS)
glass -player hls -results $(RESULTS)
tls
slow
crowd
accepts
attack
relay -results $(RESULTS)
path -results $(RESULTS)
path -fairness -duration 25s -results $(RESULTS)
endef
export BENCHES

.PHONY: bench
bench: bench-deps ## all of docs/bench.md, about an hour: fan-out, peers, HLS, capacity, many streams, ingest, glass to glass, slow viewers, attacks, the relay, long paths
	@failed=0; while read -r line; do \
	  echo "tmms-bench $$line"; $(BENCH) $$line || { echo "failed: tmms-bench $$line"; failed=1; }; \
	done <<<"$$BENCHES"; exit $$failed

# What makes a release: a bill of materials, a Debian package. The bill has the hash of
# the program that made it, so that has to be the same bytes everywhere too.
RELEASE_TOOLS := .tools/bin/cyclonedx-gomod .tools/bin/nfpm

.PHONY: release
release: $(RELEASE_TOOLS) ## static binaries, Debian packages, bills of materials and checksums in dist/, the same bytes for the same commit
	@.ci/release

.PHONY: release-test
release-test: ## build the release of the last commit twice, in folders, caches and times of their own: the same bytes, with what belongs into them
	go test -count=1 -timeout=60m -v ./deploy/host -run '^TestRelease$$' -args -full

.tools/bin/cyclonedx-gomod:
	CGO_ENABLED=0 GOBIN=$(CURDIR)/.tools/bin go install -trimpath github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
.tools/bin/nfpm:
	CGO_ENABLED=0 GOBIN=$(CURDIR)/.tools/bin go install -trimpath github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.41.3

.PHONY: bench-deps
bench-deps: ## install what the benches need beyond the tests
	@.ci/bench-deps

.PHONY: deps
deps: ## install what the tests need
	@.ci/deps

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION)"
	@GOBIN=$(CURDIR)/.tools/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv .tools/bin/golangci-lint $@
