use std::{fs, io, path::PathBuf, sync::Arc};

use ispmon_agent::error_chain::ErrorChain;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::rules::{
    MonitorCondition, Notification,
    condition::{Aggregation, AlertCondition, Operator},
    failing::FailingPeriods,
    settings::{RuleMode, RuleSettings},
};

const GROUP: &str = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/home";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a valid time")
}

fn rule(name: &str, memory: RuleMode, subject: Option<&str>) -> Arc<RuleSettings> {
    Arc::new(RuleSettings {
        id: format!("{GROUP}/providers/Microsoft.Insights/scheduledQueryRules/{name}"),
        name: name.to_owned(),
        description: "No heartbeat of an expected device.".to_owned(),
        severity: 1,
        scope: format!("{GROUP}/providers/Microsoft.Insights/components/home-insights"),
        query: "traces | where secret".to_owned(),
        condition: AlertCondition {
            aggregation: Aggregation::Maximum,
            measure: Some("silentMinutes".to_owned()),
            operator: Operator::GreaterThanOrEqual,
            threshold: 5.0,
            dimensions: vec![],
            failing: FailingPeriods::SINGLE,
        },
        frequency: SignedDuration::from_mins(5),
        range: SignedDuration::from_hours(48),
        mode: memory,
        subject: subject.map(str::to_owned),
        receivers: vec!["owner@example.org".to_owned(), "second@example.org".to_owned()],
        suppressed: vec![],
    })
}

fn silent(condition: MonitorCondition, evaluated: &str, value: Option<f64>) -> Notification {
    let subject = "ispmon: ${data.alertContext.condition.allOf[0].dimensions[0].value} \
                   ${data.essentials.monitorCondition}";
    Notification {
        rule: rule(
            "home-device-silent",
            RuleMode::Stateful { healthy_evaluations: 3 },
            Some(subject),
        ),
        condition,
        dimensions: vec![("device".to_owned(), "dl-home".to_owned())],
        value,
        fired: time("2026-03-01T12:15:00Z"),
        evaluated: time(evaluated),
    }
}

fn reminder() -> Notification {
    Notification {
        rule: rule("home-device-silent-reminder", RuleMode::Stateless, None),
        condition: MonitorCondition::Fired,
        dimensions: vec![(
            "devices".to_owned(),
            "attic for 1 h 2 min, Küche für 12 min".to_owned(),
        )],
        value: Some(62.0),
        fired: time("2026-03-01T12:20:00Z"),
        evaluated: time("2026-03-01T12:20:00Z"),
    }
}

/// The message with `\n` line ends, for a snapshot.
fn eml(notification: &Notification) -> String {
    let message = Mail::about(notification).to_eml();
    String::from_utf8(message).expect("plain text").replace("\r\n", "\n")
}

