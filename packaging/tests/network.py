"""The network of a box: its router, and behind it an internet with every server that an agent uses with default settings.

    box (192.168.7.10) ── router (192.168.7.1) ── uplink ── internet

The internet contains the agent's anchors at their real addresses, the pages for captive-portal detection, a name server,
the cloud (`ispmon-lab up` behind TLS at https://function.test) and a package server (http://packages.test and https). Their
certificates come from a certificate authority created for the run, which a box trusts after `Network.join`.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

from box import BoxError, wait

# The addresses of the box, its router, both ends of the uplink, and the servers in the internet.
BOX, ROUTER = "192.168.7.10", "192.168.7.1"
UPLINK, BEYOND = "198.51.100.1", "198.51.100.2"
ANCHORS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
# The agent distrusts a name server that returns documentation addresses, so these are ordinary public ones.
RESOLVER = "52.0.0.53"
NAMES = {
    "function.test": "52.0.0.10",
    "packages.test": "52.0.0.20",
    "connectivitycheck.gstatic.com": "52.0.0.30",
    "cp.cloudflare.com": "52.0.0.31",
}
# The lab's URL for the configuration, and the function key that it accepts.
URL = "https://function.test/api/ping"
KEY = "a-key-for-the-box-of-this-run-0001"
# The address of `ispmon-lab up` in the internet's namespace.
LAB = "127.0.0.1:7071"


def ip(*words, namespace=None):
    """Runs `ip`."""
    done = subprocess.run(
        ["ip", *(["-n", namespace] if namespace else []), *words], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BoxError(f"`ip {' '.join(words)}` failed: {done.stderr.strip()}")


class Network:
    """A router and an internet for one box; they end with the process that created them (see `box.isolate`)."""

    def __init__(self, folder, name="net"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.pages = self.folder / "pages"
        self.pages.mkdir()
        self.home, self.router, self.internet = f"{name}-box", f"{name}-router", f"{name}-internet"
        self.processes = []
        for namespace in (self.home, self.router, self.internet):
            ip("netns", "add", namespace)
            ip("link", "set", "lo", "up", namespace=namespace)
        self._connect(self.home, "host0", BOX, self.router, "lan0", ROUTER)
        self._connect(self.router, "wan0", UPLINK, self.internet, "uplink0", BEYOND)
        for address in (*ANCHORS, RESOLVER, *sorted(set(NAMES.values()))):
            ip("address", "add", f"{address}/32", "dev", "lo", namespace=self.internet)
        ip("route", "add", "default", "via", ROUTER, namespace=self.home)
        ip("route", "add", "default", "via", UPLINK, namespace=self.internet)
        subprocess.run(
            ["ip", "netns", "exec", self.router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], check=True
        )
        self.restore()
        self._make_certificates()
        self._start("servers", sys.executable, pathlib.Path(__file__).with_name("internet.py"), self.folder)
        wait("the servers of the internet", lambda: "ready" in self.log("servers"))

    @staticmethod
    def _connect(left, left_link, left_address, right, right_link, right_address):
        ip("link", "add", left_link, "netns", left, "type", "veth", "peer", "name", right_link, "netns", right)
        for namespace, link, address in ((left, left_link, left_address), (right, right_link, right_address)):
            ip("address", "add", f"{address}/24", "dev", link, namespace=namespace)
            ip("link", "set", link, "up", namespace=namespace)

    def _make_certificates(self):
        names = [f"DNS:{name}" for name in NAMES] + [f"IP:{address}" for address in ANCHORS]
        (self.folder / "leaf.cnf").write_text(
            f"subjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:false\n", encoding="ascii"
        )
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for command in (
            ["req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Test Authority"],
            ["req", *curve, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=leaf"],
            ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "leaf.pem",
             "-days", "30", "-extfile", "leaf.cnf"],
        ):
            done = subprocess.run(["openssl", *command], cwd=self.folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BoxError(f"`openssl {command[0]}` failed: {done.stderr.strip()}")

    def _start(self, name, *command):
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.internet, *command], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, cwd=self.folder,
            )
        self.processes.append(process)
        return process

    def start_lab(self, program, device):
        """Starts the cloud, which expects `device`."""
        (self.folder / "key").write_text(KEY, encoding="ascii")
        self._start(
            "lab", program, "up", "--listen", LAB, "--mail-dir", self.folder / "mails", "--device", device,
            "--key-file", self.folder / "key",
        )
        wait("the lab's function", lambda: "The function is ready" in self.log("lab"))

    def log(self, name):
        """The output of the `servers` or the `lab` so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def heartbeats(self, device):
        """The number of heartbeats of a device that the lab's function has accepted."""
        return self.log("lab").count(f"Heartbeat from {device}")

    def namespace(self):
        """The path of the box's network namespace."""
        return f"/run/netns/{self.home}"

    def join(self, machine):
        """Configures a box, before or after it boots, to use this network's name server and certificate authority."""
        machine.write("/etc/resolv.conf", f"nameserver {RESOLVER}\n")
        machine.write("/usr/local/share/ca-certificates/test-authority.crt", (self.folder / "ca.pem").read_bytes())
        subprocess.run(["chroot", machine.root, "update-ca-certificates"], capture_output=True, check=True)

    def cut(self):
        """Silently drops all traffic beyond the router; the router itself still answers."""
        ip("route", "replace", "blackhole", "default", namespace=self.router)

    def restore(self):
        """Restores the uplink."""
        for kind in ("blackhole", "unicast"):
            subprocess.run(["ip", "-n", self.router, "route", "del", kind, "default"], capture_output=True, check=False)
        ip("route", "add", "default", "via", BEYOND, namespace=self.router)

    def close(self):
        """Ends the servers and removes the network."""
        for process in self.processes:
            process.kill()
            process.wait()
        for namespace in (self.home, self.router, self.internet):
            ip("netns", "delete", namespace)
