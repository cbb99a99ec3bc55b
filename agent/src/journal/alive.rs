//! The alive file: one record of fixed size that is overwritten in place.

use std::io::Write as _;

use jiff::Timestamp;

use super::{
    chain::NotedHash,
    record::{Digest, LARGEST_SEQ},
};
use crate::clock::Stamp;

/// The size of the file in bytes.
pub(super) const BYTES: usize = 128;
/// The number of leading bytes that the checksum covers.
const COVERED: usize = 117;
/// How many digits of the newest record's hash the file holds: enough to detect a changed line.
const HASH_DIGITS: usize = 12;

/// When the agent was last known to run, and the newest durable record at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    pub(super) at: Stamp,
    /// The number of the newest durable record; 0 when there is none.
    pub(super) seq: u64,
    /// The first digits of its hash.
    hash: String,
}

impl Alive {
    pub(super) fn new(at: Stamp, seq: u64, digest: &Digest) -> Self {
        let hash = digest.as_str().get(..HASH_DIGITS).unwrap_or_default().to_owned();
        Self { at, seq, hash }
    }

    /// The number and partial hash of the newest record, for comparison with the chain.
    pub(super) fn noted_hash(self) -> NotedHash {
        NotedHash { seq: self.seq, hash: self.hash }
    }

    /// The content of the file.
    pub(super) fn to_bytes(&self) -> [u8; BYTES] {
        let mut text = Vec::with_capacity(BYTES);
        let Stamp { boot, boot_ms, wall } = self.at;
        // Years beyond these would not fit, and only show that the clock is wrong.
        let wall = wall.clamp(Timestamp::UNIX_EPOCH, year_9999());
        let (boot_ms, seq) = (boot_ms.min(MOST_MS), self.seq.min(LARGEST_SEQ));
        let hash = &self.hash;
        // Writing to a vector cannot fail.
        let _ =
            write!(text, "ispmon-alive 1 {boot} {boot_ms:013} {wall:.3} {seq:012} {hash:0>12} ");
        let digest = Digest::of(&text);
        text.extend_from_slice(&digest.as_str().as_bytes()[..BYTES - COVERED - 1]);
        text.push(b'\n');
        let mut bytes = [b' '; BYTES];
        bytes.copy_from_slice(&text);
        bytes
    }

    /// Reads the content of the file; `None` when it was torn or is another file.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let (covered, rest) = bytes.split_at(COVERED);
        let checksum = rest.strip_suffix(b"\n")?;
        if !Digest::of(covered).as_str().as_bytes().starts_with(checksum) {
            return None;
        }
        let text = str::from_utf8(covered).ok()?.strip_prefix("ispmon-alive 1 ")?;
        let mut fields = text.split_terminator(' ');
        let mut field = || fields.next();
        let boot = field()?.parse().ok()?;
        let boot_ms = field()?.parse().ok()?;
        let wall = field()?.parse().ok()?;
        let seq = field()?.parse().ok()?;
        let hash = field()?.to_owned();
        Some(Self { at: Stamp { boot, boot_ms, wall }, seq, hash })
    }
}

/// The largest number that 13 digits hold: 316 years.
const MOST_MS: u64 = 9_999_999_999_999;

fn year_9999() -> Timestamp {
    Timestamp::MAX.min(Timestamp::from_second(253_402_207_200).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;

    fn alive() -> Alive {
        let boot = "1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42".parse().expect("a boot id");
        let wall = "2026-11-24T08:01:40.250Z".parse().expect("a time");
        Alive::new(Stamp { boot, boot_ms: 86_400_000, wall }, 41, &Digest::of(b"41"))
    }

    #[test]
    fn the_content_is_one_line_of_128_bytes() {
        let bytes = alive().to_bytes();
        insta::assert_snapshot!(str::from_utf8(&bytes).expect("the content is ASCII"), @"ispmon-alive 1 1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42 0000086400000 2026-11-24T08:01:40.250Z 000000000041 3d914f9348c9 adba47ba4d");
        assert_eq!(Alive::from_bytes(&bytes), Some(alive()));
    }

    #[test]
    fn extreme_values_keep_the_size() {
        for wall in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
            let at = Stamp { boot: BootId::UNKNOWN, boot_ms: u64::MAX, wall };
            let bytes = Alive::new(at, u64::MAX, &Digest::none()).to_bytes();
            assert!(Alive::from_bytes(&bytes).is_some(), "{wall}");
        }
    }

    #[test]
    fn a_torn_write_is_detected_at_every_offset() {
        let old = alive().to_bytes();
        let at = alive().at.later(std::time::Duration::from_mins(1));
        let later = Alive::new(at, 42, &Digest::of(b"42"));
        let new = later.to_bytes();
        for cut in 0..=BYTES {
            let torn = [&new[..cut], &old[cut..]].concat();
            let read = Alive::from_bytes(&torn);
            assert!([None, Some(alive()), Some(later.clone())].contains(&read), "{cut}");
            if torn != old && torn != new {
                assert_eq!(read, None, "{cut}");
            }
            assert_eq!(Alive::from_bytes(&new[..cut]), (cut == BYTES).then(|| later.clone()));
        }
    }
}
