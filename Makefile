# gowsgi: build, run and test. `make` alone lists the targets.
#
# Settings, given as NAME=value on the command line:
#   PYTHON    interpreter for examples/.venv (default: the first python3 on PATH
#             with a shared libpython, or else without)
#   MODE      hosted: `make integration` starts every server in that mode
#   APP ARGS  what `make run` serves, and further flags for it
#   FUZZTIME  how long each fuzz target runs (default 10s)
#   PROXYTIME how long the traffic through each proxy lasts (default 60s)

GO       ?= go
CC       ?= cc
APP      ?= flask_app:flask_app
WORKERS  ?= 4
ARGS     ?=
FUZZTIME ?= 10s
PROXYTIME ?= 60s
# Most tests wait for processes rather than for the processor.
TEST     := test -count=1 -parallel 8
VENV     := examples/.venv
# What builds wheels for other machines than this one, and the platforms' names.
TOOLS    := build/tools
PLATFORMS = manylinux2014_x86_64 manylinux2014_aarch64

# What is built under no other name is looked at, too.
VET = $(GO) vet ./... && $(GO) vet -tags floor ./worker && $(GO) vet -tags image,proxies,systemd,wheels ./integration

# The packages where goroutines share memory and no interpreter is needed.
RACE_PKGS = ./config/... ./master/... ./protocol/...
# The packages whose tests take seconds, not minutes: everything but integration.
UNIT_PKGS = $$($(GO) list ./... | grep -v '/integration$$')

export GOWSGI_TEST_VENV ?= $(CURDIR)/$(VENV)

.DEFAULT_GOAL := help
.PHONY: help run build venv test check unit integration race fuzz proxies image-test systemd-test deploy-test leak chaos asan cgocheck stress bench wheel wheels wheel-test chroot-test clean need-go need-cc need-python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build venv ## build, install the examples' packages, serve the Flask example with four workers
	cd examples && exec ../bin/gowsgi -w $(WORKERS) $(ARGS) $(APP)

build: need-go need-cc ## build bin/gowsgi and bin/libgowsgi.so
	$(GO) build -o bin/gowsgi ./cmd/gowsgi
	$(GO) build -buildmode=c-shared -o bin/libgowsgi.so ./cmd/libgowsgi

venv: $(VENV)/.installed ## make examples/.venv with the packages of examples/requirements.txt

test: need-go need-cc venv ## pass all tests: vet, unit, integration, race (a few minutes)
	$(VET)
	$(GO) $(TEST) -timeout 20m ./...
	$(GO) $(TEST) -timeout 10m -race $(RACE_PKGS)

check: need-go need-cc ## vet, gofmt and the unit tests (under a minute)
	$(VET)
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "not gofmt'ed:"; echo "$$files"; exit 1; fi
	$(GO) $(TEST) -timeout 2m -short $(UNIT_PKGS)

integration: need-go need-cc venv ## only the tests that start the real server; RUN=pattern picks some, MODE=hosted
	GOWSGI_TEST_MODE=$(MODE) $(GO) $(TEST) -timeout 20m -v -run '$(or $(RUN),.)' ./integration

race: need-go need-cc venv ## every unit test under the race detector
	$(GO) $(TEST) -timeout 15m -race $(UNIT_PKGS)

fuzz: need-go need-cc ## every fuzz target for FUZZTIME each (10s)
	@found=0; \
	for pkg in $$($(GO) list ./...); do \
		for name in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			found=1; \
			echo "== $$pkg $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done; \
	if [ $$found = 0 ]; then echo "make fuzz: no fuzz target found" >&2; exit 1; fi

proxies: need-go need-cc venv ## nginx and HAProxy in front, with the files of deploy/, under reloads (needs both programs)
	GOWSGI_PROXY_TIME=$(PROXYTIME) $(GO) $(TEST) -tags proxies -timeout 30m -v -run '^TestProxies$$' ./integration

image-test: wheel ## build the image and one on it, and run them (needs root, debootstrap, buildah, podman, crun)
	nice deploy/test/bases images
	$(GO) $(TEST) -tags image -timeout 30m -v -run '^TestImage$$' ./integration

systemd-test: need-go need-cc ## the units of deploy/ under a systemd of its own, in namespaces (needs root, debootstrap)
	GOWSGI_TEST_SYSTEMD=$$(nice deploy/test/bases systemd) $(GO) $(TEST) -tags systemd -timeout 10m -v -run '^TestSystemd$$' ./integration

deploy-test: build venv ## check the files of deploy/ with the tools of those who read them (needs systemd's and PyPI)
	deploy/test/files

