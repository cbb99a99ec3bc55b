//! Prints the demo: one line per event, with real and story time.

use std::{fmt::Display, io::Write, path::Path};

use jiff::Timestamp;

use super::story::StoryStep;
use crate::{clock::StoryClock, mail::Mail};

/// The rows of a mail's body that the demo shows; the file contains all of them.
const SHOWN_ROWS: [&str; 7] = [
    "Alert name",
    "Severity",
    "Monitor condition",
    "Fired time",
    "Resolved time",
    "Dimension",
    "Metric value",
];

/// Prints the demo.
///
/// Write errors are ignored: the outcome does not depend on whether the output is read.
#[derive(Debug)]
pub struct Narrator<W> {
    output: W,
    clock: StoryClock,
}

/// A completed step and its time.
pub type Completed = (StoryStep, Timestamp);

impl<W: Write> Narrator<W> {
    /// Creates a narrator with the clock `clock`.
    pub const fn new(output: W, clock: StoryClock) -> Self {
        Self { output, clock }
    }

    /// Prints a line without a time.
    pub fn print_line(&mut self, text: impl Display) {
        // See the type's documentation.
        let _ = writeln!(self.output, "{text}");
    }

    /// Prints an event with its story time.
    pub fn print_event(&mut self, at: Timestamp, text: impl Display) {
        let times = self.times(at);
        self.print_line(format_args!("{times}   {text}"));
    }

    /// Prints the introduction, and the headings of the columns that [`Self::print_event`] prints.
    pub fn print_introduction(&mut self, device: &str) {
        self.print_line(format_args!(
            "The agent on {device} sends heartbeats to the function in the cloud, where alert rules expect\n\
             them. The connection between the two will be cut and restored.\n\
             \n\
             Agent and function are real processes; the cloud around the function is simulated on this machine.\n\
             One second of the demo is one minute of story time. The agent runs in real time: when it\n\
             logs 1 s, that is one minute of story time.\n"
        ));
        self.print_line("    demo       story");
    }

    /// Prints a mail's most important parts.
    pub fn mail(&mut self, mail: &Mail, file: &Path) {
        self.print_event(mail.sent, format_args!("MAIL     {}", mail.subject));
        let to = mail.to.join(", ");
        for row in std::iter::once(format!("{:<28}{to}", "To")).chain(shown_rows(&mail.body)) {
            self.print_line(format_args!("{:23}│ {row}", ""));
        }
        let file = file.file_name().unwrap_or_default().display();
        self.print_line(format_args!("{:23}└ {file}", ""));
    }

    /// Prints the state of every step, and the closing sentence if all are complete.
    pub fn summary(&mut self, completed: &[Completed]) {
        self.print_line("");
        self.print_line("    demo       story        step");
        for step in StoryStep::ALL {
            match completed.iter().find(|(done, _)| *done == step) {
                Some((_, at)) => self.print_event(*at, format_args!("ok   {step}")),
                None => self.print_line(format_args!("       –           –   --   {step}")),
            }
        }
        self.print_line("");
        if let Some((StoryStep::Quiet, at)) = completed.last() {
            let real = self.clock.real_until(*at).as_secs_f64();
            let minutes = at.duration_since(self.clock.epoch()).as_mins();
            let all = "Every step happened, in its order and in time";
            self.print_line(format_args!("{all}: {minutes} minutes of the story in {real:.1} s."));
        }
    }

    /// Formats real seconds and story minutes since the start.
    fn times(&self, at: Timestamp) -> String {
        let real = self.clock.real_until(at).as_secs_f64();
        let story = at.duration_since(self.clock.epoch()).as_secs_f64() / 60.0;
        format!("{real:6.1} s  {story:6.1} min")
    }
}

/// Returns the rows of a mail's body to show, in its order.
fn shown_rows(body: &str) -> impl Iterator<Item = String> {
    body.lines()
        .filter(|row| SHOWN_ROWS.iter().any(|name| row.starts_with(name)))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::clock::Scale;

    fn output_of(tell: impl FnOnce(&mut Narrator<&mut Vec<u8>>, Timestamp)) -> String {
        let mut output = Vec::new();
        let epoch = "2026-03-01T12:00:00Z".parse().expect("a valid time");
        let clock = StoryClock::start_at(Scale::FASTEST, epoch);
        tell(&mut Narrator::new(&mut output, clock), epoch);
        String::from_utf8(output).expect("plain text")
    }

    fn minutes(minutes: i64) -> SignedDuration {
        SignedDuration::from_mins(minutes)
    }

    #[test]
    fn a_line_has_real_and_story_time() {
        let text = output_of(|narrator, epoch| {
            narrator.print_event(epoch + SignedDuration::from_secs(450), "NETWORK  It is cut.");
        });
        assert_eq!(text, "   7.5 s     7.5 min   NETWORK  It is cut.\n");
    }

    #[test]
    fn the_summary_of_an_incomplete_story_shows_the_missing_steps() {
        let text = output_of(|narrator, epoch| {
            narrator.summary(&[
                (StoryStep::FirstHeartbeat, epoch + minutes(1)),
                (StoryStep::RegularHeartbeats, epoch + minutes(5)),
                (StoryStep::ConnectionCut, epoch + minutes(7)),
            ]);
        });
        insta::assert_snapshot!(text, @"

         demo       story        step
        1.0 s     1.0 min   ok   the first heartbeat can be queried
        5.0 s     5.0 min   ok   heartbeats come regularly
        7.0 s     7.0 min   ok   the connection is cut
            –           –   --   the agent notices
            –           –   --   the alert mail, after 5 to 10 minutes of silence
            –           –   --   the reminder, at the mark of 10 or 15 minutes
            –           –   --   the connection is restored
            –           –   --   a heartbeat comes through within seconds
            –           –   --   the report mail, with cause, start, end and minutes
            –           –   --   the resolved mail, after three healthy evaluations
            –           –   --   no further mail
        ");
    }

    #[test]
    fn the_summary_of_a_complete_story_ends_with_its_duration() {
        let text = output_of(|narrator, epoch| {
            let completed: Vec<Completed> = StoryStep::ALL
                .iter()
                .zip(1..)
                .map(|(step, at)| (*step, epoch + minutes(at)))
                .collect();
            narrator.summary(&completed);
        });
        let last = text.lines().last();
        let expected =
            "Every step happened, in its order and in time: 11 minutes of the story in 11.0 s.";
        assert_eq!(last, Some(expected));
        assert!(!text.contains("--"), "{text}");
    }
}
