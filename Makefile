# The recipes that people and .ci/run share, by name. Cargo does the work: nothing here is needed to build or to test.

.PHONY: coverage msrv workflows-check docs-check book docs-run deny audit metrics-docs openapi openapi-fuzz openapi-clients bench help build test model-check faults parquet lint docs settings-docs performance-docs proto-check proto-baseline generated-code example-clients deploy-check kserve-client scoreboard fuzz fuzz-targets dist packages packages-check tools ci clean-dist rivals walks dashboards-check deploy-scan container-check systemd-check sbom otlp store store-peers bulk-check

help: ## lists the recipes
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1: \2/p' $(MAKEFILE_LIST)

build: ## builds the server as it ships
	cargo build --release --locked --features object-store,otlp,parquet

test: ## runs every test
	cargo test --locked

model-check: ## tries out the orders in which the scheduler's threads may run
	cargo test --locked --features shuttle --lib model_check

faults: ## injects faults: 1,000 panics of instances, with their figure
	TANDEM_FAULT_PANICS=1000 cargo test --locked --features fault-injection --test faults -- --nocapture

parquet: ## tests the reading and writing of Parquet and Arrow files, which only a build with the feature of that name does
	cargo test --locked --features parquet --lib reader::
	cargo test --locked --features parquet --test process -- predict_parquet

otlp: ## tests that spans come to a collector, which only a build with the feature of that name sends
	cargo test --locked --features otlp --test otlp

store: ## tests that models are fetched, which only a build with the feature object-store does; first `make store-peers` for S3 and Azure
	cargo test --locked --features object-store --lib model::store
	cargo test --locked --features object-store --test store -- --nocapture

store-peers: ## installs what `make store` talks to: a server that speaks S3, and Azure's emulator; minutes
	tools/store-peers.sh fetch

coverage: ## which lines a test runs, and the files with the most that none does; wants cargo-llvm-cov, and an hour
	cargo llvm-cov --locked --features object-store,otlp,parquet --lib --test it --test process --test store --test otlp --ignore-run-fail --failure-mode all --json --summary-only --output-path target/coverage.json
	tools/coverage.py target/coverage.json

lint: ## formatting, clippy, shell scripts: warnings are errors
	cargo fmt --check
	cargo clippy --locked --all-targets --features object-store,otlp,parquet -- --deny warnings
	@if command -v shellcheck >/dev/null; then scripts=$$(git ls-files '*.sh') && shellcheck .ci/run $$scripts; else echo "shellcheck is not here: skipped"; fi

deny: ## holds Cargo.lock against deny.toml: licences, crates that may not be there, sources
	$$(tools/test-tools.sh cargo-deny) --locked check licenses bans sources

audit: ## asks RustSec's database for known holes in what Cargo.lock holds; wants the network
	$$(tools/test-tools.sh cargo-deny) --locked check advisories

msrv: ## compiles everything by the oldest Rust that Cargo.toml promises; wants rustup
	tools/msrv.sh

workflows-check: ## the files of .github/: their schemas, and what zizmor says of the workflows
	tools/workflows-check.sh

docs: ## builds the documentation: broken links are errors
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps --document-private-items

docs-check: ## links, anchors, tables, lengths, recipes and paths in every Markdown file; tests of what checks and runs the texts
	python3 tools/test_docs_check.py
	python3 tools/test_docs_run.py
	tools/docs_check.py

book: ## builds the book of docs/ into target/book and checks its links; compiles mdBook first, once
	tools/book.py

docs-run: build ## runs the commands of all texts and compares what they print, and sees that those exist that nobody runs
	tools/docs_run.py target/release/tandem
	tools/docs_flags.py target/release/tandem

walks: build ## walks five ways of a new user, and tells the seconds of each: docs/walks.md; wants pip, and minutes to build a test
	tools/walks/all.sh target/release/tandem

settings-docs: ## writes the settings into tandem.example.toml, docs/configuration.md and docs/security.md as they are declared
	UPDATE_SNAPSHOTS=1 cargo test --locked --test it -- what_is_declared

metrics-docs: ## writes the table of docs/metrics.md as the metrics are declared
	UPDATE_SNAPSHOTS=1 cargo test --locked --test it -- metrics_docs

proto-check: ## style of the protocol files, and that none breaks a client
	tools/proto-check.sh

proto-baseline: ## takes the protocol files as they are for the new baseline of proto-check: for a release
	tools/proto-check.sh baseline

