//! Random histories, checked against the simplest possible journal: a list in memory.

use fastrand::Rng;
use proptest::prelude::*;

use super::*;

/// A step of a random history.
#[derive(Clone, Debug)]
enum Step {
    /// Append a record of about this many bytes.
    Append(usize),
    /// Limit the free space to this many bytes, or remove the limit.
    Room(Option<usize>),
    /// Make the disk read-only, or writable again.
    ReadOnly(bool),
    /// Make this many of the next syncs fail.
    FailSyncs(u32),
    /// Kill the machine after this many changes to its disk.
    Die(u32),
    /// Write the alive file.
    Alive,
    /// Cut the power and start the agent again.
    Crash(u64),
    /// Stop the agent and start it again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_usize..400).prop_map(Step::Append),
        1 => prop::option::of(0_usize..2_000).prop_map(Step::Room),
        1 => any::<bool>().prop_map(Step::ReadOnly),
        1 => (1_u32..3).prop_map(Step::FailSyncs),
        2 => (1_u32..12).prop_map(Step::Die),
        1 => Just(Step::Alive),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// A journal and the expected content.
struct Model {
    disk: Disk,
    writer: JournalWriter<Disk>,
    /// The number of records made so far; the text of each begins with its number.
    made: usize,
    /// The records that wait in memory, as in the writer thread's queue.
    waiting: Vec<String>,
    /// The records that were acknowledged.
    acknowledged: Vec<(String, RecordPosition)>,
}

impl Model {
    fn new() -> Self {
        let disk = Disk::new();
        Self { writer: small(&disk), disk, made: 0, waiting: Vec::new(), acknowledged: Vec::new() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Append(size) => {
                self.waiting.push(format!("{} {}", self.made, "x".repeat(*size)));
                self.made += 1;
                let entries: Vec<Entry> = self.waiting.iter().map(entry).collect();
                let batch = entries.iter().map(|entry| (entry, at(1, self.made as u64)));
                // Records that were not written wait for the next step.
                for position in self.writer.append(batch).unwrap_or_default() {
                    let text = self.waiting.remove(0);
                    self.acknowledged.push((text, position.expect("the record is short enough")));
                }
            }
            Step::Room(room) => self.disk.faults(|faults| faults.room = *room),
            Step::ReadOnly(read_only) => self.disk.faults(|faults| faults.read_only = *read_only),
            Step::FailSyncs(syncs) => self.disk.faults(|faults| faults.failing_syncs = *syncs),
            Step::Die(changes) => self.disk.faults(|faults| faults.dies_after = Some(*changes)),
            Step::Alive => self.writer.note_alive(at(1, self.made as u64)),
            Step::Crash(seed) => {
                self.disk.crash(&mut Rng::with_seed(*seed));
                self.restart();
            }
            Step::Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        self.waiting.clear();
        self.check();
        self.writer = small(&self.disk);
    }

    /// Checks that no acknowledged record is lost or changed, none is invented or duplicated, the
    /// order holds, and the chain is valid.
    fn check(&self) {
        let contents = Contents::of(&self.disk);
        let texts = contents.texts();
        let number = |text: &str| text.split(' ').next().and_then(|number| number.parse().ok());
        let numbers: Vec<usize> = texts.iter().filter_map(|text| number(text)).collect();
        assert_eq!(numbers.len(), texts.len(), "{texts:?} are all numbered");
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?} are in order");
        assert!(numbers.last().is_none_or(|last| *last < self.made), "{numbers:?} were all made");
        for (text, (seq, digest)) in &self.acknowledged {
            let found = contents.located.iter().find(|located| located.record.seq == *seq);
            let found = found.unwrap_or_else(|| panic!("record {seq} is lost: {contents:#?}"));
            assert_eq!(&found.digest, digest, "record {seq} was changed");
            assert!(texts.contains(&text.as_str()), "{text} is lost");
        }
    }
}

/// A writer with files so small that they fill up often.
fn small(disk: &Disk) -> JournalWriter<Disk> {
    let (mut writer, _) = open(disk, "dl-home");
    writer.file_limits = FileLimits { file_bytes: 2_000, files: 1_000 };
    writer
}

/// Plays the steps, a power cut and one more record, then checks the journal.
fn play(steps: &[Step], seed: u64) {
    let mut model = Model::new();
    for step in steps {
        model.take(step);
    }
    model.take(&Step::Crash(seed));
    // The journal still works.
    model.take(&Step::Append(10));
    assert!(model.waiting.is_empty(), "the disk works again");
    model.check();
    // A line with zeros from a power cut, followed by a whole one, is damage like any other.
    let zeroed = |place: &crate::journal::LineLocation| {
        let content = model.disk.content(&place.file);
        content.split(|byte| *byte == b'\n').any(|line| line.contains(&0))
    };
    let contents = Contents::of(&model.disk);
    let unexplained = contents.damage.iter().find(|damage| !zeroed(&damage.place));
    assert!(unexplained.is_none(), "{unexplained:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_acknowledged_record_is_lost_and_none_is_invented(
        steps in prop::collection::vec(step(), 1..40),
        seed: u64,
    ) {
        play(&steps, seed);
    }
}

#[test]
fn the_alive_file_never_outlives_the_record_that_it_names() {
    // A killed run may leave a record that is readable but not durable. A later power cut removes
    // it, and it must not look deleted.
    let appends = |sizes: &[usize]| sizes.iter().copied().map(Step::Append).collect::<Vec<_>>();
    let killed_while_writing = [
        appends(&[34, 219, 56, 6, 398, 41]),
        vec![Step::Crash(2_434_583_930_112_281_941), Step::Append(65), Step::Die(9), Step::Restart],
        appends(&[168, 268, 0]),
        vec![Step::Restart, Step::Die(1), Step::Alive],
    ];
    play(&killed_while_writing.concat(), 3_061_327_730_146_094_971);
    let syncs_fail = [
        vec![Step::Die(4)],
        appends(&[0, 0, 0, 52]),
        vec![Step::FailSyncs(1), Step::Die(7)],
        appends(&[117, 332]),
        vec![Step::Crash(6_120_365_268_449_240_636), Step::Die(2), Step::Append(0)],
    ];
    play(&syncs_fail.concat(), 539_834_103_746_693_117);
}
