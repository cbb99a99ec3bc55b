use super::*;

/// One text line for each check, for tests.
pub(super) fn rows(checks: &[DoctorCheck]) -> String {
    let row = |check: &DoctorCheck| {
        let verdict = format!("{:?}", check.verdict).to_uppercase();
        let action = check.action.as_ref().map(|action| format!(" → {action}"));
        format!("{verdict} {}: {}{}", check.name, check.detail, action.unwrap_or_default())
    };
    checks.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_report_has_a_row_and_at_most_one_action_for_each_check_and_a_summary() {
    let mut report = DoctorReport::default();
    report.extend([
        DoctorCheck::pass("configuration", "/etc/ispmon/agent.toml is valid"),
        DoctorCheck::warn("system log", "journald keeps it in memory only")
            .action("Nothing to do."),
        DoctorCheck::fail("anchor 1.1.1.1:443", "no answer in 2.5 s").action("Open its port."),
        DoctorCheck::skip("login page", "probe.portal is off"),
    ]);
    insta::assert_snapshot!(report.to_string(), @"
    PASS  configuration       /etc/ispmon/agent.toml is valid
    WARN  system log          journald keeps it in memory only
                              → Nothing to do.
    FAIL  anchor 1.1.1.1:443  no answer in 2.5 s
                              → Open its port.
    SKIP  login page          probe.portal is off

    SUMMARY: 1 passed, 1 warning, 1 failed, 1 skipped. Begin with: anchor 1.1.1.1:443.
    ");
    assert!(!report.is_healthy());
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(
        json["checks"][2],
        serde_json::json!({
            "name": "anchor 1.1.1.1:443",
            "result": "fail",
            "detail": "no answer in 2.5 s",
            "action": "Open its port.",
        })
    );
}

#[test]
fn a_warning_does_not_fail_the_command() {
    let mut report = DoctorReport::default();
    report.extend([
        DoctorCheck::warn("time zone", "none is known"),
        DoctorCheck::skip("journal", "none yet"),
    ]);
    assert!(report.is_healthy());
    insta::assert_snapshot!(report.to_string().lines().last().unwrap_or_default(), @"SUMMARY: 0 passed, 1 warning, 0 failed, 1 skipped. Nothing prevents the agent from working.");
}

#[test]
fn quoted_text_cannot_break_its_row() {
    let mut report = DoctorReport::default();
    report.extend([DoctorCheck::fail("journal", "line 3\nis \u{1b}[2J no record")]);
    let text = report.to_string();
    assert!(text.starts_with("FAIL  journal  line 3is [2J no record\n"), "{text:?}");
}