generated-code: ## makes clients for six languages into gen/, as buf.gen.yaml says; docs/generated-code.md names what that wants
	BUF_CACHE_DIR=$(CURDIR)/target/tools/buf-cache $$(tools/test-tools.sh buf) generate

example-clients: ## runs the clients of examples/clients/ and clients/node against a server, and says which can't run here
	cargo test --locked --test process -- example_clients:: clients::node --nocapture

deploy-check: ## checks the files for containers and Kubernetes, alerts and dashboards, and runs what is built with their settings
	tools/deploy-check.sh

deploy-scan: ## scans the files for Kubernetes with checkov: 96 packages, so not a part of ci
	tools/deploy-scan.sh

bulk-check: build ## runs bulk work on Beam, Spark and Ray, with kills; installs them, 1.3 GB, so not a part of ci
	tools/bulk/check.sh

dashboards-check: build ## runs every alert and panel against a real server and a real Prometheus, which it fetches on Debian
	tools/prometheus.sh fetch >/dev/null
	tools/dashboards/check.sh target/release/tandem

container-check: ## builds the image without an engine, from nothing, and checks what runs in it: docs/container.md; root only, long
	tools/container-check.sh

systemd-check: build ## runs the service of deploy/systemd/ under a systemd of its own: docs/container.md; root only
	tools/systemd-check.sh

sbom: ## writes target/sbom.json, the list of what is in the program and its models (CycloneDX)
	mkdir -p target
	tools/sbom.sh --models models >target/sbom.json

bench: build ## compares the server with its references, into target/bench/: wants a quiet machine
	benches/compare.sh target/bench
	benches/grid.sh target/bench

rivals: build ## measures other servers beside this one, with MODEL and TEXTS: docs/comparison.md; 2 GB, wants a quiet machine and wrk
	tools/rivals/compare.py install
	tools/rivals/compare.py run $${MODEL:-models/sentiment-deep/1} $${TEXTS:-tests/data/reviews.tsv}

openapi: ## writes src/api/http/openapi.json as the routes, the descriptors and the parts beside the doors say
	UPDATE_SNAPSHOTS=1 cargo test --locked --test it -- openapi::the_document

openapi-fuzz: ## has schemathesis ask a server all that the OpenAPI document allows and forbids, FUZZ_SECONDS (600); 0: its short form
	cargo build --locked
	tools/openapi/fuzz.sh target/debug/tandem $${FUZZ_SECONDS:-600}

openapi-clients: ## makes clients of the OpenAPI document for Python and TypeScript, and has each classify texts
	cargo build --locked
	tools/openapi/clients.sh target/debug/tandem

performance-docs: build ## measures what answers cost, and writes docs/performance.md's tables and drawings: wants a quiet machine
	benches/grid.sh target/bench docs

tools: ## installs the pinned tools of tests and checks under target/tools/
	tools/test-tools.sh

kserve-client: build ## compares KServe's own client with our own door: 65 packages, so not a part of ci
	python3 -m venv target/tools/kserve
	target/tools/kserve/bin/pip install --quiet kserve==0.21.0
	target/tools/kserve/bin/python tools/kserve_client.py

scoreboard: build ## attacks and drains of the release build, with their figures; long; fails if a row misses its mark
	@rows=0; tools/scoreboard/rows.py || rows=1; tools/scoreboard/swaps.py && exit $$rows

fuzz: ## arbitrary and mutated input for everything that reads what others wrote, FUZZ_SECONDS each (600)
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} cargo test --release --locked --test it -- fuzz --nocapture

fuzz-targets: ## libFuzzer on each of these readers, FUZZ_SECONDS each (600); wants nightly Rust and cargo-fuzz
	tools/fuzz-targets.sh

# ARCH=aarch64 builds for that processor on another one.
dist: ## makes dist/tandem-<version>-<arch>/, which runs wherever it is moved to, and an archive of it, with SBOM and checksums
	tools/dist.sh --sbom --tar $(if $(ARCH),--arch $(ARCH))

packages: ## makes dist/ with the archive, a Python wheel and a Debian package, with checksums: docs/install.md
	folder=$$(tools/dist.sh --sbom --tar $(if $(ARCH),--arch $(ARCH))) && tools/packages/wheel.sh "$$folder" && tools/packages/deb.sh "$$folder"

packages-check: ## installs each package of dist/ in a clean Debian of its own, asks it and ends it: docs/install.md; root only
	tools/packages/check.sh

clean-dist: ## removes dist/
	rm -rf dist

ci: ## everything that CI checks: runs .ci/run, which is the one list of it
	.ci/run
