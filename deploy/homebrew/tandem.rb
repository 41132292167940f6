# The formula for Homebrew on Linux. `tools/release.sh formula` fills in the version, the address and the checksums of a release.
class Tandem < Formula
  desc "Server that classifies texts by a fast and a deep model"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  # No archive is built for macOS.
  depends_on :linux

  on_linux do
    on_intel do
      url "@HOMEPAGE@/releases/download/v@VERSION@/tandem-@VERSION@-x86_64.tar.gz"
      sha256 "@SHA256_X86_64@"
    end
    on_arm do
      url "@HOMEPAGE@/releases/download/v@VERSION@/tandem-@VERSION@-aarch64.tar.gz"
      sha256 "@SHA256_AARCH64@"
    end
  end

  def install
    # The program looks for ONNX Runtime and the models beside itself, past links.
    libexec.install Dir["*"]
    bin.install_symlink libexec/"tandem"
  end

  service do
    run [opt_bin/"tandem", "serve"]
    keep_alive crashed: true
    log_path var/"log/tandem.log"
    error_log_path var/"log/tandem.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/tandem --version")
    assert_match "positive", shell_output("#{bin}/tandem predict --route fast 정말 재미있게 봤어요")
  end
end
