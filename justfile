# The commands of everyday work; `just` lists them.

_default:
    @just --list

# What CI runs: fmt, clippy with warnings denied, docs, tests
check:
    .ci/run

# All tests; installs the browser they need
test *ARGS:
    tests/run {{ARGS}}

build:
    cargo build --release

# The demo: sample operations, live, on http://127.0.0.1:5000
serve *ARGS:
    cargo run --release -- serve --sample {{ARGS}}

# Speed and memory beside the peers, in one run; then the page in Chromium
bench *ARGS:
    python3 benches/run.py {{ARGS}}
    node benches/page.mjs
    python3 benches/archive.py

# The daemon beside nginx, and how soon sockets are told
bench-serve *ARGS:
    python3 benches/serve.py {{ARGS}}

# The daemon under everything at once, an hour of it: `just soak --minutes 60`
soak *ARGS:
    python3 benches/soak.py {{ARGS}}

# The API, fuzzed by its own document
fuzz-api *ARGS:
    tests/fuzz-api {{ARGS}}

# dash's numbers against DuckDB's, on 200,000 sample records
crosscheck:
    python3 benches/crosscheck.py

# Random input for a reader, `json` or `csv`, for a minute; needs `cargo install cargo-fuzz` and a nightly toolchain
fuzz TARGET:
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time=60

# The pictures in the README, from sample operations
screenshots:
    cargo build --release
    node docs/screenshots.mjs
