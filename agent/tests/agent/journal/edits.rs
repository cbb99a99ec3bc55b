//! Journals that were edited by hand or damaged by a disk: what `journal verify` reports, what `outages`
//! still shows, and that an agent starts on them and continues.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
    time::Duration,
};

use ispmon_agent::{
    journal::Digest,
    outage::{Cause, GapCause, Party, Scope},
};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{Agent, Folder, PATIENCE},
    record::JournalBuilder,
};

const CURRENT: &str = "journal.ndjson";
const FIRST: &str = "journal.000000000001.ndjson";
const SECOND: &str = "journal.000000000011.ndjson";
const BEGIN: &str = "2026-10-24T00:00:00Z";
/// Four incidents in each of three files; each lasts a second longer than the previous one.
const INCIDENTS: usize = 12;
const SHORTEST_S: usize = 60;

/// An edit of a state folder, and its expected effects.
struct Row {
    name: &'static str,
    edit: fn(&Edited<'_>),
    /// Text that `journal verify` must print; `None` if the journal counts as intact.
    named: Option<&'static str>,
    /// The indexes of the incidents that the edit destroys.
    lost: &'static [usize],
    /// What every command must say about records that are not shown.
    not_shown: Option<&'static str>,
}

const fn damage(name: &'static str, named: &'static str, edit: fn(&Edited<'_>)) -> Row {
    Row { name, edit, named: Some(named), lost: &[], not_shown: None }
}

const fn harmless(name: &'static str, edit: fn(&Edited<'_>)) -> Row {
    Row { name, edit, named: None, lost: &[], not_shown: None }
}

const CHANGED: &str = "this record was changed after record";
const SEQUENCE: &str = "here should be record";
const NO_RECORD: &str = "this line is not a record";

/// The current file has four incidents of two lines each, a gap, an hour, and the lines of the agent's run.
const ROWS: &[Row] = &[
    harmless("nothing", |_| {}),
    damage("a line deleted", SEQUENCE, |it| it.lines(CURRENT, |lines| drop(lines.remove(2)))),
    damage("the first line deleted", "the records before record 2 are missing", |it| {
        it.lines(FIRST, |lines| drop(lines.remove(0)));
    }),
    damage("the last line deleted", "the newest records are missing", |it| {
        it.lines(CURRENT, |lines| drop(lines.pop()));
    }),
    damage("two lines next to each other swapped", SEQUENCE, |it| {
        it.lines(CURRENT, |lines| lines.swap(2, 3));
    }),
    damage("the last two lines swapped", SEQUENCE, |it| {
        it.lines(CURRENT, |lines| {
            let last = lines.len() - 1;
            lines.swap(last - 1, last);
        });
    }),
    damage("two lines far from each other swapped", SEQUENCE, |it| {
        it.lines(CURRENT, |lines| lines.swap(1, 6));
    }),
    damage("a digit changed in the opening of an incident", CHANGED, |it| {
        it.change(CURRENT, 2, "1.1.1.1", "1.1.1.7");
    }),
    Row {
        // Its opening record remains and is as informative here.
        ..damage("a digit changed in a closed incident", CHANGED, |it| {
            it.change(CURRENT, 3, "\"downtime_ms\":69000", "\"downtime_ms\":99000");
            it.change(CURRENT, 3, "\"ended\":{", "\"ended\":{\"more\":9,");
        })
    },
    damage("a digit changed in a gap", CHANGED, |it| {
        it.change(CURRENT, 8, "\"uncertain_s\":7", "\"uncertain_s\":8");
    }),
    damage("a digit changed in the summary of an hour", CHANGED, |it| {
        it.change(CURRENT, 9, "\"lost\":", "\"lost\":9");
    }),
    damage("the version changed in a start", CHANGED, |it| {
        it.change(FIRST, 1, "\"version\":\"0", "\"version\":\"9");
    }),
    damage("the device changed at the beginning of the chain", CHANGED, |it| {
        it.change(FIRST, 0, "dl-home", "dl-hom3");
    }),
    damage("the last record changed", "this record was changed after it was written", |it| {
        it.change_last("SIGTERM", "SIGTERN");
    }),
    damage("the last record but one changed", CHANGED, |it| {
        it.lines(CURRENT, |lines| {
            let index = lines.len() - 2;
            lines[index] = lines[index].replacen("\"boot_ms\":", "\"boot_ms\":1", 1);
        });
    }),
    damage("two records next to each other changed", CHANGED, |it| {
        it.change(CURRENT, 3, "\"failures\":1", "\"failures\":2");
        it.change(CURRENT, 4, "1.1.1.1", "1.1.1.7");
    }),
    damage("the hash changed that a record names", "the hash that this record names", |it| {
        it.change(CURRENT, 4, "\"prev\":\"", "\"prev\":\"0");
    }),
    damage("the hash changed that the last record names", "the hash that this record", |it| {
        it.change_last("\"prev\":\"", "\"prev\":\"0");
    }),
    damage("a larger number given to a record", SEQUENCE, |it| {
        it.change(CURRENT, 4, "\"seq\":23", "\"seq\":29");
    }),
    damage("a smaller number given to a record", SEQUENCE, |it| {
        it.change(CURRENT, 4, "\"seq\":23", "\"seq\":15");
    }),
    damage("a line doubled", "this line repeats the one before it", |it| {
        it.lines(CURRENT, |lines| lines.insert(4, lines[3].clone()));
    }),
    damage("an earlier line repeated", "this line was added", |it| {
        it.lines(CURRENT, |lines| lines.insert(7, lines[1].clone()));
    }),
    Row {
        lost: &[10, 11],
        ..damage("the current file cut within a line", "the newest records are missing", |it| {
            it.bytes(CURRENT, |bytes| bytes.truncate(line_start(bytes, 4) + 100));
        })
    },
    Row {
        lost: &[7],
        ..damage("a full file cut within a line", "the file ends within this line", |it| {
            it.bytes(SECOND, |bytes| bytes.truncate(line_start(bytes, 6) + 100));
        })
    },
    damage("60 zeros at the beginning", NO_RECORD, |it| it.zeros(CURRENT, |_| 0)),
    Row {
        // They overlap both lines of one incident.
        lost: &[10],
        ..damage("60 zeros in the middle", NO_RECORD, |it| {
            it.zeros(CURRENT, |bytes| line_start(bytes, 5) - 30);
        })
    },
    damage("60 zeros at the end", "the newest records are missing", |it| {
        it.zeros(CURRENT, |bytes| bytes.len() - 60);
    }),
    harmless("60 zeros after the end", |it| {
        it.bytes(CURRENT, |bytes| bytes.extend_from_slice(&[0; 60]));
    }),
    damage("line ends of another system", "ends with a carriage return", |it| {
        it.lines(CURRENT, |lines| lines.iter_mut().for_each(|line| line.push('\r')));
    }),
    damage("a byte order mark", NO_RECORD, |it| {
        it.lines(CURRENT, |lines| lines[0].insert(0, '\u{feff}'));
    }),
    damage("a forged line at the end", "this record does not follow the one before", |it| {
        it.lines(CURRENT, |lines| {
            let seq = seq(lines.last().expect("lines")) + 1;
            lines.push(forged(&lines[3], seq));
        });
    }),
    damage("a forged line instead of a record to come", "no other record confirms", |it| {
        it.lines(CURRENT, |lines| {
            let seq = seq(lines.last().expect("lines")) + 7;
            lines.push(forged(&lines[3], seq));
        });
    }),
    damage("a forged line in the middle", "this line was added", |it| {
        it.lines(CURRENT, |lines| lines.insert(4, forged(&lines[3], 23)));
    }),
    damage("text at the end", NO_RECORD, |it| {
        it.lines(CURRENT, |lines| lines.push("The internet was down!".to_owned()));
    }),
    Row {
        not_shown: Some("1 record of kind \"moon_phase\" comes from a newer version"),
        ..harmless("a kind of a newer version", |it| {
            it.write_consistently(9, "\"kind\":\"hour\"", "\"kind\":\"moon_phase\"");
        })
    },
    Row {
        lost: &[9],
        not_shown: Some("with the word \\\"solar_flare\\\""),
        ..harmless("a cause of a newer version", |it| {
            it.write_consistently(2, "\"cause\":\"isp\"", "\"cause\":\"solar_flare\"");
            it.write_consistently(3, "\"cause\":\"isp\"", "\"cause\":\"solar_flare\"");
        })
    },
    harmless("a kind of probe of a newer version", |it| {
        it.write_consistently(2, "\"probe\":\"gateway\"", "\"probe\":\"telepathy\"");
    }),
    harmless("a field of a newer version", |it| {
        it.write_consistently(3, "\"kind\":", "\"mood\":{\"of\":[\"day\"]},\"kind\":");
    }),
    Row {
        lost: &[4, 5, 6, 7],
        ..damage("a file deleted from the middle", SEQUENCE, |it| {
            fs::remove_file(it.at(SECOND)).expect("the file exists");
        })
    },
    harmless("a file with another name", |it| {
        fs::rename(it.at(SECOND), it.at("journal.000000000999.ndjson")).expect("the file exists");
    }),
    harmless("two files with the names of each other", |it| {
        fs::rename(it.at(FIRST), it.at("journal.7.ndjson")).expect("the file exists");
        fs::rename(it.at(SECOND), it.at(FIRST)).expect("the file exists");
        fs::rename(it.at("journal.7.ndjson"), it.at(SECOND)).expect("the file exists");
    }),
    damage("a file that is there twice", "this file repeats the records of", |it| {
        fs::copy(it.at(SECOND), it.at("journal.000000000012.ndjson")).expect("the file exists");
    }),
    Row {
        lost: &[8, 9, 10, 11],
        ..damage("an empty file", "the newest records are missing", |it| {
            it.bytes(CURRENT, Vec::clear);
        })
    },
    Row {
        lost: &[8, 9, 10, 11],
        ..damage("a file of one empty line", NO_RECORD, |it| {
            it.bytes(CURRENT, |bytes| *bytes = b"\n".to_vec());
        })
    },
    Row {
        lost: &[8, 9, 10, 11],
        ..damage("a folder instead of the current file", "not a regular file but a folder", |it| {
            fs::remove_file(it.at(CURRENT)).expect("the file exists");
            fs::create_dir(it.at(CURRENT)).expect("the path is free");
        })
    },
    Row {
        lost: &[8, 9, 10, 11],
        ..damage("a pipe instead of the current file", "not a regular file but a pipe", |it| {
            it.pipe(CURRENT);
        })
    },
    Row {
        lost: &[4, 5, 6, 7],
        ..damage("a pipe instead of a full file", "not a regular file but a pipe", |it| {
            it.pipe(SECOND);
        })
    },
    Row {
        lost: &[8, 9, 10, 11],
        ..damage("a link instead of the current file", "but a symbolic link", |it| {
            fs::rename(it.at(CURRENT), it.at("elsewhere")).expect("the file exists");
            symlink("elsewhere", it.at(CURRENT)).expect("the path is free");
        })
    },
    harmless("a pipe instead of the alive file", |it| it.pipe("alive")),
    harmless("a socket instead of the position of the outbox", |it| {
        drop(UnixListener::bind(it.at("handed-over.json")).expect("the path is free"));
    }),
    damage("the first line cut", NO_RECORD, |it| {
        it.lines(CURRENT, |lines| drop(lines[0].drain(..40)));
    }),
    damage("a byte that is no text", NO_RECORD, |it| {
        it.bytes(CURRENT, |bytes| {
            let start = line_start(bytes, 4);
            bytes[start + 200] = 0xff;
        });
    }),
    damage("a line that is nested deeply", NO_RECORD, |it| {
        it.lines(CURRENT, |lines| lines.insert(4, "{\"a\":".repeat(100_000)));
    }),
    damage("a line that is too long", "this line is longer than 1048576 bytes", |it| {
        it.lines(CURRENT, |lines| lines.insert(4, "x".repeat(1_100_000)));
    }),
    damage("a number that is too large for 64 bits", NO_RECORD, |it| {
        it.change(CURRENT, 4, "\"seq\":23", "\"seq\":18446744073709551616");
    }),
    damage("a file with the largest number of all", "has the number 18446744073709551615", |it| {
        let line = it.line(FIRST, 0).replacen("\"seq\":1,", "\"seq\":18446744073709551615,", 1);
        fs::write(it.at("journal.18446744073709551615.ndjson"), line + "\n")
            .expect("the path is free");
    }),
];

/// A state folder to edit.
struct Edited<'a> {
    state: &'a Path,
}

