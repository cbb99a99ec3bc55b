use super::*;

/// A unit with this load state, active state, sub state and result.
fn unit([load, active, sub, result]: [&str; 4], exit_status: u32) -> UnitState {
    UnitState {
        load: load.to_owned(),
        active: active.to_owned(),
        sub: sub.to_owned(),
        result: result.to_owned(),
        exit_status,
        user: "ispmon".to_owned(),
        ..UnitState::default()
    }
}

fn failed(result: &str, exit_status: u32) -> UnitState {
    unit(["loaded", "failed", "failed", result], exit_status)
}

fn shown(unit: &UnitState) -> String {
    unit.diagnosis().map_or_else(
        || "no fault".to_owned(),
        |UnitDiagnosis { finding, advice }| format!("{finding} → {advice}"),
    )
}

#[test]
fn the_output_of_systemctl_is_parsed_by_name() {
    let text = "Result=exit-code\nExecMainStatus=78\nLoadState=loaded\nActiveState=failed\nSubState=failed\n\
                UnitFileState=enabled\nUser=ispmon\nNRestarts=3\nStatusText=Not started: device = \"a\", which is wrong.\n";
    let expected = UnitState {
        unit_file: "enabled".to_owned(),
        status_text: "Not started: device = \"a\", which is wrong.".to_owned(),
        restarts: 3,
        ..failed("exit-code", 78)
    };
    assert_eq!(UnitState::parse(text), Some(expected));
    let short = "LoadState=not-found\nExecMainStatus=\n";
    assert_eq!(UnitState::parse(short).map(|unit| unit.load).as_deref(), Some("not-found"));
    for other in ["", "\n", "LoadState=\n", "System has not been booted with systemd"] {
        assert_eq!(UnitState::parse(other), None, "{other:?}");
    }
}

#[test]
fn a_service_without_a_fault_has_no_diagnosis() {
    for (active, sub) in [
        ("active", "running"),
        ("inactive", "dead"),
        ("activating", "start"),
        ("deactivating", "stop-sigterm"),
        ("reloading", "reload"),
    ] {
        assert_eq!(unit(["loaded", active, sub, "success"], 0).diagnosis(), None, "{active} {sub}");
    }
}

#[test]
fn a_unit_that_cannot_be_started_has_its_sentence() {
    let row = |load: &str, unit_file: &str| {
        let unit = unit([load, "inactive", "dead", "success"], 0);
        shown(&UnitState { unit_file: unit_file.to_owned(), ..unit })
    };
    insta::assert_snapshot!(row("masked", "masked"), @"its service is masked, so that systemd does not start it → Unmask and start it: sudo systemctl unmask ispmon-agent && sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("masked", "masked-runtime"), @"its service is masked, so that systemd does not start it → Unmask and start it: sudo systemctl unmask --runtime ispmon-agent && sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("not-found", ""), @"systemd knows no service ispmon-agent.service → Install it, by the package or with: sudo ispmon-agent install (or, in a terminal: ispmon-agent run).");
    insta::assert_snapshot!(row("bad-setting", "enabled"), @"systemd refuses the file of its service (bad-setting) → Look for the wrong line, also in the files of /etc/systemd/system/ispmon-agent.service.d: systemctl status ispmon-agent. Correct it, then: sudo systemctl daemon-reload && sudo systemctl start ispmon-agent.");
    assert!(row("error", "enabled").starts_with("systemd refuses the file of its service (error)"));
}

