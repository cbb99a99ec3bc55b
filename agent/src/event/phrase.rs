//! Parts of sentences that several events use.

use std::fmt;

/// A number with its noun, in the plural unless it is 1.
pub(super) struct Counted(pub(super) u64, pub(super) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, noun) = self;
        let ending = if *number == 1 { "" } else { "s" };
        write!(formatter, "{number} {noun}{ending}")
    }
}

/// An optional further sentence, after a space.
pub(super) struct FurtherSentence<'a>(pub(super) Option<&'a str>);

impl fmt::Display for FurtherSentence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |sentence| write!(formatter, " {sentence}"))
    }
}
