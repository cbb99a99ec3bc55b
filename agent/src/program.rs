//! Runs programs of the system whose output is parsed, with a time limit.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Standard output of a program in English; `None` if it cannot be started, writes no text, or has not
/// finished after `limit`, because the bus or the directory that the program uses may hang.
pub fn output(program: &str, arguments: &[&str], limit: Duration) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        if stdout.read_to_string(&mut text).is_ok() {
            // The receiver is gone after the limit.
            let _ = sender.send(text);
        }
    });
    let text = receiver.recv_timeout(limit).ok();
    if text.is_none() {
        let _ = child.kill();
    }
    let _ = child.wait();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_or_is_missing_has_no_output() {
        const PATIENCE: Duration = Duration::from_mins(1);
        assert_eq!(output("/nonexistent/program", &[], PATIENCE), None);
        assert_eq!(output("/bin/echo", &["yes"], PATIENCE).as_deref(), Some("yes\n"));
        assert_eq!(output("/bin/sleep", &["600"], Duration::from_millis(50)), None);
    }
}
