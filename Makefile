# Rushes. Two commands do everything on a fresh Debian 12 or 13 with Go and a C compiler:
# make demo and make test. Both set the machine up first (.ci/setup).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# Which packages need libav is written down once, in the import table.
table   := cmd/rushes/testdata/imports.txt
version  = $$(git describe --always --dirty 2>/dev/null || echo unknown)

# Every go command runs behind this line. It is a shell line and not a make variable's value,
# because before the set-up there is nothing to find yet.
go_env = source .ci/env

# The race detector costs most where Go itself touches every pixel. RACE= and RACE_LIBAV= switch it
# off for the packages without libav and for those with it.
RACE       ?= -race
RACE_LIBAV ?= -race
TESTFLAGS  ?= -timeout 20m
FUZZTIME   ?= 30s
BENCH      ?= .
SOAK       ?= .

# Sets two shell arrays: libav holds the packages that may reach libav, pure the others.
define split_packages
all=$$(go list ./...)
mapfile -t libav < <(grep -xFf <(awk '$$2 == "libav" {print "rushes/" $$1}' $(table)) <<<"$$all" || true)
mapfile -t pure < <(grep -vxFf <(awk '$$2 == "libav" {print "rushes/" $$1}' $(table)) <<<"$$all" || true)
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what building and testing need: system packages (as root), FFmpeg 7.1 into the cache
	@.ci/setup

.PHONY: setup-build
setup-build:
	@.ci/setup build

.PHONY: build
build: setup-build ## build bin/rushes
	@$(go_env)
	mkdir -p bin
	go build -buildvcs=false -ldflags "-X main.version=$(version)" -o bin/rushes ./cmd/rushes

.PHONY: demo
demo: build ## make sample captures, process them, show the assets
	@bin/rushes demo

.PHONY: test
test: setup ## run all tests, with the race detector, and build the packages without libav without cgo
	@$(go_env)
	$(split_packages)
	status=0
	if [ $${#pure[@]} -gt 0 ]; then
	  CGO_ENABLED=0 go build "$${pure[@]}" || status=1
	  CGO_ENABLED=0 go vet "$${pure[@]}" || status=1
	  go test $(RACE) $(TESTFLAGS) "$${pure[@]}" || status=1
	fi
	if [ $${#libav[@]} -gt 0 ]; then
	  go test $(RACE_LIBAV) $(TESTFLAGS) "$${libav[@]}" || status=1
	fi
	exit $$status

.PHONY: lint
lint: setup-build ## gofmt, go vet, go mod tidy -diff, and golangci-lint where it is installed
	@$(go_env)
	status=0
	unformatted=$$(gofmt -l .)
	if [ -n "$$unformatted" ]; then printf 'gofmt: not formatted:\n%s\n' "$$unformatted"; status=1; fi
	go vet ./... || status=1
	go mod tidy -diff || { echo "go mod tidy: go.mod or go.sum is not tidy, see the difference above"; status=1; }
	if command -v golangci-lint >/dev/null; then golangci-lint run ./... || status=1; fi
	exit $$status

.PHONY: bench
bench: setup ## run the benchmarks and print their ratios (BENCH=name for some)
	@$(go_env)
	RUSHES_BENCH=1 go test -p 1 -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 2h ./...

.PHONY: fuzz
fuzz: setup ## run each fuzz test for FUZZTIME (30s)
	@$(go_env)
	status=0
	while IFS=: read -r file func; do
	  echo "== $$func in $$(dirname "$$file")"
	  go test -run '^$$' -fuzz "^$$func\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" || status=1
	done < <(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|^\./||; s|:func |:|' | sort)
	exit $$status

.PHONY: soak
soak: setup ## run the tests in their long form: RUSHES_SOAK=1 raises their numbers (SOAK=name for some)
	@$(go_env)
	RUSHES_SOAK=1 go test -count 1 -run '$(SOAK)' -timeout 0 ./...

.PHONY: env
env: ## print the line that a shell or an editor needs to build with cgo: eval "$(make -s env)"
	@path=$$(transcode/internal/av/ffmpeg.sh --path)
	if [ -n "$$path" ]; then
	  printf 'export PKG_CONFIG_PATH=%q\n' "$$path"
	else
	  echo "# the system's own FFmpeg 7.x is used; nothing to set"
	fi

.PHONY: clean
clean: ## remove bin and the demo's output; the FFmpeg build stays in the cache
	@rm -rf bin demo
