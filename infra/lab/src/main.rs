//! The program `ispmon-lab`; everything is in the library.

fn main() {}
