//! Durations as people read them.

use std::{fmt, time::Duration};

/// Shows a duration in its two largest units: `132 ms`, `4.2 s`, `20 min 3 s`, `2 h 5 min`, `3 d 4 h`.
///
/// Smaller units are truncated, never rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable(pub Duration);

impl fmt::Display for Readable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let seconds = self.0.as_secs();
        if milliseconds < 1_000 {
            return write!(formatter, "{milliseconds} ms");
        }
        if seconds < 10 && self.0.subsec_millis() >= 100 {
            return write!(formatter, "{seconds}.{} s", self.0.subsec_millis() / 100);
        }
        let units = [
            (seconds / 86_400, "d"),
            (seconds / 3_600 % 24, "h"),
            (seconds / 60 % 60, "min"),
            (seconds % 60, "s"),
        ];
        let largest = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
        let (count, unit) = units[largest];
        write!(formatter, "{count} {unit}")?;
        match units.get(largest + 1) {
            Some((count, unit)) if *count > 0 => write!(formatter, " {count} {unit}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_units_are_shown() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (132, "132 ms"),
            (1_000, "1 s"),
            (1_050, "1 s"),
            (4_290, "4.2 s"),
            (10_900, "10 s"),
            (60_000, "1 min"),
            (1_203_000, "20 min 3 s"),
            (3_600_000, "1 h"),
            (3_605_000, "1 h"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(Readable(Duration::from_millis(milliseconds)).to_string(), text);
        }
    }
}
