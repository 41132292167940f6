# The server, ONNX Runtime and the models, without a shell script around them. `docker build -t tandem .`
# Each step is one that runs outside containers too: tools/dist.sh makes the folder that the image holds.

FROM rust:1-slim-bookworm AS build
# pip fetches ONNX Runtime's pinned wheel, whose checksum the build verifies. Debian's own patches need no pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The caches outlive a change of the sources; dist/ is outside of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    tools/dist.sh \
    && mv dist/tandem-* /opt/tandem

FROM debian:bookworm-slim
COPY --from=build /opt/tandem /opt/tandem
WORKDIR /opt/tandem
# A container is reached at its own addresses, which are not loopback: whoever publishes its ports decides who gets there.
# With TANDEM_TLS_CERT and TANDEM_TLS_KEY it speaks TLS instead. The pause gives balancers time to see that it goes.
ENV PATH=/opt/tandem:$PATH \
    TANDEM_GRPC_ADDR=0.0.0.0:50051 \
    TANDEM_HTTP_ADDR=0.0.0.0:5000 \
    TANDEM_ALLOW_PLAINTEXT=true \
    TANDEM_MODELS=/opt/tandem/models \
    TANDEM_DRAIN_PAUSE=5s \
    ORT_DISABLE_TELEMETRY=1
# Nobody in particular, as a number, so that Kubernetes can tell that it is not root. Nothing is written.
USER 65532:65532
EXPOSE 50051 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/opt/tandem/tandem", "healthcheck"]
ENTRYPOINT ["/opt/tandem/tandem"]
CMD ["serve"]
