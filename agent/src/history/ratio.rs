//! Percentages that are never rounded up.

use std::{fmt, time::Duration};

/// A part of a whole.
///
/// It is shown in per cent with three decimals, *truncated*: a connection that was down for one
/// second in a year was not 100 % available, and 99.9996 % is shown as 99.999 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    part_ms: u128,
    whole_ms: u128,
}

impl Ratio {
    /// The share of `part` in `whole`; `None` when `whole` is zero.
    pub fn of(part: Duration, whole: Duration) -> Option<Self> {
        let (part_ms, whole_ms) = (part.as_millis(), whole.as_millis());
        (whole_ms > 0).then_some(Self { part_ms: part_ms.min(whole_ms), whole_ms })
    }

    /// The share that remains of `whole` without `lost`.
    pub fn without(lost: Duration, whole: Duration) -> Option<Self> {
        Self::of(whole.saturating_sub(lost), whole)
    }

    /// Thousandths of a per cent, 0 to 100,000, truncated.
    pub fn thousandths_of_percent(self) -> u32 {
        u32::try_from(self.part_ms * 100_000 / self.whole_ms).unwrap_or(100_000)
    }

    /// The share from 0 to 1, truncated after the fifth decimal, for machine-readable output.
    pub fn as_number(self) -> f64 {
        f64::from(self.thousandths_of_percent()) / 100_000.0
    }
}

/// `99.999 %`.
impl fmt::Display for Ratio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = self.thousandths_of_percent();
        formatter.pad(&format!("{}.{:03} %", thousandths / 1_000, thousandths % 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded_up() {
        let year = Duration::from_hours(8_760);
        let available = |lost| Ratio::without(lost, year).expect("a share").to_string();
        assert_eq!(available(Duration::ZERO), "100.000 %");
        assert_eq!(available(Duration::from_millis(1)), "99.999 %");
        assert_eq!(available(Duration::from_secs(126)), "99.999 %");
        assert_eq!(available(Duration::from_hours(10)), "99.885 %");
        assert_eq!(available(year), "0.000 %");
        assert_eq!(available(year * 2), "0.000 %");
    }

    #[test]
    fn a_share_of_zero_is_none() {
        assert_eq!(Ratio::of(Duration::ZERO, Duration::ZERO), None);
    }
}
