//! Tests of the handler's interfaces: the socket, stdout, the exit status.

mod bounds;
mod contract;
mod endpoints;
mod lines;
mod process;
mod stdout;
mod support;