impl Edited<'_> {
    fn at(&self, name: &str) -> std::path::PathBuf {
        self.state.join(name)
    }

    fn bytes(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.at(name)).expect("the file exists");
        let before = bytes.clone();
        edit(&mut bytes);
        assert_ne!(bytes, before, "the edit changes something");
        fs::write(self.at(name), bytes).expect("the file is written");
    }

    fn lines(&self, name: &str, edit: impl FnOnce(&mut Vec<String>)) {
        self.bytes(name, |bytes| {
            let text = String::from_utf8(bytes.clone()).expect("the journal is UTF-8");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            edit(&mut lines);
            *bytes = (lines.join("\n") + "\n").into_bytes();
        });
    }

    fn line(&self, name: &str, index: usize) -> String {
        let text = fs::read_to_string(self.at(name)).expect("the journal is UTF-8");
        text.lines().nth(index).expect("a line").to_owned()
    }

    fn change(&self, name: &str, index: usize, from: &str, to: &str) {
        self.lines(name, |lines| {
            assert!(lines[index].contains(from), "{from} in {}", lines[index]);
            lines[index] = lines[index].replacen(from, to, 1);
        });
    }

    fn change_last(&self, from: &str, to: &str) {
        let last =
            fs::read_to_string(self.at(CURRENT)).expect("the journal is UTF-8").lines().count() - 1;
        self.change(CURRENT, last, from, to);
    }

    fn zeros(&self, name: &str, start: impl FnOnce(&[u8]) -> usize) {
        self.bytes(name, |bytes| {
            let start = start(bytes);
            bytes[start..start + 60].fill(0);
        });
    }

    /// Changes a line as if the agent had written it so: the hashes after it are right, and no `alive`
    /// file contradicts it.
    fn write_consistently(&self, index: usize, from: &str, to: &str) {
        self.lines(CURRENT, |lines| {
            assert!(lines[index].contains(from), "{from} in {}", lines[index]);
            lines[index] = lines[index].replace(from, to);
            for next in index + 1..lines.len() {
                let digest = Digest::of(lines[next - 1].as_bytes());
                let (head, tail) = lines[next].split_once("\"prev\":\"").expect("a hash");
                lines[next] = format!("{head}\"prev\":\"{digest}{}", &tail[64..]);
            }
        });
        let _ = fs::remove_file(self.at("alive"));
    }

    fn pipe(&self, name: &str) {
        let _ = fs::remove_file(self.at(name));
        let made = Command::new("mkfifo").arg(self.at(name)).status().expect("mkfifo starts");
        assert!(made.success(), "a pipe");
    }
}

