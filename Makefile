# Every target is one line that can be copied into a shell. `make` lists them.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
OUT      ?= bin/stripe-enhance
BENCH    ?= .
FUZZTIME ?= 30s
RUNS     ?= 10000
KILLS    ?= 20
SEEDS    ?= 100000
CROWDS   ?= 200
SEED     ?=
SITE     ?= bin/site
WALK     ?= 60
FLEET    ?= 300
DAYS     ?= 365
CUSTOMERS ?= 100000

# Built once and cached; as `go run PACKAGE@VERSION` it is no part of go.mod.
LINTER = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The same flags as in the Dockerfile; a test holds the two together.
BUILD = CGO_ENABLED=0 go build -trimpath -tags timetzdata -ldflags "-s -w -buildid= -X main.build=$(VERSION)"

.DEFAULT_GOAL := help
# Every target is phony: none of them is the name of what it makes.
.PHONY: $(shell awk -F: '/^[a-z-]+:.*\#\# / { print $$1 }' $(firstword $(MAKEFILE_LIST)))

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## One static binary: bin/stripe-enhance (OUT=PATH, VERSION=1.2.3)
	$(BUILD) -o $(OUT) ./cmd/stripe-enhance

demo: ## A hosting company's week, without keys, network or server
	go run ./cmd/stripe-enhance demo

test: ## Vet, then every test
	go vet ./... && go vet -tags mutants ./internal/app ./internal/mutation ./internal/guards && go test -timeout 15m ./... && cd deploy/check && go test -vet=off -timeout 5m ./...

manifests: ## The manifests for Kubernetes and the Helm chart, a module of its own; part of make test
	cd deploy/check && go vet ./... && go test -count=1 -timeout 5m -v ./...

kills: ## Kill the program and its databases everywhere, KILLS=20 times
	KILLS=$(KILLS) go test -count=1 -timeout 12h -v -run . ./internal/crashtest

sim: ## Histories of whole companies, 100,000 of them (SEEDS=N, or SEED=N to see one)
	SEEDS=$(SEEDS) SEED=$(SEED) go test -count 1 -timeout 0 -v -run TestEverySeed ./internal/simtest

crowds: ## Whoever has paid waits for no crowd of others, CROWDS=200 of them in simulated time
	CROWDS=$(CROWDS) go test -count 1 -timeout 0 -v -run TestWhoHasPaidWaitsForNobody ./internal/simtest

.PHONY: year
year: ## A year of a fleet with pruning on, FLEET=300 customers: size and rows a quarter
	FLEET=$(FLEET) DAYS=$(DAYS) go test -count 1 -timeout 0 -v -run TestAYearOfAFleet ./internal/simtest

race: ## Every test under the race detector (needs a C compiler)
	go test -race -timeout 30m ./...

races: ## The same for the tests in which many goroutines share something: minutes
	go test -race -timeout 15m -run 'Many|AtOnce|Together|Contenders|Hangs|MixedFleet|Flow|WhoHasPaid|Claim|AtWork|Served' ./clients/... ./store ./server ./internal/notify ./reconcile/engine

# Not in deploy/check: each linter, vet included, would read all of Kubernetes, for a minute,
# because of a few tests. gofmt looks at them here, and make manifests vets them.
lint: ## gofmt, and all linters of .golangci.yml: complexity, missing cases, copies …
	test -z "$$(gofmt -l . | tee /dev/stderr)" && go run $(LINTER) run

cover: ## Coverage of each function, the total last
	go test -timeout 15m -coverpkg ./... -coverprofile coverage.out ./... && go tool cover -func coverage.out

bench: ## Benchmarks only (BENCH=REGEXP chooses)
	go test -timeout 60m -run '^$$' -bench '$(BENCH)' -benchmem ./...

.PHONY: burst
burst: ## 10,000 webhooks with kill -9 in the middle, on both databases
	BURST=10000 go test -count=1 -timeout 30m -v -run NoAnsweredWebhookIsLost ./cmd/stripe-enhance

pages: ## Each page with CUSTOMERS=100000 on both databases, and a table of its times (PAGES=REGEXP)
	CUSTOMERS=$(CUSTOMERS) go test -count 1 -timeout 2h -run '^$$' -bench 'BenchmarkPage$$' -benchtime 20x ./internal/app

fuzz: ## Every fuzz target, one after another (FUZZTIME=30s each)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | while IFS=: read -r file func; do go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; done

mutants: ## Make known mistakes, one at a time, and see a test find each (MUTANT=REGEXP, MUTANTS=1, JOBS=N)
	go test -tags mutants ./internal/mutation -run TestEveryMistakeIsFound -v -timeout 12h

guards: ## Take each guard away, see a test miss it: hours (PKG=reconcile/planner: minutes; LIMIT=N)
	nice go test -tags mutants ./internal/guards -run TestEveryGuardIsMissed -count 1 -v -timeout 0

walk: ## The files and functions that one sign-up passes; fails at WALK=60 files
	go test -tags mutants -count 1 -timeout 15m -v -run TestASignUpPassesFewFiles ./internal/app -walk $(WALK)

soak: ## The real service for 10,000 runs, looking for what grows (RUNS=10000)
	go test -timeout 2h -count 1 -v -run TestTheServiceDoesNotGrowWithItsRuns ./cmd/stripe-enhance -runs $(RUNS)

image: ## The container image (needs Docker)
	docker build --build-arg VERSION=$(VERSION) -t stripe-enhance .

ci: ## What runs on every change: .ci/run
	.ci/run

ci-deps: ## Install what the tests use and this machine lacks (apt-get)
	.ci/deps

assets: ## Fetch the page's style sheet and the tests' axe anew (npm)
	server/page/update-assets

pictures: ## The README's pictures of the page, from the served demo (needs Chromium)
	SCREENSHOTS=$(CURDIR)/docs/pictures go test -count=1 -timeout 10m -run TestThePicturesOfTheREADME ./internal/demo

site: ## README and docs as a site with search: bin/site (SITE=DIR; needs mkdocs-material)
	PYTHONDONTWRITEBYTECODE=1 mkdocs build --quiet --strict --site-dir "$(abspath $(SITE))"

clean: ## Remove what these targets made
	rm -rf bin dist coverage.out

# Releases. Like the linter, these tools are built once and are no part of go.mod.
RELEASER = github.com/goreleaser/goreleaser/v2@v2.15.1
VULNS    = golang.org/x/vuln/cmd/govulncheck@v1.9.0

snapshot: ## A release of this commit that is not published: dist/ (the first time it builds goreleaser)
	go run $(RELEASER) release --snapshot --clean

release: ## A draft of a release of the tag on this commit, at GitHub (needs GITHUB_TOKEN)
	go run $(RELEASER) release --clean --release-notes .github/release-notes/$$(git describe --exact-match --tags).md

packages: ## The tests of a release: the same bytes twice, packages installed, notices, workflows
	go test -count=1 -timeout 15m -v ./internal/release

litestream: ## Litestream beside the program, by deploy/litestream.yml; part of make test
	go test -count=1 -timeout 10m -v -run TestLitestream ./cmd/stripe-enhance

notices: ## Write THIRD_PARTY_NOTICES.md anew, after a change of go.mod
	NOTICES=write go test -count=1 -run TestTheNoticesHaveTheLicenseOfEachModule ./internal/release

vulns: ## Known weaknesses in the code that the program calls (needs Go's database of them)
	go run $(VULNS) ./...
