//! `start`, `stop` and `restart`: the commands to run, and the message afterwards.

use super::{
    description::{LABEL, NAME, UNIT},
    facts::{Activity, BootStart, InstallFacts, Package, ServiceState},
    layout::Platform,
    plan::CommandLine,
    refusal::{InstallRefusal, ManagerUse},
};

/// What the user wants the service to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start the service.
    Start,
    /// Stop the service.
    Stop,
    /// Stop the service and start it again.
    Restart,
}

impl Order {
    /// The name of the ispmon-agent command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// The commands that carry out an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPlan {
    /// The commands in the order in which they run; none when the service is already in the wanted state.
    pub commands: Vec<CommandLine>,
    /// The message to print when all commands have succeeded.
    pub outcome: String,
}

/// Works out the commands for an order.
///
/// # Errors
/// The service is not installed, another program manages it, it cannot be started, or the caller is not
/// root.
pub fn plan_order(facts: &InstallFacts, order: Order) -> Result<OrderPlan, InstallRefusal> {
    let state = facts.service;
    if let Some(obstacle) = &facts.obstacle {
        return Err(InstallRefusal::NoManager {
            obstacle: obstacle.clone(),
            needed_for: ManagerUse::Start,
        });
    }
    if state.boot == BootStart::Masked && order != Order::Stop {
        return Err(InstallRefusal::Masked);
    }
    let is_installed = state.is_loaded || facts.entry(&facts.layout().service).is_some();
    if !is_installed {
        let is_homebrew = facts.packages.values().any(|package| *package == Package::Homebrew);
        return Err(if is_homebrew {
            InstallRefusal::ManagedByHomebrew { order: order.name() }
        } else {
            InstallRefusal::NotInstalled { program: facts.program.clone() }
        });
    }
    if order == Order::Start && state.activity == Activity::Running {
        return Ok(done(Vec::new(), "ispmon-agent runs already."));
    }
    if order == Order::Stop && state.activity == Activity::Stopped {
        return Ok(done(Vec::new(), "ispmon-agent does not run."));
    }
    if !facts.is_root {
        let command = format!("{} {}", facts.program.display(), order.name());
        return Err(InstallRefusal::NotRoot { command });
    }
    Ok(match facts.platform {
        Platform::Linux => by_systemd(order, state),
        Platform::MacOs => by_launchd(facts, order),
    })
}

fn done(commands: Vec<CommandLine>, outcome: &str) -> OrderPlan {
    OrderPlan { commands, outcome: outcome.to_owned() }
}

fn by_systemd(order: Order, state: ServiceState) -> OrderPlan {
    let verb = match (order, state.activity) {
        // `systemctl start` would wait for the delay before an automatic restart to pass.
        (Order::Start, Activity::Restarting) => Order::Restart.name(),
        _ => order.name(),
    };
    let commands = vec![CommandLine::systemctl(&[verb, UNIT])];
    let boot = |text: String| OrderPlan { commands: commands.clone(), outcome: text };
    match (order, state.boot == BootStart::Enabled) {
        (Order::Start, true) => boot("ispmon-agent runs.".to_owned()),
        (Order::Start, false) => boot(format!(
            "ispmon-agent runs until the next boot. To start it with every boot: sudo systemctl enable {NAME}"
        )),
        (Order::Stop, true) => boot(format!(
            "ispmon-agent is stopped until the next boot. To keep it stopped: sudo systemctl disable {NAME}"
        )),
        (Order::Stop, false) => boot("ispmon-agent is stopped.".to_owned()),
        (Order::Restart, _) => boot("ispmon-agent was restarted and runs.".to_owned()),
    }
}

