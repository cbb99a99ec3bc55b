class IspmonAgent < Formula
  desc "Mails you when your internet connection dies, and proves what happened"
  homepage "https://github.com/ispmon/ispmon"
  url "https://github.com/ispmon/ispmon/releases/download/v0.1.0/ispmon-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "MIT"
  head "https://github.com/ispmon/ispmon.git", branch: "main"

  livecheck do
    url :stable
    strategy :github_latest
  end

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args(path: "agent")
    system bin/"ispmon-agent", "generate", "man", buildpath/"man"
    man1.install Dir["man/*.1"]
    man5.install Dir["man/*.5"]
    generate_completions_from_executable(bin/"ispmon-agent", "generate", "completions")
    # An existing file stays as it is; Homebrew installs the new one beside it as agent.toml.default.
    (etc/"ispmon").install "agent/agent.toml"
  end

  def post_install
    (var/"ispmon").mkpath
    (var/"ispmon").chmod 0755
    key = etc/"ispmon/heartbeat.key"
    key.open(File::WRONLY | File::CREAT | File::EXCL, 0600).close unless key.exist?
  end

  def caveats
    <<~EOS
      Set heartbeat.url in #{etc}/ispmon/agent.toml, key_file = "./heartbeat.key" below it, and put the key there.
      A machine that must report while nobody is logged in: sudo #{HOMEBREW_PREFIX}/bin/brew services start ispmon-agent
      An upgrade takes effect with `brew services restart ispmon-agent`; `brew uninstall` keeps the journal in #{var}/ispmon.
    EOS
  end

  service do
    run [opt_bin/"ispmon-agent", "run"]
    # Restarts after a crash, and after a wrong configuration too: Homebrew has no list of exit codes that
    # prevent it.
    keep_alive true
    process_type :standard
    # On macOS, launchd by default waits 10 s between two starts. Logs go to the unified log there, and to
    # journald on Linux; the log files only receive errors that prevent the agent's start.
    on_linux do
      restart_delay 10
    end
    on_macos do
      log_path var/"log/ispmon-agent.log"
      error_log_path var/"log/ispmon-agent.log"
    end
  end

  test do
    assert_equal "ispmon-agent #{version}", shell_output("#{bin}/ispmon-agent --version").strip
    (testpath/"agent.toml").write "device = \"brew-test\"\n"
    assert_match "brew-test", shell_output("#{bin}/ispmon-agent config --config agent.toml")
    (testpath/"wrong.toml").write "devise = \"brew-test\"\n"
    assert_match "did you mean device?", shell_output("#{bin}/ispmon-agent config --config wrong.toml 2>&1", 78)
  end
end
