//! The handler at its edges: the socket, stdout, the exit status.

mod bounds;
mod contract;
mod endpoints;
mod lines;
mod process;
mod stdout;
mod support;