#[test]
fn a_fired_mail() {
    let mail = eml(&silent(MonitorCondition::Fired, "2026-03-01T12:15:00Z", Some(8.5)));
    insta::assert_snapshot!(mail, @r#"
    Message-ID: <d14e425e-daa8-55a4-b679-9d6095cf6b42.fired@azure.example>
    Date: Sun, 1 Mar 2026 12:15:00 +0000
    From: "Microsoft Azure" <azure-noreply@microsoft.com>
    To: <owner@example.org>, <second@example.org>
    Subject: ispmon: dl-home Fired
    MIME-Version: 1.0
    Content-Type: text/plain; charset="utf-8"
    Content-Transfer-Encoding: quoted-printable

    Fired:Sev1 Azure Monitor Alert home-device-silent on home-insights ( micros=
    oft.insights/components ) at 3/1/2026 12:15:00 PM

    Alert name                  home-device-silent
    Severity                    Sev1
    Monitor condition           Fired
    Affected resource           home-insights
    Resource type               microsoft.insights/components
    Resource group              home
    Subscription                11111111-1111-1111-1111-111111111111
    Description                 No heartbeat of an expected device.
    Monitoring service          Log Alerts V2
    Signal type                 Log
    Fired time                  March 1, 2026 12:15 UTC
    Alert ID                    d14e425e-daa8-55a4-b679-9d6095cf6b42
    Alert rule ID               /subscriptions/11111111-1111-1111-1111-11111111=
    1111/resourceGroups/home/providers/Microsoft.Insights/scheduledQueryRules/h=
    ome-device-silent

    Alert condition

    Dimension device            dl-home
    Metric value                8.5
    Metric measure column       silentMinutes
    Time aggregation            Maximum
    Operator                    GreaterThanOrEqual
    Threshold                   5
    Number of violations        1
    Number of examined periods  1
    "#);
}

#[test]
fn a_reminder_mail_with_azures_own_subject() {
    insta::assert_snapshot!(eml(&reminder()), @r#"
    Message-ID: <e43f96a1-db89-5ade-8d23-e54d7acbe1a2.fired@azure.example>
    Date: Sun, 1 Mar 2026 12:20:00 +0000
    From: "Microsoft Azure" <azure-noreply@microsoft.com>
    To: <owner@example.org>, <second@example.org>
    Subject: =?us-ascii?Q?Fired:Sev1_Azure_Monitor_Alert_home-device-silent-re?=
     =?us-ascii?Q?minder_on_home-insights_(_microsoft.insights/components_)_at?=
     =?us-ascii?Q?_3/1/2026_12:20:00_PM?=
    MIME-Version: 1.0
    Content-Type: text/plain; charset="utf-8"
    Content-Transfer-Encoding: quoted-printable

    Fired:Sev1 Azure Monitor Alert home-device-silent-reminder on home-insights=
     ( microsoft.insights/components ) at 3/1/2026 12:20:00 PM

    Alert name                  home-device-silent-reminder
    Severity                    Sev1
    Monitor condition           Fired
    Affected resource           home-insights
    Resource type               microsoft.insights/components
    Resource group              home
    Subscription                11111111-1111-1111-1111-111111111111
    Description                 No heartbeat of an expected device.
    Monitoring service          Log Alerts V2
    Signal type                 Log
    Fired time                  March 1, 2026 12:20 UTC
    Alert ID                    e43f96a1-db89-5ade-8d23-e54d7acbe1a2
    Alert rule ID               /subscriptions/11111111-1111-1111-1111-11111111=
    1111/resourceGroups/home/providers/Microsoft.Insights/scheduledQueryRules/h=
    ome-device-silent-reminder

    Alert condition

    Dimension devices           attic for 1 h 2 min, K=C3=BCche f=C3=BCr 12 min
    Metric value                62
    Metric measure column       silentMinutes
    Time aggregation            Maximum
    Operator                    GreaterThanOrEqual
    Threshold                   5
    Number of violations        1
    Number of examined periods  1
    "#);
}

#[test]
fn a_resolved_mail() {
    let mail = eml(&silent(MonitorCondition::Resolved, "2026-03-01T12:35:00Z", Some(0.25)));
    insta::assert_snapshot!(mail, @r#"
    Message-ID: <d14e425e-daa8-55a4-b679-9d6095cf6b42.resolved@azure.example>
    Date: Sun, 1 Mar 2026 12:35:00 +0000
    From: "Microsoft Azure" <azure-noreply@microsoft.com>
    To: <owner@example.org>, <second@example.org>
    Subject: ispmon: dl-home Resolved
    MIME-Version: 1.0
    Content-Type: text/plain; charset="utf-8"
    Content-Transfer-Encoding: quoted-printable

    Resolved:Sev1 Azure Monitor Alert home-device-silent on home-insights ( mic=
    rosoft.insights/components ) at 3/1/2026 12:35:00 PM

    Alert name                  home-device-silent
    Severity                    Sev1
    Monitor condition           Resolved
    Affected resource           home-insights
    Resource type               microsoft.insights/components
    Resource group              home
    Subscription                11111111-1111-1111-1111-111111111111
    Description                 No heartbeat of an expected device.
    Monitoring service          Log Alerts V2
    Signal type                 Log
    Fired time                  March 1, 2026 12:15 UTC
    Resolved time               March 1, 2026 12:35 UTC
    Alert ID                    d14e425e-daa8-55a4-b679-9d6095cf6b42
    Alert rule ID               /subscriptions/11111111-1111-1111-1111-11111111=
    1111/resourceGroups/home/providers/Microsoft.Insights/scheduledQueryRules/h=
    ome-device-silent

    Alert condition

    Dimension device            dl-home
    Metric value                0.25
    Metric measure column       silentMinutes
    Time aggregation            Maximum
    Operator                    GreaterThanOrEqual
    Threshold                   5
    Number of violations        1
    Number of examined periods  1
    "#);
}

#[test]
fn a_resolved_mail_about_a_device_without_a_row_shows_no_value() {
    let mail = Mail::about(&silent(MonitorCondition::Resolved, "2026-03-01T12:35:00Z", None));
    assert!(!mail.body.contains("Metric value"), "{}", mail.body);
}

#[test]
fn fired_and_resolved_share_an_alert_id_and_another_outage_has_its_own() {
    let alert = |notification: &Notification| {
        let body = Mail::about(notification).body;
        body.lines().find(|line| line.starts_with("Alert ID")).expect("the row").to_owned()
    };
    let fired = silent(MonitorCondition::Fired, "2026-03-01T12:15:00Z", Some(8.5));
    let resolved = silent(MonitorCondition::Resolved, "2026-03-01T12:35:00Z", Some(0.5));
    let mut later = fired.clone();
    later.fired = time("2026-03-02T12:15:00Z");
    assert_eq!(alert(&fired), alert(&resolved));
    assert_ne!(alert(&fired), alert(&later));
}

#[test]
fn a_mail_does_not_contain_the_query() {
    for condition in [MonitorCondition::Fired, MonitorCondition::Resolved] {
        let mail = eml(&silent(condition, "2026-03-01T12:35:00Z", Some(1.0)));
        assert!(!mail.contains("secret"), "{mail}");
    }
}

#[test]
fn a_device_name_cannot_add_a_header_or_a_line() {
    let mut notification = silent(MonitorCondition::Fired, "2026-03-01T12:15:00Z", Some(8.5));
    notification.dimensions[0].1 = "x\r\nBcc: all@example.org\r\n\r\nhello".to_owned();
    let mail = Mail::about(&notification);
    let message = String::from_utf8(mail.to_eml()).expect("plain text");
    let (head, _) = message.split_once("\r\n\r\n").expect("a head and a body");
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(!mail.body.lines().any(|line| line.starts_with("Bcc")), "{}", mail.body);
}

#[test]
fn mails_sort_by_time_and_never_replace_each_other() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let inbox = temporary.path().join("inbox");
    let folder = MailFolder::open(&inbox).expect("a folder");
    let fired = Mail::about(&silent(MonitorCondition::Fired, "2026-03-01T12:15:00Z", Some(8.5)));
    let reminder = Mail::about(&reminder());
    for mail in [&reminder, &fired, &fired] {
        folder.deliver(mail).expect("written");
    }
    let mut names: Vec<String> = fs::read_dir(&inbox)
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("plain text"))
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "20260301T121500Z-1-fired-home-device-silent.eml",
            "20260301T121500Z-2-fired-home-device-silent.eml",
            "20260301T122000Z-1-fired-home-device-silent-reminder.eml",
        ]
    );
    let written = fs::read(inbox.join(&names[2])).expect("readable");
    assert_eq!(written, reminder.to_eml());
}

#[test]
fn a_folder_that_is_a_file_is_an_error_with_its_name() {
    let temporary = tempfile::NamedTempFile::new().expect("a temporary file");
    let error = MailFolder::open(temporary.path()).expect_err("not a folder");
    assert!(error.to_string().contains(&temporary.path().display().to_string()), "{error}");
}

#[test]
fn a_folder_that_is_not_writable_is_an_error_with_its_name() {
    // Root ignores permissions, but cannot create files there either.
    let folder = std::path::Path::new("/proc/self");
    if !folder.is_dir() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: this system has no folder that refuses files from everybody\n"),
        );
        return;
    }
    let error = MailFolder::open(folder).expect_err("not writable").to_string();
    assert_eq!(error, "cannot write to the mail folder `/proc/self`");
}

#[test]
fn causes_follow_their_error() {
    let source = io::Error::other("no space");
    let error = MailError::Folder { path: PathBuf::from("mails"), source };
    assert_eq!(ErrorChain(&error).to_string(), "cannot make the mail folder `mails`: no space");
}
