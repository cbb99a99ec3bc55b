//! `ispmon-agent generate`: man pages, completions and message catalog, as the packages contain them.

use std::io::Write;

use super::{fail_because, print};
use crate::{cli::GenerateRequest, event, exit::Exit, generate};

/// Writes the man pages to a folder, or prints a completion script.
pub fn generate(request: &GenerateRequest) -> Exit {
    match request {
        GenerateRequest::Man { folder } => match generate::write_man_pages(folder) {
            Ok(()) => Exit::Success,
            Err(error) => fail_because(&error),
        },
        GenerateRequest::Catalog => print(|output| output.write_all(event::catalog().as_bytes())),
        GenerateRequest::Completions { shell } => {
            print(|output| generate::write_completions(*shell, output))
        }
    }
}
