//! `ispmon-agent generate`: the man pages and completions that the packages contain.

use super::{fail_because, print};
use crate::{cli::GenerateRequest, exit::Exit, generate};

/// Writes the man pages to a folder, or prints a completion script.
pub fn generate(request: &GenerateRequest) -> Exit {
    match request {
        GenerateRequest::Man { folder } => match generate::write_man_pages(folder) {
            Ok(()) => Exit::Success,
            Err(error) => fail_because(&error),
        },
        GenerateRequest::Completions { shell } => {
            print(|output| generate::write_completions(*shell, output))
        }
    }
}
