"""The contents and dependencies of the .rpms, according to Debian's rpm."""

import tempfile

from report import expect

from . import tools

# The mode and path of every file except the man pages.
FILES = {
    "-rw-r--r-- /etc/ispmon/agent.toml",
    "-rwxr-xr-x /usr/bin/ispmon-agent",
    "-rw-r--r-- /usr/lib/systemd/catalog/ispmon-agent.catalog",
    "-rw-r--r-- /usr/lib/systemd/system/ispmon-agent.service",
    "-rw-r--r-- /usr/lib/sysusers.d/ispmon-agent.conf",
    "-rw-r--r-- /usr/share/bash-completion/completions/ispmon-agent",
    "-rw-r--r-- /usr/share/doc/ispmon-agent/CHANGELOG.md",
    "-rw-r--r-- /usr/share/fish/vendor_completions.d/ispmon-agent.fish",
    "-rw-r--r-- /usr/share/licenses/ispmon-agent/LICENSE",
    "-rw-r--r-- /usr/share/zsh/site-functions/_ispmon-agent",
}
# The time at which rpm runs each script.
SCRIPTS = {"pre": "preinstall", "post": "postinstall", "preun": "preuninstall", "postun": "postuninstall"}


def check(rows, root, dist):
    """Prints the rows."""
    for architecture in ("x86_64", "aarch64", "armv7hl"):
        name = f"ispmon-agent-*.{architecture}.rpm"
        rows.row(f"rpm {architecture}: files, scripts and dependencies", contents, root, dist, name, architecture)


def query(package, *arguments):
    return tools.run("rpm", "--query", "--package", package, *arguments, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})


def contents(root, dist, name, architecture):
    tools.need("rpm")
    package = tools.only(dist, name)
    tools.run("rpm", "--checksig", "--nosignature", package)
    found = query(package, "--queryformat", "%{NAME} %{ARCH} %{LICENSE} %{OS}")
    expect(found == f"ispmon-agent {architecture} MIT linux", f"the header is: {found}")
    lines = query(package, "--queryformat", "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]").splitlines()
    expect(all(line.split()[1] == "root:root" for line in lines), "a file does not belong to root")
    files = {" ".join((line.split()[0], line.split()[2])) for line in lines if "/man/" not in line}
    tools.expect_same(package.name, files, FILES)
    expect(query(package, "--configfiles") == "/etc/ispmon/agent.toml\n", "the list of configuration files differs")
    flags = query(package, "--queryformat", "[%{FILEFLAGS:fflags} %{FILENAMES}\n]")
    expect("cn /etc/ispmon/agent.toml" in flags, "an upgrade would replace the configuration")
    scripts = query(package, "--scripts")
    for script, when in SCRIPTS.items():
        text = (root / "packaging/rpm" / script).read_text().strip()
        # rpm runs a script that names no interpreter by /bin/sh.
        shown = scripts.replace(" (using /bin/sh):", ":")
        expect(f"{when} scriptlet:\n{text}" in shown, f"the script {script} differs, or is not there")
    wanted = {line for line in query(package, "--requires").splitlines() if not line.startswith("rpmlib(")}
    # A package with configuration files asks for its own, as one made by rpmbuild does.
    wanted = {line for line in wanted if not line.startswith("config(ispmon-agent) = ")}
    tools.expect_same("its dependencies", wanted, {"/bin/sh", "(systemd or shadow-utils)", "ca-certificates"})
    with tempfile.TemporaryDirectory() as folder:
        tools.run("rpm", "--root", folder, "--initdb")
        tools.run("rpm", "--root", folder, "--install", "--nodeps", "--noscripts", "--ignorearch", package)
        verified = tools.run("rpm", "--root", folder, "--verify", "--nodeps", "--noscripts", "ispmon-agent", check=False)
        expect(verified.returncode == 0 and not verified.stdout, f"the installed files differ from the package: {verified.stdout}")
    return f"{len(lines)} files, {package.stat().st_size / 1e6:.2f} MB; needs {', '.join(sorted(wanted))}"
