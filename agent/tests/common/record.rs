//! Builds journals like the agent's: real records in a valid hash chain, the same for the same seed.

use std::{fs, path::Path, time::Duration};

use ispmon_agent::{
    clock::{BootId, Stamp},
    journal::{Digest, Entry, FORMAT, Quantiles, Record, Summary},
    outage::{
        Cause, Gap, GapCause, Incident, IncidentId, Observation, Party, ProbeKind, Scope, Segment,
    },
    probe::Family,
};
use jiff::Timestamp;

/// The maximum size of a journal file.
const FILE_BYTES: usize = 4 << 20;

/// Builds a journal in memory.
pub(crate) struct JournalBuilder {
    /// The contents of each file, with the sequence number of its first record.
    files: Vec<(u64, Vec<u8>)>,
    seq: u64,
    prev: Digest,
    random: fastrand::Rng,
    boot: BootId,
    booted: Timestamp,
}

impl JournalBuilder {
    /// Starts a journal at `at`; the machine booted one minute earlier.
    pub(crate) fn start(seed: u64, device: &str, at: &str) -> Self {
        let at: Timestamp = at.parse().expect("a time");
        let mut journal = Self {
            files: vec![(1, Vec::new())],
            seq: 0,
            prev: Digest::none(),
            random: fastrand::Rng::with_seed(seed),
            boot: "1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42".parse().expect("a boot id"),
            booted: at - Duration::from_mins(1),
        };
        let at = journal.at(at);
        journal.push(
            at,
            Entry::ChainStarted {
                format: FORMAT,
                device: device.to_owned(),
                reason: None,
                set_aside: vec![],
                after: None,
            },
        );
        let version = "0.1.0".to_owned();
        journal.push(at, Entry::AgentStarted { version, device: device.to_owned() });
        journal
    }

    /// The stamp of a wall-clock time in this boot.
    pub(crate) fn at(&self, wall: Timestamp) -> Stamp {
        let boot_ms = wall.duration_since(self.booted).as_millis();
        Stamp { boot: self.boot, boot_ms: boot_ms.try_into().expect("after the boot"), wall }
    }

    /// Appends the next record.
    pub(crate) fn push(&mut self, at: Stamp, entry: Entry) {
        self.seq += 1;
        let record = Record { seq: self.seq, prev: self.prev.clone(), at, entry };
        let line = serde_json::to_vec(&record).expect("records serialize");
        self.prev = Digest::of(&line);
        if self.newest().len() + line.len() >= FILE_BYTES {
            self.files.push((self.seq, Vec::new()));
        }
        self.newest().extend_from_slice(&line);
        self.newest().push(b'\n');
    }

    fn newest(&mut self) -> &mut Vec<u8> {
        &mut self.files.last_mut().expect("there is always a file").1
    }

    /// The hash of the last record.
    pub(crate) fn head(&self) -> &Digest {
        &self.prev
    }

