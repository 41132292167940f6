# Both images for both architectures, with a list of what is in them (SBOM) and of how they were built (provenance):
#
#   docker buildx bake --push                                      REPOSITORY and TAG from the environment
#   docker buildx bake --load --set '*.platform=linux/amd64'       for this machine only
#
# Pin the base image by what its registry says:
#   docker buildx imagetools inspect rust:1.95-slim-bookworm --format '{{.Manifest.Digest}}'
#   RUST_IMAGE=rust:1.95-slim-bookworm@sha256:... docker buildx bake --push

variable "REPOSITORY" {
  default = "tandem"
}

variable "TAG" {
  default = "latest"
}

# As in Cargo.toml, which tools/deploy-check.sh compares.
variable "VERSION" {
  default = "0.2.0"
}

# git rev-parse HEAD
variable "REVISION" {
  default = "unknown"
}

variable "RUST_IMAGE" {
  default = "rust:1.95-slim-bookworm"
}

group "default" {
  targets = ["full", "slim"]
}

target "common" {
  context   = "."
  platforms = ["linux/amd64", "linux/arm64"]
  args = {
    RUST_IMAGE = RUST_IMAGE
    VERSION    = VERSION
    REVISION   = REVISION
  }
  attest = ["type=sbom", "type=provenance,mode=max"]
}

# With the models.
target "full" {
  inherits = ["common"]
  tags     = ["${REPOSITORY}:${TAG}", "${REPOSITORY}:${VERSION}"]
}

# Without: mount a repository of models at /opt/tandem/models.
target "slim" {
  inherits = ["common"]
  target   = "slim"
  tags     = ["${REPOSITORY}:${TAG}-slim", "${REPOSITORY}:${VERSION}-slim"]
}

# With CUDA, for machines with an NVIDIA GPU: docker buildx bake gpu
target "gpu" {
  inherits   = ["common"]
  dockerfile = "deploy/gpu/Dockerfile"
  contexts   = { tandem = "target:full" }
  args       = { TANDEM_IMAGE = "tandem" }
  platforms  = ["linux/amd64"]
  tags       = ["${REPOSITORY}-gpu:${TAG}", "${REPOSITORY}-gpu:${VERSION}"]
}