leak: need-go need-cc venv ## 100,000 requests must leave memory and reference counts flat
	$(GO) $(TEST) -timeout 10m -v -run '^TestLeak' ./integration

chaos: need-go need-cc venv ## a minute of kills, reloads and upgrades under load; FOR=10m for longer
	GOWSGI_CHAOS=$(or $(FOR),60s) $(GO) $(TEST) -timeout 60m -v -run '^TestChaos$$' ./integration

asan: need-go need-cc venv ## the interpreter bridge under AddressSanitizer, with Python on malloc
	PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 $(GO) $(TEST) -timeout 15m -asan ./worker/...

cgocheck: need-go need-cc venv ## the interpreter bridge with strict pointer checks
	GOEXPERIMENT=cgocheck2 $(GO) $(TEST) -timeout 15m ./worker/...

stress: need-go need-cc venv ## RUN=pattern: these integration tests COUNT times (20)
	$(GO) test -parallel 8 -count=$(or $(COUNT),20) -failfast -timeout 60m -run '$(or $(RUN),.)' ./integration

bench: need-go need-cc ## measure against other servers, 40 minutes; ARGS="-s hello-c32" for less (see bench/)
	@$(MAKE) --no-print-directory need-python
	@$(FIND_PYTHON); bench/run --python "$$python" $(ARGS)

wheel: need-go need-cc venv ## dist/: a wheel for this machine
	$(VENV)/bin/python -m hatchling build -t wheel

wheels: need-go $(TOOLS)/.installed ## dist/: the sdist, and wheels for all platforms (with zig as the C compiler)
	rm -f dist/gowsgi-*
	$(TOOLS)/bin/python -m hatchling build -t sdist
	for p in $(PLATFORMS); do GOWSGI_PLATFORM=$$p $(TOOLS)/bin/python -m hatchling build -t wheel || exit 1; done
	for w in dist/*.whl; do $(TOOLS)/bin/auditwheel show $$w | tr '\n' ' ' | grep -q 'following platform tag: "manylinux_2_17_' || { \
		$(TOOLS)/bin/auditwheel show $$w; exit 1; }; done

wheel-test: wheels ## install from dist/ with every CPython here, serve the Flask and the Django example
	GOWSGI_TEST_DIST=$(CURDIR)/dist $(GO) $(TEST) -tags wheels -timeout 60m -v -run '^TestWheels' ./integration

chroot-test: wheels ## install from dist/ in a fresh Debian, made by debootstrap (needs root); ARGS=--build: build there, too
	python/chroot-test.sh $(ARGS)

clean: ## remove what was built and installed
	rm -rf bin build dist $(VENV)

# A half-made environment must not pass for a whole one, hence the stamp.
$(VENV)/.installed: examples/requirements.txt
	@$(MAKE) --no-print-directory need-python
	rm -rf $(VENV)
	@$(FIND_PYTHON); echo "making $(VENV) with $$python"; "$$python" -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r examples/requirements.txt
	touch $@

$(TOOLS)/.installed: python/requirements.txt
	@$(MAKE) --no-print-directory need-python
	rm -rf $(TOOLS)
	@$(FIND_PYTHON); "$$python" -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r python/requirements.txt
	touch $@

# The first interpreter that can make an environment and has a shared libpython, of
# which the tests of the bridge need one; else the first that can.
FIND_PYTHON = python=; any=; for p in $(or $(PYTHON),python3 /usr/local/bin/python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8); do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || continue; \
	"$$p" -c 'import os, sys, sysconfig; v = sysconfig.get_config_var; sys.exit(not v("Py_ENABLE_SHARED") or not os.path.exists(os.path.join(v("LIBDIR"), v("INSTSONAME"))))' && { python=$$p; break; }; \
	any=$${any:-$$p}; done; python=$${python:-$$any}

need-python:
	@$(FIND_PYTHON); test -n "$$python" || { \
	echo "A Python 3.8 or later with the venv module is needed (Debian and Ubuntu: apt install python3-venv);" >&2; \
	echo "make PYTHON=/path/to/python3 chooses one." >&2; exit 1; }

need-go:
	@command -v $(GO) >/dev/null || { echo "Go is needed (https://go.dev/dl/); make GO=/path/to/go chooses one." >&2; exit 1; }

need-cc:
	@command -v $(firstword $(CC)) >/dev/null || { echo "A C compiler is needed (apt install gcc libc6-dev); make CC=/path/to/cc chooses one." >&2; exit 1; }
