//! Formats errors as one sentence.

use std::iter;

/// Formats an error and its causes, outermost first, separated by colons.
pub fn of(error: &dyn std::error::Error) -> String {
    iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use super::*;
    use crate::mail::MailError;

    #[test]
    fn causes_follow_their_error() {
        let source = io::Error::other("no space");
        let error = MailError::Folder { path: PathBuf::from("mails"), source };
        assert_eq!(of(&error), "cannot make the mail folder `mails`: no space");
    }
}
