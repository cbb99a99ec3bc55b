//! The kinds of event, and the ids by which the system's journal and its message catalog know them.

/// Defines [`Kind`] from one row a kind: its name in code, its name in the log, its `MESSAGE_ID`.
macro_rules! kinds {
    ($($variant:ident = $name:literal, $id:literal;)*) => {
        /// A kind of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the log, such as `incident_closed`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The id in 32 hexadecimal digits by which `journalctl MESSAGE_ID=…` finds events of this kind,
            /// and by which the catalog explains them. It never changes and is never used again.
            pub fn message_id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)*
                }
            }
        }
    };
}

kinds! {
    Started = "started", "fae622cb553e4f2cb157636ae77ded0d";
    StartedLocally = "started_locally", "cc55492f689f4ac99573000dd6014f00";
    Advice = "advice", "b680696aea874b7b983d17c691411a2b";
    BootUnknown = "boot_unknown", "383cbf3aada948d6bc805f0901cecdc7";
    FirstDelivered = "first_delivered", "4ea1e15b3303448cbb8350d9b1f6081c";
    Delivered = "delivered", "3afb8686677e4d808cc260b16b2b1bd7";
    Failed = "failed", "0dcc8ed585234adf819abc778483d130";
    FailedAgain = "failed_again", "38031fe257b34305b59b90b7a2c1575e";
    DeliveredAgain = "delivered_again", "d260b2666ac849fbb7a40dd02d3d3c8f";
    NotExpected = "not_expected", "be67e751684d41e1a559dc20f154530b";
    ExpectedAfterAll = "expected_after_all", "22c1504e88f044d6b60a02fd5a8a2557";
    Reloaded = "reloaded", "474993852eb64a29a407cdca308a13db";
    ReloadedUnchanged = "reloaded_unchanged", "451359e16f8d4b6daf2dbcf588b43912";
    ReloadRefused = "reload_refused", "bccac3fc45d34feb85f599be8402ea26";
    ReloadKeptOld = "reload_kept_old", "855f2f9cf3b14f22a5b8fe3ffbdf4d04";
    Stopping = "stopping", "8cb03ece966b47cca517d21cde560a16";
    SilenceAnnounced = "silence_announced", "22512445b4094c2886509f9c1a494ade";
    StopAnnounced = "stop_announced", "f23ed52b5a8b49a58a0eb040ebaed04c";
    SilenceNotAnnounced = "silence_not_announced", "a40a18a3b5a64ea29169bb150f0eae81";
    StatusNotWritten = "status_not_written", "b16f533c444e4b309f266fcb6f64fe76";
    IncidentOpened = "incident_opened", "66bc7a1c87ae42b3a3281cd6312aead8";
    IncidentChanged = "incident_changed", "ab5a5ac48df741f090f7df502f543dc7";
    IncidentProgressed = "incident_progressed", "4ccabe6b97a5445e808bd0fae4af10f2";
    IncidentClosed = "incident_closed", "6fbd3772193f45db89470a82b521d7d7";
    Gap = "gap", "2bf13f3c68174023a66bf0ce2ec73e98";
    ClockStepped = "clock_stepped", "5a1ca898f3634fce9ca5cdd0c4ccc114";
    AnchorsBlocked = "anchors_blocked", "02cae9edff0c451db0a95420884e44b9";
    Blind = "blind", "5b8d3a1ef0c64d5e9f6c1c9e70f2a4d3";
    JournalProblem = "journal_problem", "3dcfa6799747494ba9ef8c356b91859b";
    JournalDurable = "journal_durable", "e36b934c4d8844bcad2a2201548af722";
    HandedOver = "handed_over", "00656284443c449ab7ea94f96abeb995";
    HandedOverAgain = "handed_over_again", "6b6da26bd3a74ae49c7e1eac678692a1";
    NotHandedOver = "not_handed_over", "3eda087d454e42019b7175b7beb966c4";
    PassedOver = "passed_over", "660b2c7c3d8f496ba8ab907f0654b856";
    ControlUnavailable = "control_unavailable", "4af650dc824144a5adc30ea8a9950b66";
    Paused = "paused", "bf3dbaa9f64c4bd7959c810e02f5d5da";
    Resumed = "resumed", "9d87c953b2d5477d958c77af38a47263";
    SleepAnnounced = "sleep_announced", "ccf37ac43ab74c69b1e02b451a0bf7db";
    SleepUnheard = "sleep_unheard", "23d29dbad7184eef8d1c96a62f145863";
    LinesDropped = "lines_dropped", "ad6a6cd27d954b82b6bf34347202300e";
    Panicked = "panicked", "794c8cb8fb1a41a685cc7e67f96a8e6d";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What packages install as `/usr/lib/systemd/catalog/ispmon-agent.catalog`.
    const CATALOG: &str = include_str!("../../../packaging/systemd/ispmon-agent.catalog");

    /// Kinds whose sentence says all there is to say.
    const WITHOUT_ENTRY: &[Kind] = &[
        Kind::Advice,
        Kind::FirstDelivered,
        Kind::Delivered,
        Kind::FailedAgain,
        Kind::ExpectedAfterAll,
        Kind::Reloaded,
        Kind::ReloadedUnchanged,
        Kind::Stopping,
        Kind::HandedOverAgain,
        Kind::Resumed,
        Kind::SleepUnheard,
    ];

    fn catalog_ids() -> Vec<&'static str> {
        CATALOG.lines().filter_map(|line| line.strip_prefix("-- ")).collect()
    }

    #[test]
    fn each_kind_has_a_name_and_an_id_of_its_own() {
        let names: HashSet<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        let ids: HashSet<_> = Kind::ALL.iter().map(|kind| kind.message_id()).collect();
        assert_eq!(ids.len(), Kind::ALL.len());
        for id in ids {
            let is_id = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(id.len() == 32 && id.bytes().all(is_id), "{id}");
        }
    }

    #[test]
    fn the_catalog_explains_each_kind_that_needs_it_once_and_nothing_else() {
        let explained = catalog_ids();
        for kind in Kind::ALL {
            let entries = explained.iter().filter(|id| **id == kind.message_id()).count();
            let expected = usize::from(!WITHOUT_ENTRY.contains(kind));
            assert_eq!(entries, expected, "entries for {} ({})", kind.as_str(), kind.message_id());
        }
        for id in explained {
            assert!(
                Kind::ALL.iter().any(|kind| kind.message_id() == id),
                "nothing has the id {id}"
            );
        }
    }

    #[test]
    fn the_catalog_names_no_field_that_is_never_sent() {
        for field in CATALOG.split('@').skip(1).step_by(2) {
            let name = field.to_ascii_lowercase();
            assert!(super::super::Fields::NAMES.contains(&name.as_str()), "@{field}@");
        }
    }
}