fn by_launchd(facts: &InstallFacts, order: Order) -> OrderPlan {
    let job = format!("system/{LABEL}");
    let path = facts.layout().service.display().to_string();
    let kick = CommandLine::launchctl(&["kickstart", "-k", &job]);
    let bootstrap = || {
        vec![
            CommandLine::launchctl(&["enable", &job]),
            CommandLine::launchctl(&["bootstrap", "system", &path]),
        ]
    };
    let is_loaded = facts.service.is_loaded;
    match order {
        Order::Stop => done(
            vec![CommandLine::launchctl(&["bootout", &job])],
            "ispmon-agent is stopped until the next boot. To remove it: sudo ispmon-agent uninstall",
        ),
        Order::Start if is_loaded => done(vec![kick], "ispmon-agent runs."),
        Order::Start => done(bootstrap(), "ispmon-agent runs."),
        Order::Restart if is_loaded => done(vec![kick], "ispmon-agent was restarted and runs."),
        Order::Restart => done(bootstrap(), "ispmon-agent runs; it did not before."),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::install::facts::{AccountState, Obstacle};

    fn facts(platform: Platform, service: ServiceState) -> InstallFacts {
        InstallFacts {
            platform,
            is_root: true,
            obstacle: None,
            program: "/usr/local/bin/ispmon-agent".into(),
            program_bytes: 1,
            entries: BTreeMap::new(),
            packages: BTreeMap::new(),
            account: AccountState::Exists { uid: 1, gid: 1, is_service_account: true },
            service,
            systemd: None,
        }
    }

    const RUNNING: ServiceState =
        ServiceState { is_loaded: true, activity: Activity::Running, boot: BootStart::Enabled };
    const RESTARTING: ServiceState = ServiceState { activity: Activity::Restarting, ..RUNNING };
    const STOPPED: ServiceState = ServiceState { activity: Activity::Stopped, ..RUNNING };

    fn carried_out(platform: Platform, service: ServiceState, order: Order) -> String {
        let OrderPlan { commands, outcome } =
            plan_order(&facts(platform, service), order).expect("it is not refused");
        let commands: Vec<_> = commands.iter().map(ToString::to_string).collect();
        format!("{} → {outcome}", commands.join(", "))
    }

    #[test]
    fn systemd_gets_the_matching_command() {
        let carried_out = |service, order| carried_out(Platform::Linux, service, order);
        insta::assert_snapshot!(carried_out(STOPPED, Order::Start), @"systemctl start ispmon-agent.service → ispmon-agent runs.");
        insta::assert_snapshot!(carried_out(RUNNING, Order::Start), @" → ispmon-agent runs already.");
        insta::assert_snapshot!(carried_out(RUNNING, Order::Stop), @"systemctl stop ispmon-agent.service → ispmon-agent is stopped until the next boot. To keep it stopped: sudo systemctl disable ispmon-agent");
        insta::assert_snapshot!(carried_out(STOPPED, Order::Stop), @" → ispmon-agent does not run.");
        insta::assert_snapshot!(carried_out(RUNNING, Order::Restart), @"systemctl restart ispmon-agent.service → ispmon-agent was restarted and runs.");
        insta::assert_snapshot!(carried_out(RESTARTING, Order::Start), @"systemctl restart ispmon-agent.service → ispmon-agent runs.");
        insta::assert_snapshot!(carried_out(RESTARTING, Order::Stop), @"systemctl stop ispmon-agent.service → ispmon-agent is stopped until the next boot. To keep it stopped: sudo systemctl disable ispmon-agent");
        let disabled = ServiceState { boot: BootStart::Disabled, ..STOPPED };
        insta::assert_snapshot!(carried_out(disabled, Order::Start), @"systemctl start ispmon-agent.service → ispmon-agent runs until the next boot. To start it with every boot: sudo systemctl enable ispmon-agent");
    }

    #[test]
    fn launchd_gets_no_load_or_unload() {
        let carried_out = |service, order| carried_out(Platform::MacOs, service, order);
        // `stop` removes the job from launchd, but its file remains.
        let mut unloaded = facts(Platform::MacOs, ServiceState::default());
        let path = unloaded.layout().service;
        unloaded.entries.insert(path, crate::install::facts::PathEntry::Other);
        let commands = plan_order(&unloaded, Order::Start).expect("it is not refused").commands;
        assert_eq!(
            commands.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "launchctl enable system/net.ispmon.agent",
                "launchctl bootstrap system /Library/LaunchDaemons/net.ispmon.agent.plist"
            ]
        );
        insta::assert_snapshot!(carried_out(RESTARTING, Order::Stop), @"launchctl bootout system/net.ispmon.agent → ispmon-agent is stopped until the next boot. To remove it: sudo ispmon-agent uninstall");
        insta::assert_snapshot!(carried_out(RESTARTING, Order::Start), @"launchctl kickstart -k system/net.ispmon.agent → ispmon-agent runs.");
        insta::assert_snapshot!(carried_out(RUNNING, Order::Stop), @"launchctl bootout system/net.ispmon.agent → ispmon-agent is stopped until the next boot. To remove it: sudo ispmon-agent uninstall");
        insta::assert_snapshot!(carried_out(RUNNING, Order::Restart), @"launchctl kickstart -k system/net.ispmon.agent → ispmon-agent was restarted and runs.");
    }

    #[test]
    fn refusals_have_advice() {
        let nothing = || facts(Platform::Linux, ServiceState::default());
        let mut homebrew = nothing();
        homebrew.packages.insert("/x/Cellar/ispmon-agent".into(), Package::Homebrew);
        let masked = ServiceState { boot: BootStart::Masked, ..ServiceState::default() };
        let container = Some(Obstacle::Container);
        for (facts, part) in [
            (nothing(), "To install it: sudo /usr/local/bin/ispmon-agent install"),
            (homebrew, "brew services restart ispmon-agent"),
            (facts(Platform::Linux, masked), "sudo systemctl unmask ispmon-agent"),
            (InstallFacts { obstacle: container, ..nothing() }, "does not run in this container"),
            (
                InstallFacts { is_root: false, ..facts(Platform::Linux, STOPPED) },
                "run it with sudo: /usr/local/bin/ispmon-agent restart",
            ),
        ] {
            let refusal =
                plan_order(&facts, Order::Restart).expect_err("it is refused").to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
    }
}
