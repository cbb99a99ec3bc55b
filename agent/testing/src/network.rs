//! Test hosts made of network namespaces, and a small network of three of them.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::UdpSocket,
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A test host: a network namespace.
///
/// A child process keeps the namespace alive until its stdin is closed, which happens however this
/// process ends; the kernel then removes the namespace with everything in it.
pub struct TestHost {
    name: &'static str,
    keeper: Child,
    namespace: File,
}

impl TestHost {
    /// Creates a host that has only loopback; `name` appears in error messages.
    pub fn new(name: &'static str) -> io::Result<Self> {
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready && exec cat > /dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        BufReader::new(keeper.stdout.take().expect("the stream is piped")).read_line(&mut ready)?;
        if ready != "ready\n" {
            let mut reason = String::new();
            keeper.stderr.take().expect("the stream is piped").read_to_string(&mut reason)?;
            keeper.wait()?;
            return Err(io::Error::other(reason.trim().to_owned()));
        }
        let namespace = File::open(format!("/proc/{}/ns/net", keeper.id()))?;
        let host = Self { name, keeper, namespace };
        // Duplicate address detection would take seconds each time.
        host.set_sysctl("ipv6/conf/all/accept_dad", "0")?;
        host.set_sysctl("ipv6/conf/default/accept_dad", "0")?;
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// Runs `work` in the host's namespace. Sockets and threads that it creates stay in that namespace.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("the child keeps the namespace alive");
            work()
        };
        // In a new thread, because the namespace is a property of the thread.
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Waits until packets to `to` have the source address `from`: the kernel uses a new IPv6 address
    /// only after a moment.
    fn wait_for_source(&self, to: &str, from: &str) {
        const PAUSE: Duration = Duration::from_millis(5);
        let source = || {
            let socket = UdpSocket::bind("[::]:0")?;
            socket.connect((to, 9))?;
            socket.local_addr()
        };
        let mut left = Duration::from_mins(1);
        while !self.enter(source).is_ok_and(|source| source.ip().to_string() == from) {
            assert!(!left.is_zero(), "{} does not use {from} for {to}", self.name);
            thread::sleep(PAUSE);
            left = left.saturating_sub(PAUSE);
        }
    }

    /// Runs the lines as an `ip -batch` script.
    pub fn ip(&self, lines: &str) -> io::Result<()> {
        self.run_with_input("ip", &["-batch", "-"], lines)
    }

    /// Runs the lines as an `ip -6 -batch` script, for commands without an address.
    pub fn ip_v6(&self, lines: &str) -> io::Result<()> {
        self.run_with_input("ip", &["-6", "-batch", "-"], lines)
    }

    /// Loads an `nft` rule set.
    pub fn nft(&self, rules: &str) -> io::Result<()> {
        self.run_with_input("nft", &["-f", "-"], rules)
    }

    /// The output of `nft list` for an object.
    fn nft_list(&self, object: &str) -> io::Result<String> {
        let output = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.process_id()))
            .args(["nft", "list"])
            .args(object.split(' '))
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// Sets the sysctl `name`, a path under `/proc/sys/net`.
    pub fn set_sysctl(&self, name: &str, value: &str) -> io::Result<()> {
        self.enter(|| fs::write(format!("/proc/sys/net/{name}"), value))
    }

    /// The id of the process that holds the namespace, for `ip link set … netns`.
    pub fn process_id(&self) -> u32 {
        self.keeper.id()
    }

    fn run_with_input(&self, program: &str, arguments: &[&str], input: &str) -> io::Result<()> {
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.process_id()))
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        // If it has exited already, its error output says why.
        let _ = child.stdin.take().expect("the stream is piped").write_all(input.as_bytes());
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{program} on {}: {}\n{input}", self.name, message.trim())))
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A device behind a router, and a server on the internet beyond it:
///
/// ```text
/// device eth0 ── lan router wan ── eth0 internet
/// ```
///
/// | | IPv4 | IPv6 |
/// |---|---|---|
/// | device | 192.168.7.2 | `fd00:7::2` |
/// | router, inside | 192.168.7.1 | `fd00:7::1` and `fe80::1` |
/// | router, outside | 100.66.0.1 | `fd00:66::1` |
/// | internet | 100.66.0.2, 203.0.113.1 | `fd00:66::2`, `fd00:113::1` |
///
/// The device's default routes lead to 192.168.7.1 and `fe80::1`.
pub struct TestNetwork {
    /// The device under test.
    pub device: TestHost,
    /// The router between device and internet.
    pub router: TestHost,
    /// The server on the internet.
    pub internet: TestHost,
}

