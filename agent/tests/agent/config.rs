//! Loading the configuration: files, variables and flags go in, settings or a complete list of
//! problems come out.

mod dotenv;
mod keys;
mod place;
mod precedence;
mod problems;
mod program;
mod sample;
mod secrets;
mod surroundings;
mod urls;
