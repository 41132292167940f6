#!/bin/sh
# Compiles everything by the oldest Rust that Cargo.toml promises (rust-version): `make msrv`. Wants rustup, which fetches it.
set -eu

cd "$(dirname -- "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || { echo "$0: Cargo.toml has no rust-version" >&2; exit 1; }
command -v rustup >/dev/null || { echo "$0: rustup is not here, which fetches Rust $version: https://rustup.rs" >&2; exit 1; }
rustup toolchain install "$version" --profile minimal
cargo "+$version" check --locked --all-targets --features object-store,otlp,parquet
