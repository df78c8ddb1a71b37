# make            this list
# make build      ./kvasir, static
# make test       every test that needs nothing but Go

SHELL    := /bin/bash
GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   = -s -w -X kvasir/internal/buildinfo.version=$(VERSION)
TARGETS   = linux/amd64 linux/arm64 linux/arm/7 linux/riscv64
FUZZTIME ?= 20s
FUZZTIME_STORE ?= $(FUZZTIME)
QEMU     ?= qemu-aarch64-static
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED = 0

.PHONY: help build build-all test test-arm64 fuzz crash crash-negative crash-long bench mca check vet-all demo-resume clean

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## ./kvasir: one static binary for this machine
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o kvasir .

build-all: ## dist/kvasir-OS-ARCH for every supported board
	@mkdir -p dist
	@for t in $(TARGETS); do \
	  IFS=/ read -r os arch arm <<< "$$t"; \
	  echo "dist/kvasir-$$os-$$arch$${arm:+v$$arm}"; \
	  GOOS=$$os GOARCH=$$arch GOARM=$$arm $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o "dist/kvasir-$$os-$$arch$${arm:+v$$arm}" . || exit 1; \
	done

# Tests of these packages run the go command on the module, whose files go test's cache does not know they read.
UNCACHED = ./internal/e2e ./internal/layering

test: ## all tests (under 10 minutes on 2 cores)
	$(GO) test $(filter-out $(UNCACHED:./%=kvasir/%),$(shell $(GO) list ./...))
	$(GO) test -count=1 $(UNCACHED)

# The packages whose code differs on arm64, or whose results must be the same bits there.
ARM64_PACKAGES = ./quant/... ./engine/ops ./engine/sample ./engine ./kvcache ./gguf

test-arm64: ## the arm64 kernels and golden bits under qemu-user, without and with dotprod and i8mm
	@mkdir -p dist/arm64
	GOARCH=arm64 $(GO) test -c -o dist/arm64/ $(ARM64_PACKAGES)
	@sh testdata/arm64.sh $(QEMU) dist/arm64 $(ARM64_PACKAGES)

fuzz: ## every fuzz target for FUZZTIME each, those of the store's formats for FUZZTIME_STORE
	@sh testdata/fuzz.sh $(FUZZTIME) $(FUZZTIME_STORE)

CRASH_SEED ?= 1

crash: ## 100,000 crash images on simulated storage (about a minute)
	$(GO) test -count=1 -timeout 10m ./kvcache -run '^TestCrashImages$$' -v -crash.images=100000 -crash.seed=$(CRASH_SEED)

crash-negative: ## the crash tests with a rule taken away: they must fail
	@GO="$(GO)" sh testdata/crash-negative.sh

crash-long: ## 1,000,000 crash images, then 2,000 rounds of kill -9 (about 15 minutes); CRASH_SEED=0 draws other scripts
	$(GO) test -count=1 -timeout 60m ./kvcache -run '^TestCrashImages$$' -v -crash.images=900000 -crash.seed=$(CRASH_SEED)
	$(GO) test -count=1 -timeout 60m ./kvcache -run '^TestCrashImages$$' -v -crash.images=100000 -crash.seed=$(CRASH_SEED) -crash.dense
	set -o pipefail; KVASIR_KILL_ROUNDS=2000 $(GO) test -count=1 -timeout 30m ./internal/e2e -run TestKilledAnswerGoesOn -v | grep -a -v -e '^=== RUN' -e '^    --- PASS'

bench: build ## speed of this machine on the built-in model
	./kvasir bench -p 256 -n 64

mca: ## bench/mca.md: what llvm-mca (17 or later) says of the kernels on a Pi 4, a Pi 5 and an N100
	@mkdir -p dist
	@bench/mca.sh dist/mca >dist/mca.md && mv dist/mca.md bench/mca.md

check: vet-all ## vet for every target, staticcheck, layering, formatting
	@test -z "$$(gofmt -l . | grep -v _asm/)" || { gofmt -l .; echo 'not gofmt-ed'; exit 1; }
	$(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 ./internal/layering

vet-all:
	@for t in $(TARGETS); do \
	  IFS=/ read -r os arch arm <<< "$$t"; echo "vet $$t"; \
	  GOOS=$$os GOARCH=$$arch GOARM=$$arm $(GO) vet ./... || exit 1; \
	done

demo-resume: build ## start a conversation, kill -9 it in the middle of an answer, go on
	@sh testdata/demo-resume.sh ./kvasir

clean:
	rm -rf kvasir dist