#[test]
fn every_exit_status_has_its_sentence() {
    let row = |status| shown(&failed("exit-code", status));
    insta::assert_snapshot!(row(78), @"it refused its configuration → See why: systemctl status ispmon-agent. Correct that, then: sudo systemctl start ispmon-agent.");
    let told = |status, text: &str| {
        shown(&UnitState { status_text: text.to_owned(), ..failed("exit-code", status) })
    };
    insta::assert_snapshot!(told(78, "Not started: /etc/ispmon/agent.toml, line 2: there is no setting devise; did you mean device?"), @"it refused its configuration: /etc/ispmon/agent.toml, line 2: there is no setting devise; did you mean device? → Correct that, then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(told(1, "Not started: the journal in /var/lib/ispmon cannot be opened."), @"it could not start: the journal in /var/lib/ispmon cannot be opened → Correct that, then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(told(1, "Internet up since 12:03:07."), @"it ended with exit status 1 → See its log: sudo journalctl -u ispmon-agent -n 20. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row(64), @"it was started with an invalid command line → Correct ExecStart= in the files of /etc/systemd/system/ispmon-agent.service.d, then: sudo systemctl daemon-reload && sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row(203), @"systemd cannot execute its program (exit status 203) → See which: systemctl cat ispmon-agent. Install ispmon-agent again, then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row(217), @"the user ispmon, which it runs as, does not exist (exit status 217) → Create it: sudo systemd-sysusers; or install ispmon-agent again. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row(226), @"systemd cannot set up its sandbox (exit status 226) → See why: systemctl status ispmon-agent; some containers allow no sandbox. Correct that, then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row(238), @"systemd cannot prepare the folder /var/lib/ispmon (exit status 238) → It must be a folder, neither a file nor a link: ls -ld /var/lib/ispmon. Move it away, then: sudo systemctl start ispmon-agent.");
    assert!(row(233).contains("the folder /run/ispmon (exit status 233)"));
    assert!(row(240).contains("the folder /etc/ispmon (exit status 240)"));
    insta::assert_snapshot!(row(243), @"systemd cannot hand over its function key (exit status 243) → /etc/ispmon/heartbeat.key must be a regular file: ls -ld /etc/ispmon/heartbeat.key. Correct that, then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row(231), @"systemd could not start its program (exit status 231) → See why: systemctl status ispmon-agent. Correct that, then: sudo systemctl start ispmon-agent.");
    let other = UnitState { user: "me".to_owned(), ..failed("exit-code", 217) };
    assert!(shown(&other).starts_with("the user me, "));
}

#[test]
fn every_other_result_has_its_sentence() {
    let row = |result, status| shown(&failed(result, status));
    insta::assert_snapshot!(row("signal", 9), @"it crashed or was killed (signal 9) → See its log: sudo journalctl -u ispmon-agent -n 20. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("core-dump", 11), @"it crashed or was killed (signal 11) → See its log: sudo journalctl -u ispmon-agent -n 20. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("oom-kill", 9), @"the system killed it because memory ran out → Find out what uses the memory. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("watchdog", 6), @"it hung, and systemd ended it → See its log: sudo journalctl -u ispmon-agent -n 20. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("timeout", 15), @"it was not ready or did not end in time, and systemd ended it → See its log: sudo journalctl -u ispmon-agent -n 20. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("protocol", 0), @"it ended before it was ready → See its log: sudo journalctl -u ispmon-agent -n 20. Then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("start-limit-hit", 0), @"it was started too often, and systemd has given up → sudo systemctl reset-failed ispmon-agent && sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("resources", 0), @"systemd could not prepare its start → See why: systemctl status ispmon-agent. Correct that, then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row("exec-condition", 0), @"systemd reports the result exec-condition → See why: systemctl status ispmon-agent.");
}

#[test]
fn a_service_that_systemd_restarts_again_and_again_is_named_so() {
    let row = |status, restarts| {
        let unit = unit(["loaded", "activating", "auto-restart", "exit-code"], status);
        shown(&UnitState { restarts, ..unit })
    };
    insta::assert_snapshot!(row(238, 7), @"it fails again and again, and systemd restarts it each time (restarts: 7): systemd cannot prepare the folder /var/lib/ispmon (exit status 238) → It must be a folder, neither a file nor a link: ls -ld /var/lib/ispmon. Move it away, then: sudo systemctl start ispmon-agent.");
    insta::assert_snapshot!(row(217, 1), @"it fails again and again, and systemd restarts it each time (restarts: 1): the user ispmon, which it runs as, does not exist (exit status 217) → Create it: sudo systemd-sysusers; or install ispmon-agent again. Then: sudo systemctl start ispmon-agent.");
    let once = row(1, 0);
    assert!(
        once.starts_with("it failed, and systemd is about to restart it: it ended with "),
        "{once}"
    );
}
