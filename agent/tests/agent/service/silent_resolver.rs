//! A namespace in which every name lookup hangs, because the only name server never answers.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::process::{Agent, Folder, PATIENCE};

/// The name server. Its address is a documentation address (RFC 5737) routed to loopback, which drops
/// packets that are not addressed to this machine.
const NAME_SERVER: &str = "192.0.2.53";

/// The same in `/proc/net/udp`: hexadecimal, in the byte order of the machine, with port 53.
const NAME_SERVER_IN_PROC: &str =
    if cfg!(target_endian = "little") { "350200C0:0035" } else { "C0000235:0035" };

/// Starts `command` in mount and network namespaces of its own. Prints the reason and returns `None` if
/// this machine lacks the rights or tools.
pub(crate) fn spawn(folder: &Folder, command: &mut Command) -> Option<Agent> {
    if let Err(reason) = enter(folder, &Command::new("true")).and_then(try_out) {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: no namespace in which lookups hang can be created: {reason}\n"),
        );
        return None;
    }
    Some(Agent::spawn(&mut enter(folder, command).expect("it worked just now")))
}

/// Waits until the agent has queried the name server, which means that a lookup hangs.
pub(crate) fn wait_for_lookup(agent: Agent) -> Agent {
    const PAUSE: Duration = Duration::from_millis(10);
    let sockets = format!("/proc/{}/net/udp", agent.id());
    let mut left = PATIENCE;
    while !fs::read_to_string(&sockets).is_ok_and(|text| text.contains(NAME_SERVER_IN_PROC)) {
        if left.is_zero() {
            let last = fs::read_to_string(&sockets);
            agent.signal(Signal::TERM);
            panic!(
                "no lookup was seen in {sockets}, only {last:?}; the agent: {:?}",
                agent.wait_for_exit()
            );
        }
        thread::sleep(PAUSE);
        left = left.saturating_sub(PAUSE);
    }
    agent
}

fn enter(folder: &Folder, command: &Command) -> Result<Command, String> {
    let resolv_conf = folder.path().join("resolv.conf");
    fs::write(&resolv_conf, format!("nameserver {NAME_SERVER}\noptions timeout:30 attempts:5\n"))
        .map_err(|error| error.to_string())?;
    if !Path::new("/etc/resolv.conf").exists() {
        return Err("there is no /etc/resolv.conf to mount another one on".to_owned());
    }
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let set_up = format!(
        "mount --bind \"$0\" \"$(readlink -f /etc/resolv.conf)\" && ip link set lo up && \
         ip route add {NAME_SERVER}/32 dev lo && exec \"$@\""
    );
    unshare.args(["--mount", "--net", "sh", "-c", &set_up]).arg(resolv_conf);
    unshare.arg(command.get_program()).args(command.get_args());
    // Only PATH of this process's environment, for the tools: with a proxy the agent would look up the proxy
    // instead. The command's own variables set the state folder, which must not be the machine's.
    unshare.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
    unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshare.current_dir(folder.path()).stdin(Stdio::null());
    unshare.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(unshare)
}

fn try_out(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
