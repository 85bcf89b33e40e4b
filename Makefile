# Two commands do everything: make demo, make test.
GO        ?= go
BIN       := $(CURDIR)/bin
LINT      := $(BIN)/golangci-lint
LINT_VERSION := v2.15.0
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS   := -s -w -X main.version=$(VERSION)
PACKAGES  := ./cmd/... ./internal/... ./test/...
# One set of flags for building, vetting and testing, so that the build cache serves them all.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath

.PHONY: build demo test unit contract e2e e2e-all random-kills conformance bench bench-images check lint fuzz deps clean

build: internal/bake/guest/hearth-guest ## the one binary, ./hearth
	$(GO) build -ldflags '$(LDFLAGS)' -o hearth ./cmd/hearth

internal/bake/guest/hearth-guest: $(wildcard cmd/hearth-guest/*.go internal/disk/appliance/inside/*.go) go.mod
	$(GO) build -gcflags=all=-l -ldflags '-s -w' -o $@ ./cmd/hearth-guest # without inlining: a ninth smaller, in each image

deps: ## what Hearth and its tests need from Debian
	./scripts/deps

demo: deps build ## a cloud, a baked guest, a login
	./scripts/demo

test: deps unit e2e ## every test

unit: internal/bake/guest/hearth-guest ## no root, no network, no QEMU: under two minutes
	$(GO) test $(PACKAGES)

e2e: deps build ## real guests, real clients, a real PostgreSQL; as root
	./scripts/e2e

e2e-all: deps build ## with what takes ten minutes more: Debian under four init systems, images without what makes a guest itself
	HEARTH_E2E_ALL=1 ./scripts/e2e

random-kills: build ## 50 kills at random on the fake driver
	HEARTH_E2E=1 HEARTH_BIN=$(CURDIR)/hearth $(GO) test -count=1 -v -run '^TestRandomKills$$' ./test/e2e

conformance: deps build ## Tempest: the whole API that fits one host, on the fake driver
	./scripts/conformance api

bench: deps build ## figures for docs/performance.md
	./scripts/bench

bench-images: deps build ## figures for docs/performance-images.md: the image workshop beside Debian's tools; wants libguestfs-tools for two of them
	./scripts/bench-images

fuzz: ## each fuzz target for FUZZTIME (10s)
	./scripts/fuzz

check: internal/bake/guest/hearth-guest ## format, vet, lint, the walls of the house, generated files, known holes
	@test -z "$$(gofmt -l cmd internal test)" || { gofmt -l cmd internal test; echo "these files want gofmt -w"; exit 1; }
	$(GO) vet $(PACKAGES)
	$(GO) mod verify >/dev/null
	$(GO) test ./test/house/...
	$(MAKE) --no-print-directory lint
	./scripts/generated
	./scripts/vuln

$(LINT):
	GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

lint: $(LINT)
	$(LINT) run $(PACKAGES)

clean:
	rm -rf hearth bin internal/bake/guest/hearth-guest
