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

# Speed and memory beside the peers, in one run
bench *ARGS:
    python3 benches/run.py {{ARGS}}

# dash's numbers against DuckDB's, on 200,000 sample records
crosscheck:
    python3 benches/crosscheck.py

# Random input for a reader, `json` or `csv`, for a minute; needs `cargo install cargo-fuzz` and a nightly toolchain
fuzz TARGET:
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time=60

# The picture in the README, from sample operations
picture:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release
    site=$(mktemp -d); trap 'rm -rf "$site"' EXIT
    moment=2026-01-26T15:20:00Z dash=target/release/dash
    $dash init --quiet "$site"
    $dash sample --seed 4 --now $moment --to "$site/content/operations/sample.jsonl"
    $dash build --quiet --config "$site/dash.toml" --now $moment
    chromium --headless --no-sandbox --hide-scrollbars --user-data-dir="$site/browser" --virtual-time-budget=4000 \
        --window-size=1280,1150 --screenshot=docs/overview.png "file://$site/output/index.html"
