# The server, ONNX Runtime and the models: `docker build -t tandem .`, and without the models: `--target slim`.
# Each step is one that runs outside containers too: tools/dist.sh makes the folder that the image holds, tools/image-root.sh
# finds the system's libraries. docs/container.md has the sizes and the checks; docker-bake.hcl builds both for two architectures.

# For a pinned build add the digest: rust:1.95-slim-bookworm@sha256:...
ARG RUST_IMAGE=rust:1.95-slim-bookworm

FROM ${RUST_IMAGE} AS dependencies
ARG TARGETARCH
# pip fetches pinned wheels, whose checksums are verified. Debian's own patches need no pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# All that the sources are built with, in a layer that their changes leave alone: the crates, around a program of nothing, ONNX
# Runtime and the tool that compiles the contract.
COPY Cargo.toml Cargo.lock ./
COPY build/onnxruntime.rs build/wheel.rs build/onnxruntime-requirements.txt build/
COPY tools/test-tools.sh tools/
COPY tools/requirements/buf.txt tools/requirements/
RUN --mount=type=cache,id=tandem-cargo-${TARGETARCH},target=/usr/local/cargo/registry,sharing=locked \
    mkdir src \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs \
    && printf '%s\n' '#[path = "build/onnxruntime.rs"] mod onnxruntime;' '#[path = "build/wheel.rs"] mod wheel;' \
        'fn main() { onnxruntime::provide().expect("ONNX Runtime") }' >build.rs \
    && cargo build --release --locked --features object-store,otlp,parquet \
    && cargo clean --release --locked --package tandem-classify \
    && rm -r src build.rs \
    && tools/test-tools.sh buf

FROM dependencies AS build
ARG TARGETARCH
COPY . .
# One crate is left to build. Models go into a layer of their own, and the slim image has the checksums of what it holds.
RUN --mount=type=cache,id=tandem-cargo-${TARGETARCH},target=/usr/local/cargo/registry,sharing=locked \
    tools/dist.sh --into /tmp/dist \
    && mkdir -p /image/opt /models/opt/tandem \
    && mv /tmp/dist/tandem-* /image/opt/tandem \
    && mv /image/opt/tandem/models /image/opt/tandem/SHA256SUMS /models/opt/tandem/ \
    && grep -v ' \./models/' /models/opt/tandem/SHA256SUMS >/image/opt/tandem/SHA256SUMS \
    && tools/image-root.sh /image /image/opt/tandem/tandem /image/opt/tandem/libonnxruntime.so.* \
    && cargo clean --release --locked --package tandem-classify

FROM scratch AS slim
COPY --from=build /image /
WORKDIR /opt/tandem
# A container is reached at its own addresses, which are not loopback: whoever publishes its ports decides who gets there.
# With TANDEM_TLS_CERT and TANDEM_TLS_KEY it speaks TLS instead. The pause gives balancers time to see that it goes.
ENV PATH=/opt/tandem \
    TANDEM_GRPC_ADDR=0.0.0.0:50051 \
    TANDEM_HTTP_ADDR=0.0.0.0:5000 \
    TANDEM_ALLOW_PLAINTEXT=true \
    TANDEM_MODELS=/opt/tandem/models \
    TANDEM_MODEL_CACHE=/var/cache/tandem \
    TANDEM_DRAIN_PAUSE=5s \
    ORT_DISABLE_TELEMETRY=1
# Nobody in particular, as a number, so that Kubernetes can tell that it is not root. Nothing is written.
USER 65532:65532
EXPOSE 50051 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/opt/tandem/tandem", "healthcheck", "--pid", "1"]
ENTRYPOINT ["/opt/tandem/tandem"]
CMD ["serve"]
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tandem" \
    org.opencontainers.image.description="A gRPC server for text classification: a fast and a deep model in tandem behind one API" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

FROM slim
COPY --from=build /models /