impl TestNetwork {
    /// Builds the network. Returns `None` and prints a note if this machine lacks the rights or tools.
    pub fn build() -> Option<Self> {
        if let Err(reason) = TestHost::new("trial").and_then(|trial| trial.nft("list ruleset")) {
            let _ = writeln!(io::stderr(), "SKIPPED: no network can be built: {reason}");
            return None;
        }
        Some(Self::connect().expect("namespaces and nft work"))
    }

    /// Takes the router's addresses in the device's network away, so that it answers no neighbour discovery.
    pub fn stop_neighbour_discovery(&self) -> io::Result<()> {
        // The device takes seconds to notice by default: solicit once and give up after 50 ms.
        for family in ["ipv4", "ipv6"] {
            for (setting, value) in
                [("mcast_solicit", "1"), ("ucast_solicit", "0"), ("retrans_time_ms", "50")]
            {
                self.device.set_sysctl(&format!("{family}/neigh/eth0/{setting}"), value)?;
            }
        }
        self.router.ip("addr flush dev lan")?;
        self.device.ip("neigh flush all")
    }

    fn connect() -> io::Result<Self> {
        let device = TestHost::new("device")?;
        let router = TestHost::new("router")?;
        let internet = TestHost::new("internet")?;
        router.set_sysctl("ipv4/ip_forward", "1")?;
        router.set_sysctl("ipv6/conf/all/forwarding", "1")?;
        router.ip(&format!(
            "link add lan type veth peer name eth0 netns {}\n\
             link add wan type veth peer name eth0 netns {}\n\
             addr add 192.168.7.1/24 dev lan\n\
             addr add fd00:7::1/64 dev lan\n\
             addr add fe80::1/64 dev lan\n\
             addr add 100.66.0.1/24 dev wan\n\
             addr add fd00:66::1/64 dev wan\n\
             link set lan up\n\
             link set wan up\n\
             route add 203.0.113.0/24 via 100.66.0.2\n\
             route add fd00:113::/64 via fd00:66::2\n",
            device.process_id(),
            internet.process_id(),
        ))?;
        internet.ip("addr add 100.66.0.2/24 dev eth0\n\
             addr add fd00:66::2/64 dev eth0\n\
             addr add 203.0.113.1/32 dev lo\n\
             addr add fd00:113::1/128 dev lo\n\
             link set eth0 up\n\
             route add default via 100.66.0.1\n\
             route add default via fd00:66::1\n")?;
        device.ip("addr add 192.168.7.2/24 dev eth0\n\
             addr add fd00:7::2/64 dev eth0\n\
             link set eth0 up\n\
             route add default via 192.168.7.1\n\
             route add default via fe80::1 dev eth0\n")?;
        for (host, to, from) in [
            (&device, "fd00:113::1", "fd00:7::2"),
            (&router, "fd00:7::2", "fd00:7::1"),
            (&router, "fd00:113::1", "fd00:66::1"),
            (&internet, "fd00:7::2", "fd00:66::2"),
        ] {
            host.wait_for_source(to, from);
        }
        Ok(Self { device, router, internet })
    }

    /// Applies `verdict`, such as `drop` or `reject`, to packets that the router forwards.
    pub fn filter_forwarding(&self, verdict: &str) {
        self.filter("forward", verdict);
    }

    /// Applies `verdict` to packets addressed to the router, except neighbour discovery.
    pub fn filter_router_input(&self, verdict: &str) {
        self.filter("input", verdict);
    }

    /// Applies `verdict` to packets that the device sends, except neighbour discovery.
    pub fn filter_device_output(&self, verdict: &str) {
        Self::load(&self.device, "output", verdict);
    }

    /// The number of packets that a rule `counter name sent` in the device's output has counted.
    pub fn count_device_packets(&self) -> u64 {
        let shown = self.device.nft_list("counter inet output sent").expect("the counter");
        let mut words = shown.split_whitespace().skip_while(|word| *word != "packets");
        words.nth(1).and_then(|count| count.parse().ok()).expect("a number")
    }

    fn filter(&self, hook: &str, verdict: &str) {
        Self::load(&self.router, hook, verdict);
    }

    fn load(host: &TestHost, hook: &str, verdict: &str) {
        let rules = format!(
            "table inet {hook}\n\
             delete table inet {hook}\n\
             table inet {hook} {{ counter sent {{ }}\n\
             chain {hook} {{\n\
               type filter hook {hook} priority filter\n\
               icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n\
               {verdict}\n\
             }}\n\
             }}\n"
        );
        host.nft(&rules).expect("the rules are loaded");
    }
}
