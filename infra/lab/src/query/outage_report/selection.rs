//! Selects which outages get a row each, and which are summed up.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use jiff::{SignedDuration, Timestamp};

/// The most outages of one device in an hour that get a row each.
const SINGLES_OF_DEVICE: usize = 10;
/// The most outages of all devices in an hour that get a row each.
const SINGLES: usize = 24;
/// The most devices in an hour that get a summary each; the remaining devices share one.
const SUMMARIES: usize = 10;

/// The cause of a summary of different causes.
const VARIOUS: &str = "various causes";

const HOUR_NANOSECONDS: i128 = 3_600_000_000_000;

/// An outage that is reported.
#[derive(Clone, Debug)]
pub(super) struct SelectedOutage {
    pub(super) id: String,
    /// When its first line was written.
    pub(super) seen: Timestamp,
    /// The expected device.
    pub(super) device: String,
    /// Whether it had ended less than a day before its first line was written.
    pub(super) is_fresh: bool,
    /// The downtime in seconds.
    pub(super) seconds: i64,
    /// How long only one address family was down, as text.
    pub(super) only: String,
    pub(super) cause: String,
    pub(super) began: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

/// One row: a single outage, or the sum of several.
#[derive(Clone, Debug)]
pub(super) struct ReportEntry {
    /// The beginning of the hour in which the first lines of its outages were written.
    pub(super) hour: Timestamp,
    /// Empty for the summary of the remaining devices.
    pub(super) device: String,
    /// The outage's id; empty for a summary.
    pub(super) id: String,
    /// How many devices it includes.
    pub(super) devices: usize,
    pub(super) sum: Sum,
}

/// The sum of several outages.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    pub(super) outages: usize,
    pub(super) seconds: i64,
    pub(super) only: String,
    /// `None` when they differ.
    cause: Option<String>,
    pub(super) began: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

impl ReportEntry {
    /// Whether it is a single outage.
    pub(super) fn is_single(&self) -> bool {
        !self.id.is_empty()
    }
}

impl Sum {
    /// The common cause, or [`VARIOUS`].
    pub(super) fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or(VARIOUS)
    }

    fn of(outage: SelectedOutage) -> Self {
        Self {
            outages: 1,
            seconds: outage.seconds,
            only: outage.only,
            cause: Some(outage.cause),
            began: outage.began,
            ended: outage.ended,
        }
    }

    fn add(&mut self, other: &Self) {
        self.outages += other.outages;
        self.seconds += other.seconds;
        if self.cause != other.cause {
            self.cause = None;
        }
        self.began = self.began.into_iter().chain(other.began).min();
        self.ended = self.ended.into_iter().chain(other.ended).max();
    }
}

/// The start of the hour that contains a time.
pub(super) fn hour(time: Timestamp) -> Timestamp {
    time - SignedDuration::from_nanos_i128(time.as_nanosecond().rem_euclid(HOUR_NANOSECONDS))
}

/// Returns the first outages of each hour as single entries, and one summary per device of the
/// rest.
///
/// The order is that in which the first lines were written, so a later outage never displaces an
/// earlier one.
pub(super) fn entries(mut outages: Vec<SelectedOutage>) -> impl Iterator<Item = ReportEntry> {
    let order =
        |outage: &SelectedOutage| (Reverse(outage.is_fresh), outage.seen, outage.id.clone());
    outages.sort_by_key(order);
    let mut of_device: HashMap<(Timestamp, String), usize> = HashMap::new();
    let mut of_hour: HashMap<Timestamp, usize> = HashMap::new();
    let mut entries = Vec::new();
    let mut rest: BTreeMap<(Timestamp, String), Sum> = BTreeMap::new();
    for outage in outages {
        let (hour, device) = (hour(outage.seen), outage.device.clone());
        let place = of_device.entry((hour, device.clone())).or_default();
        *place += 1;
        let mut is_single = outage.is_fresh && *place <= SINGLES_OF_DEVICE;
        if is_single {
            let place = of_hour.entry(hour).or_default();
            *place += 1;
            // A line without an id cannot be recognized when it comes again.
            is_single = *place <= SINGLES && !outage.id.is_empty();
        }
        if is_single {
            let id = outage.id.clone();
            entries.push(ReportEntry { hour, device, id, devices: 1, sum: Sum::of(outage) });
        } else {
            let sum = Sum::of(outage);
            match rest.get_mut(&(hour, device.clone())) {
                Some(known) => known.add(&sum),
                None => drop(rest.insert((hour, device), sum)),
            }
        }
    }
    entries.into_iter().chain(sums(rest))
}

/// Sums up the rest of each hour, separately for the devices with the most outages.
fn sums(rest: BTreeMap<(Timestamp, String), Sum>) -> impl Iterator<Item = ReportEntry> {
    let mut hours: BTreeMap<Timestamp, Vec<(String, Sum)>> = BTreeMap::new();
    for ((hour, device), sum) in rest {
        hours.entry(hour).or_default().push((device, sum));
    }
    hours.into_iter().flat_map(|(hour, mut sums)| {
        sums.sort_by_key(|(device, sum)| (Reverse(sum.outages), device.clone()));
        let others = sums.split_off(sums.len().min(SUMMARIES));
        let devices = others.len();
        let together = others.into_iter().map(|(_, sum)| sum).reduce(|mut one, other| {
            one.add(&other);
            one
        });
        let entry = move |device, devices, sum| ReportEntry {
            hour,
            device,
            id: String::new(),
            devices,
            sum,
        };
        let each = sums.into_iter().map(move |(device, sum)| entry(device, 1, sum));
        each.chain(together.map(|sum| entry(String::new(), devices, sum)))
    })
}
