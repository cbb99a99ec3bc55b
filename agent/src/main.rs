//! The program `ispmon-agent`; everything is in the library.

fn main() {}