fn line_start(bytes: &[u8], line: usize) -> usize {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(index, _)| index + 1).nth(line - 1).expect("the file has that many lines")
}

fn seq(line: &str) -> u64 {
    let record: Value = serde_json::from_str(line).expect("valid JSON");
    record["seq"].as_u64().expect("a number")
}

/// A record of an outage that never happened.
fn forged(closed: &str, number: u64) -> String {
    let before = format!("\"seq\":{}", seq(closed));
    let line = closed.replacen(&before, &format!("\"seq\":{number}"), 1);
    let (head, tail) = line.split_once("\"id\":\"").expect("an incident");
    format!("{head}\"id\":\"01936f3e-0000-7000-8000-000000000666{}", &tail[36..])
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A state folder with three files, in which the real agent has run once; and the id and length of each
/// incident, in seconds.
fn base() -> (TempDir, Vec<(String, f64)>) {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state");
    let mut journal = JournalBuilder::start(1, "dl-home", BEGIN);
    let mut incidents = Vec::new();
    for index in 0..INCIDENTS {
        let seconds = (SHORTEST_S + index) as u64;
        let from = time(BEGIN) + Duration::from_hours(index as u64 + 1);
        let causes = [(Cause::Isp, seconds)];
        let party = Some(Party::Provider);
        let id = journal.incident(Scope::Internet, Cause::Isp, party, from, &causes);
        incidents.push((id.to_string(), seconds as f64));
    }
    let from = time(BEGIN) + Duration::from_hours(20);
    journal.uncertain_gap(GapCause::Suspended, from, from + Duration::from_hours(1), 7);
    journal.hour(from + Duration::from_hours(1));
    journal.write(&state);
    let text = fs::read_to_string(state.join(CURRENT)).expect("the journal is UTF-8");
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    fs::write(state.join(FIRST), lines[..10].concat()).expect("a file");
    fs::write(state.join(SECOND), lines[10..18].concat()).expect("a file");
    fs::write(state.join(CURRENT), lines[18..].concat()).expect("a file");
    run(&state);
    (root, incidents)
}

/// Runs the agent until its start is in the journal, then stops it.
pub(crate) fn run(state: &Path) {
    let folder = Folder::with("device = \"dl-home\"\n");
    let mut command = folder.command(["run"]);
    command.env("ISPMON_STATE_DIR", state);
    let before = count_starts(state);
    let agent = Agent::spawn(&mut command);
    let start = tokio::time::Instant::now();
    while count_starts(state) == before {
        assert!(start.elapsed() < PATIENCE, "the agent does not start in {}", state.display());
        std::thread::sleep(Duration::from_millis(5));
    }
    agent.signal(rustix::process::Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{log}");
}

/// The number of agent starts in the journal files of a folder.
pub(crate) fn count_starts(state: &Path) -> usize {
    let entries = fs::read_dir(state).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| {
        let name = entry.file_name();
        // The agent may rename a file at any time.
        name.to_string_lossy().ends_with(".ndjson")
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    let texts = files.map(|entry| fs::read(entry.path()).unwrap_or_default());
    texts
        .map(|text| String::from_utf8_lossy(&text).matches("\"kind\":\"agent_started\"").count())
        .sum()
}

pub(crate) fn ispmon(state: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ispmon-agent"));
    command.env_clear().env("TZ", "UTC").current_dir("/").args(arguments);
    let output = command.arg("--state-dir").arg(state).output().expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("the program writes text");
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.metadata().expect("the file exists").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

impl Row {
    /// Edits a copy of the folder and checks it before and after a run of the agent.
    fn play(&self, base: &Path, state: &Path, incidents: &[(String, f64)]) {
        copy(base, state);
        (self.edit)(&Edited { state });
        self.check(state, incidents, "edited");
        let before = newest(state);
        run(state);
        self.check(state, incidents, "after a restart");
        let after = newest(state);
        assert!(after > before, "{}: record {before} is followed by {after}", self.name);
    }

    /// Checks the output of the commands.
    fn check(&self, state: &Path, incidents: &[(String, f64)], when: &str) {
        let name = format!("{}, {when}", self.name);
        let (code, output) = ispmon(state, &["journal", "verify"]);
        match self.named {
            None => {
                assert_eq!(code, Some(0), "{name}: {output}");
                assert!(output.contains("Every record is as it was written."), "{name}: {output}");
            }
            Some(named) => {
                assert_eq!(code, Some(1), "{name}: {output}");
                let is_named = output.contains(named) || when != "edited";
                assert!(is_named && output.contains("DAMAGED: "), "{name}: {output}");
                assert!(!output.contains("as it was written."), "{name}: {output}");
            }
        }
        let (code, outages) = ispmon(state, &["outages", "--json"]);
        assert_eq!(code, Some(0), "{name}: {outages}");
        if let Some(sentence) = self.not_shown {
            assert!(outages.contains(sentence.split('"').next().unwrap_or_default()), "{outages}");
            let plain = sentence.replace("\\\"", "\"");
            for command in [&["outages"][..], &["report"], &["journal", "verify"]] {
                let (_, output) = ispmon(state, command);
                assert!(output.contains(&plain), "{name}: {command:?}: {output}");
            }
        }
        let outages: Value = serde_json::from_str(&outages).expect("valid JSON");
        let shown = outages["incidents"].as_array().expect("a list").iter();
        let shown: BTreeMap<_, _> = shown
            .map(|it| (it["id"].as_str().expect("an id"), it["duration_s"].as_f64().expect("s")))
            .collect();
        let wanted: BTreeMap<_, _> = incidents
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.lost.contains(index))
            .map(|(_, (id, seconds))| (id.as_str(), *seconds))
            .collect();
        assert_eq!(shown, wanted, "{name}: all intact incidents are shown, and no others");
    }
}

/// The sequence number of the newest record.
fn newest(state: &Path) -> u64 {
    let (_, outages) = ispmon(state, &["outages", "--json"]);
    let outages: Value = serde_json::from_str(&outages).expect("valid JSON");
    outages["chain"]["seq"].as_u64().unwrap_or_default()
}

#[test]
fn every_edit_is_reported_and_costs_no_other_record() {
    let (root, incidents) = base();
    let base = root.path().join("state");
    assert!(ROWS.len() > 36);
    let only = std::env::var("ISPMON_TEST_ROW").unwrap_or_default();
    let failed: Vec<_> = ROWS
        .iter()
        .enumerate()
        .filter(|(_, row)| row.name.contains(&only))
        .filter(|(number, row)| {
            let state = root.path().join(number.to_string());
            let play = || row.play(&base, &state, &incidents);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(play)).is_err()
        })
        .map(|(_, row)| row.name)
        .collect();
    assert!(failed.is_empty(), "these fail, see above: {failed:#?}");
}

#[test]
fn the_agent_follows_no_symbolic_link_in_its_state_folder() {
    let root = tempfile::tempdir().expect("a folder");
    let target = root.path().join("target");
    fs::write(&target, "precious").expect("a file");
    let names = [
        CURRENT,
        "alive",
        "lock",
        "status.json",
        "status.json.new",
        "journal.partial",
        "handed-over.json",
        "handed-over.new",
        FIRST,
    ];
    for (leads_somewhere, folder) in [(true, "one"), (false, "other")] {
        let state = root.path().join(folder);
        fs::create_dir(&state).expect("a folder");
        let absent = root.path().join("absent");
        for name in names {
            let to = if leads_somewhere { &target } else { &absent };
            symlink(to, state.join(name)).expect("a link");
        }
        run(&state);
        assert_eq!(fs::read(&target).expect("the file exists"), b"precious");
        assert!(!absent.exists());
        let (code, outages) = ispmon(&state, &["outages"]);
        assert_eq!(code, Some(0), "{outages}");
    }
}

#[test]
fn no_command_blocks_on_a_named_pipe() {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path();
    let edited = Edited { state };
    for name in [CURRENT, FIRST, "alive", "lock", "status.json", "handed-over.json"] {
        edited.pipe(name);
    }
    for command in [&["outages"][..], &["report"], &["journal", "verify"], &["status"], &["doctor"]]
    {
        let (code, output) = ispmon(state, command);
        assert!(code.is_some() && !output.is_empty(), "{command:?}");
    }
    run(state);
    assert_eq!(ispmon(state, &["outages"]).0, Some(0));
}
