//! A world in which every name look-up hangs: the only name server never answers.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::process::{Agent, Folder, PATIENCE};

/// The name server. Its address is for documentation (RFC 5737) and leads to loopback, which throws
/// away what is not addressed to this machine.
const NAME_SERVER: &str = "192.0.2.53";

/// The same in `/proc/net/udp`: hexadecimal, in the byte order of the machine, with port 53.
const NAME_SERVER_IN_PROC: &str =
    if cfg!(target_endian = "little") { "350200C0:0035" } else { "C0000235:0035" };

/// Starts `command` in that world: a mount and a network namespace of its own. Without the means
/// for it, says so and returns `None`.
pub(crate) fn spawn(folder: &Folder, command: &mut Command) -> Option<Agent> {
    if let Err(reason) = enter(folder, &Command::new("true")).and_then(try_out) {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: no namespace in which look-ups hang can be made: {reason}\n"),
        );
        return None;
    }
    Some(Agent::spawn(&mut enter(folder, command).expect("it worked just now")))
}

/// Waits until the agent has asked the name server, which means that a look-up hangs.
pub(crate) fn wait_for_look_up(agent: Agent) -> Agent {
    const PAUSE: Duration = Duration::from_millis(10);
    let sockets = format!("/proc/{}/net/udp", agent.id());
    let mut left = PATIENCE;
    while !fs::read_to_string(&sockets).is_ok_and(|text| text.contains(NAME_SERVER_IN_PROC)) {
        if left.is_zero() {
            let last = fs::read_to_string(&sockets);
            agent.signal(Signal::TERM);
            panic!("no look-up was seen in {sockets}, only {last:?}; the agent: {:?}", agent.end());
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
        return Err("there is no /etc/resolv.conf to put another one over".to_owned());
    }
    let mut world = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        world.args(["--user", "--map-root-user"]);
    }
    let set_up = format!(
        "mount --bind \"$0\" \"$(readlink -f /etc/resolv.conf)\" && ip link set lo up && \
         ip route add {NAME_SERVER}/32 dev lo && exec \"$@\""
    );
    world.args(["--mount", "--net", "sh", "-c", &set_up]).arg(resolv_conf);
    world.arg(command.get_program()).args(command.get_args());
    // Nothing of this process' environment but the way to the tools: a proxy would be looked up instead. The
    // command's own says where its record is, which must not be the machine's.
    world.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
    world.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    world.current_dir(folder.path()).stdin(Stdio::null());
    world.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(world)
}

fn try_out(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
