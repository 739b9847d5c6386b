# Each target is a few lines that a person can also type. `make demo` and `make test` work on a bare Debian or Ubuntu with Rust.

BIN := target/release/bioscan-hpc
DEMO := jobs/demo.toml

# Open MPI refuses to start as root unless told twice; containers and CI machines run as root.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

.PHONY: demo test build cuda setup lint bench compat speed real soak clean

demo: build ## 113 synthetic chunks to the tables of 72 runs and a page of figures
	$(BIN) synth --out results/demo/dataset --images-per-chunk 25 --width 96 --height 72
	$(BIN) metadata split $(DEMO)
	mpirun -n 2 --oversubscribe --bind-to none $(BIN) preprocess $(DEMO)
	$(BIN) sweep submit $(DEMO) --cluster local
	$(BIN) aggregate $(DEMO) --at-least-times-chance 3
	$(BIN) report $(DEMO)

test: lint ## everything the project promises, as far as one machine can show it
	cargo test --locked --no-default-features --lib --config profile.dev.opt-level=0
	cargo test --locked

soak: ## preprocessing killed 200 times and training 50 times at random moments, every time to the same bytes
	BIOSCAN_HPC_KILLS=100 cargo test --locked --test preprocess killed -- --nocapture --test-threads 1
	BIOSCAN_HPC_KILLS=25 cargo test --locked --test train killed -- --nocapture

bench: ## the image path, the sweep and training beside their peers, to results/bench
	@.ci/setup.sh build bench
	cargo bench --locked --bench bench

compat: build ## clients that nobody here wrote, on what we write: bioscan-dataset, pandas, mlcroissant, timm, moto; and our plug-in in libtorch_cuda (3 GB, most of it PyTorch)
	@.ci/setup.sh build compat
	.compat/bin/python tests/compat/check.py $(BIN)
	.compat/bin/python tests/compat/timm_weights.py $(BIN)
	.compat/bin/python tests/compat/push_to_moto.py $(BIN)
	@.ci/cuda.sh target/release
	.compat/bin/python tests/compat/cuda_plugin.py target/release/libbioscan_cuda.so

speed: build ## the metadata commands beside pandas at full size, to stdout (11 GB of tables and what is made of them in results/metadata-speed)
	@.ci/setup.sh build compat
	.compat/bin/python tests/compat/metadata_speed.py $(BIN) results/metadata-speed

REAL := ../shared/data/bioscan-originals
QUALITY := jobs/quality.toml

real: build ## the long run on real photographs: a folder REAL with images/ and labels.csv (file, quality)
	$(BIN) import $(REAL)/images $(REAL)/labels.csv --label quality --out results/quality/dataset
	$(BIN) metadata split $(QUALITY)
	mpirun -n 2 --oversubscribe --bind-to none $(BIN) preprocess $(QUALITY)
	mpirun -n 2 --oversubscribe --bind-to none $(BIN) train $(QUALITY) --index 0 --device cpu
	$(BIN) aggregate $(QUALITY)

build: setup ## the optimised binary, target/release/bioscan-hpc
	cargo build --release --locked

cuda: build ## the plug-in for several GPU ranks (NCCL) and CUDA graphs, target/release/libbioscan_cuda.so
	@.ci/cuda.sh target/release

setup: ## installs what is missing to build
	@.ci/setup.sh build

lint: ## format, clippy on every feature set, shellcheck
	@.ci/setup.sh build test
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings
	cargo clippy --locked --no-default-features --features torch -- -D warnings
	shellcheck .ci/setup.sh .ci/cuda.sh .ci/run

clean:
	rm -rf target results/demo