    /// Writes the journal files into a folder.
    pub(crate) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("a folder");
        let (newest, full) = self.files.split_last().expect("there is always a file");
        for (first, lines) in full {
            fs::write(folder.join(format!("journal.{first:012}.ndjson")), lines).expect("a file");
        }
        fs::write(folder.join("journal.ndjson"), &newest.1).expect("a file");
    }

    /// An id like the agent's: the time first, then random bits.
    fn id(&mut self, at: Timestamp) -> IncidentId {
        let ms = u128::try_from(at.as_millisecond()).expect("after 1970");
        let random = self.random.u128(..) & ((1 << 62) - 1);
        let version = (7 << 12) | u128::from(self.random.u16(..0x1000));
        let bits = (ms << 80) | (version << 64) | (0b10 << 62) | random;
        format!("{bits:032x}").parse().map(IncidentId).expect("an id")
    }

    /// Appends an incident, opened and closed, with one segment per cause and its length in seconds.
    pub(crate) fn incident(
        &mut self,
        scope: Scope,
        cause: Cause,
        party: Option<Party>,
        from: Timestamp,
        causes: &[(Cause, u64)],
    ) -> IncidentId {
        let spans: Vec<_> =
            causes.iter().map(|(cause, seconds)| (scope, *cause, *seconds)).collect();
        self.incident_with_segments(scope, cause, party, from, &spans)
    }

    /// Appends an incident, opened and closed, with these segments: scope, cause and length in seconds.
    pub(crate) fn incident_with_segments(
        &mut self,
        scope: Scope,
        cause: Cause,
        party: Option<Party>,
        from: Timestamp,
        spans: &[(Scope, Cause, u64)],
    ) -> IncidentId {
        let id = self.id(from);
        let mut segments = Vec::new();
        let mut at = from;
        for (scope, cause, seconds) in spans {
            let (from, to) = (at, at + Duration::from_secs(*seconds));
            let (scope, cause) = (*scope, *cause);
            segments.push(Segment { scope, cause, from: self.at(from), to: self.at(to) });
            at = to;
        }
        let down = |is_down: fn(&Segment) -> bool| {
            let down: Duration =
                segments.iter().filter(|one| is_down(one)).map(Segment::length).sum();
            u64::try_from(down.as_millis()).expect("it fits into 64 bits")
        };
        let (downtime_ms, one_family_ms) =
            (down(Segment::is_downtime), down(Segment::is_one_family));
        let failures = spans.split(|part| part.1 == Cause::Up).filter(|it| !it.is_empty());
        let evidence = self.evidence(from);
        let opened = Incident {
            id,
            scope: spans[0].0,
            cause: spans[0].1,
            party,
            started: self.at(from),
            last_ok: Some(self.at(from - Duration::from_secs(5))),
            ended: None,
            downtime_ms: 0,
            one_family_ms: 0,
            failures: 1,
            segments: segments[..1].to_vec(),
            evidence,
        };
        let closed = Incident {
            scope,
            cause,
            ended: Some(self.at(at)),
            downtime_ms,
            one_family_ms,
            failures: u32::try_from(failures.count()).expect("few failures"),
            segments,
            evidence: vec![],
            ..opened.clone()
        };
        self.push(
            self.at(from + Duration::from_secs(5)),
            Entry::IncidentOpened { incident: opened },
        );
        self.push(self.at(at + Duration::from_secs(2)), Entry::IncidentClosed { incident: closed });
        id
    }

    /// Appends an incident that has not ended.
    pub(crate) fn open_incident(
        &mut self,
        cause: Cause,
        party: Party,
        from: Timestamp,
    ) -> IncidentId {
        let id = self.id(from);
        let to = self.at(from + Duration::from_secs(5));
        let incident = Incident {
            id,
            scope: Scope::Internet,
            cause,
            party: Some(party),
            started: self.at(from),
            last_ok: None,
            ended: None,
            downtime_ms: 5_000,
            one_family_ms: 0,
            failures: 1,
            segments: vec![Segment { scope: Scope::Internet, cause, from: self.at(from), to }],
            evidence: self.evidence(from),
        };
        self.push(to, Entry::IncidentOpened { incident });
        id
    }

    fn evidence(&mut self, from: Timestamp) -> Vec<Observation> {
        let anchors = ["1.1.1.1:443", "8.8.8.8:443", "9.9.9.9:443", "208.67.222.222:443"];
        let mut evidence: Vec<_> = anchors
            .iter()
            .enumerate()
            .map(|(index, target)| Observation {
                probe: ProbeKind::Tcp,
                target: (*target).to_owned(),
                family: Some(Family::Ipv4),
                answer: "timeout".to_owned(),
                ms: Some(2_500),
                at: self.at(from + Duration::from_secs(index as u64 / 2)),
            })
            .collect();
        evidence.push(Observation {
            probe: ProbeKind::Gateway,
            target: "192.168.1.1:53".to_owned(),
            family: Some(Family::Ipv4),
            answer: "alive".to_owned(),
            ms: Some(self.random.u64(1..4)),
            at: self.at(from + Duration::from_secs(1)),
        });
        evidence
    }

    /// Appends a gap that was measured within one boot.
    pub(crate) fn gap(&mut self, cause: GapCause, from: Timestamp, to: Timestamp) {
        self.uncertain_gap(cause, from, to, 0);
    }

    /// Appends a gap whose start is uncertain by `uncertain_s` seconds.
    pub(crate) fn uncertain_gap(
        &mut self,
        cause: GapCause,
        from: Timestamp,
        to: Timestamp,
        uncertain_s: u32,
    ) {
        let id = self.id(to);
        let (started, ended) = (self.at(from), self.at(to));
        let gap = Gap { id, cause, started, ended, uncertain_s, reason: None };
        self.push(ended, Entry::Gap { gap });
    }

    /// Appends the summary of an hour, with more latency and loss in the evening.
    pub(crate) fn hour(&mut self, from: Timestamp) {
        let local = from.as_second() / 3_600 % 24;
        let busy = if (18..23).contains(&local) { 2.2 } else { 1.0 };
        let p50 = 9.0 * busy + self.random.f64() * 2.0;
        let p95 = p50 * (1.6 + self.random.f64() * busy);
        let probes = 720;
        let lost = if self.random.f64() < 0.15 * busy { self.random.u32(1..12) } else { 0 };
        let to = from + Duration::from_hours(1);
        let summary = Summary {
            from: self.at(from),
            to: self.at(to),
            observed_ms: 3_600_000,
            rounds: lost,
            rounds_failed: 0,
            probes,
            lost,
            rtt_ms: Some(Quantiles { p50: round(p50), p95: round(p95), max: round(p95 * 3.0) }),
            beats: 60,
            beats_failed: 0,
            blips: u32::from(lost > 8),
        };
        self.push(self.at(to), Entry::Hour { summary });
    }

    /// Appends the summaries of all hours of `days` days, with `incidents` incidents and a weekly sleep.
    pub(crate) fn fill_hours(&mut self, from: &str, days: u32, incidents: u32) {
        let from: Timestamp = from.parse().expect("a time");
        let hours = u64::from(days) * 24;
        let mut wanted = 0.0;
        for hour in 0..hours {
            let begin = from + Duration::from_hours(hour);
            if hour % 168 == 150 {
                self.gap(
                    GapCause::Suspended,
                    begin + Duration::from_mins(5),
                    begin + Duration::from_mins(50),
                );
            } else {
                wanted += f64::from(incidents) / (hours as f64 * 167.0 / 168.0);
                while wanted >= 1.0 {
                    wanted -= 1.0;
                    self.random_incident(begin);
                }
            }
            self.hour(begin);
        }
    }

    fn random_incident(&mut self, hour: Timestamp) {
        let from = hour + Duration::from_millis(self.random.u64(0..900_000));
        let long = if self.random.u8(..20) == 0 { 1_500 } else { 240 };
        let seconds = self.random.u64(8..long);
        let provider = Some(Party::Provider);
        match self.random.u8(..100) {
            0..55 => {
                self.incident(Scope::Internet, Cause::Isp, provider, from, &[(Cause::Isp, seconds)])
            }
            55..67 => self.incident(
                Scope::Internet,
                Cause::Gateway,
                Some(Party::Yours),
                from,
                &[(Cause::Gateway, seconds), (Cause::Isp, seconds / 3 + 1)],
            ),
            67..75 => {
                self.incident(Scope::Internet, Cause::Dns, provider, from, &[(Cause::Dns, seconds)])
            }
            75..80 => self.incident(
                Scope::Internet,
                Cause::Link,
                Some(Party::Yours),
                from,
                &[(Cause::Link, seconds)],
            ),
            80..83 => self.incident(
                Scope::Internet,
                Cause::Vpn,
                Some(Party::Yours),
                from,
                &[(Cause::Vpn, seconds)],
            ),
            83..86 => self.incident(
                Scope::Internet,
                Cause::CaptivePortal,
                Some(Party::Other),
                from,
                &[(Cause::CaptivePortal, seconds)],
            ),
            86..90 => {
                self.incident(Scope::Ipv6, Cause::Isp, provider, from, &[(Cause::Isp, seconds)])
            }
            90..93 => self.incident(
                Scope::Heartbeat,
                Cause::Endpoint,
                Some(Party::Other),
                from,
                &[(Cause::Endpoint, seconds)],
            ),
            93..97 => self.incident(
                Scope::Quality,
                Cause::Degraded,
                None,
                from,
                &[(Cause::Degraded, 600)],
            ),
            _ => {
                let mut parts = vec![];
                for _ in 0..8 {
                    parts.extend([(Cause::Isp, 30), (Cause::Up, 90)]);
                }
                parts.push((Cause::Gateway, 20));
                self.incident(Scope::Internet, Cause::Unstable, provider, from, &parts)
            }
        };
    }
}

fn round(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}
