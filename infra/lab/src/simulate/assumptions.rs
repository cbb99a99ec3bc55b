//! The assumptions of the simulation. Each figure is a flag, whose help gives its source.

use super::time::{DAY, HOUR, MINUTE, Millis, SECOND, seconds};

/// Assumptions about the connection, the device and Azure.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Assumptions")]
pub struct Assumptions {
    /// Times a year that the connection or the power fails; once a week for 17 of 100 households (Cisco 2013)
    #[arg(long, value_name = "COUNT", default_value_t = 52.0, value_parser = count)]
    pub outages: f64,
    /// Median length of an outage in minutes, log-normal, cut to 1 s … 7 d; assumed
    #[arg(long, value_name = "MINUTES", default_value_t = 6.0, value_parser = positive)]
    pub outage_median: f64,
    /// How widely the lengths spread: 1.8 makes 3 of 10 longer than 15 min, 1 of 1,000 longer than a day
    #[arg(long, value_name = "SIGMA", default_value_t = 1.8, value_parser = spread)]
    pub outage_spread: f64,
    /// Part of the outages that are power cuts: the agent starts anew behind them; assumed
    #[arg(long, value_name = "PART", default_value_t = 0.1, value_parser = part)]
    pub power_cuts: f64,
    /// Part of the heartbeats that time out although the connection is up; assumed
    #[arg(long, value_name = "PART", default_value_t = 0.002, value_parser = part)]
    pub heartbeat_loss: f64,
    /// Times a year that the host ends with its last 30 s of lines unsent; how often is not known
    /// (its channel buffers 30 s: ApplicationInsights-dotnet #1743, azure-functions-host #5341)
    #[arg(long, value_name = "COUNT", default_value_t = 52.0, value_parser = count)]
    pub lost_buffers: f64,
    /// Part of the heartbeats that wait 1.5 to 10 s for a cold start (azure-functions-host #11526)
    #[arg(long, value_name = "PART", default_value_t = 0.1, value_parser = part)]
    pub cold_starts: f64,
    /// Ingestion delay that 99 of 100 lines stay below, in seconds; measured over 7 days of a rule
    #[arg(long, value_name = "SECONDS", default_value_t = 49.0, value_parser = positive)]
    pub delay_p99: f64,
    /// Longest ingestion delay in seconds, which one line of 10,000 reaches; measured in the same 7 days
    #[arg(long, value_name = "SECONDS", default_value_t = 203.0, value_parser = positive)]
    pub delay_worst: f64,
    /// Let lines overtake each other: without it a delayed line holds up those behind it, which is worse
    #[arg(long)]
    pub overtaking: bool,
    /// How far an evaluation is early or late at most, in seconds; assumed
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = jitter)]
    pub jitter: f64,
    /// Restarts a year, half of the device (30 to 120 s), half of the agent alone (1 to 5 s); assumed
    #[arg(long, value_name = "COUNT", default_value_t = 24.0, value_parser = count)]
    pub restarts: f64,
    /// Pauses and sleeps a year, each announced and at most 12 h long, median 1 h; assumed
    #[arg(long, value_name = "COUNT", default_value_t = 24.0, value_parser = count)]
    pub pauses: f64,
    /// Hours a year in which Azure fails, a third each: function, ingestion, rules (99.95 % SLA: 4.4 h)
    #[arg(long, value_name = "HOURS", default_value_t = 4.4, value_parser = count)]
    pub platform_down: f64,
    /// Failures of Azure a year over which these hours are spread; assumed
    #[arg(long, value_name = "COUNT", default_value_t = 6.0, value_parser = positive)]
    pub platform_failures: f64,
    /// Mails an hour that an address gets at most (Azure's limit for action groups)
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub mail_limit: usize,
}

/// The timeout of a heartbeat: the agent's default.
pub const HEARTBEAT_TIMEOUT: Millis = 30 * SECOND;
/// The bounds of the agent's back-off: its defaults.
pub const BACKOFF: (Millis, Millis) = (SECOND, 30 * SECOND);
/// How long a heartbeat takes on a good connection to a warm function.
pub const ROUND_TRIP: Millis = 150;
/// The shortest and longest cold start, for those heartbeats that have one.
pub const COLD_START: (Millis, Millis) = (1_500, 10 * SECOND);
/// How long the agent takes to detect that connectivity is back: two good rounds, 1.5 s apart, and
/// their answers.
pub const RECOVERY_DETECTION: (Millis, Millis) = (1_500, 5 * SECOND);
/// The shortest outage that the agent records as an incident.
pub const SHORTEST_INCIDENT: Millis = 4 * SECOND;
/// The longest time that the lines lost with a host's exit had been in its buffer.
pub const BUFFER: Millis = 30 * SECOND;
/// The silence that a stopping agent announces: its default.
pub const QUIET_AFTER_STOP: Millis = 30 * MINUTE;
/// The silence that a device announces before it sleeps: the default. A pause announces its own
/// length.
pub const QUIET_AFTER_SLEEP: Millis = 12 * HOUR;
/// The time until an announcement is sent the second time.
pub const SECOND_ANNOUNCEMENT: Millis = SECOND;
/// The time until an incident is handed over the second time.
pub const SECOND_HAND_OVER: Millis = 5 * MINUTE;
/// The longest outage.
pub const LONGEST_OUTAGE: Millis = 7 * DAY;

impl Assumptions {
    /// A world without any events or delays.
    #[cfg(test)]
    pub(super) fn without_events() -> Self {
        Self {
            outages: 0.0,
            outage_median: 6.0,
            outage_spread: 1.8,
            power_cuts: 0.0,
            heartbeat_loss: 0.0,
            lost_buffers: 0.0,
            cold_starts: 0.0,
            delay_p99: 0.001,
            delay_worst: 0.001,
            overtaking: false,
            jitter: 0.0,
            restarts: 0.0,
            pauses: 0.0,
            platform_down: 0.0,
            platform_failures: 6.0,
            mail_limit: 100,
        }
    }

    /// How early or late an evaluation may be, for rules with this frequency.
    ///
    /// Evaluations never change order: at one per minute the limit is half a minute.
    pub fn jitter_at(&self, frequency: Millis) -> Millis {
        seconds(self.jitter).min(frequency / 2)
    }
}

fn number(text: &str, allowed: &str, accepts: impl Fn(f64) -> bool) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && accepts(*number));
    number.ok_or_else(|| format!("must be {allowed}"))
}

fn count(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 to 10000", |number| (0.0..=10_000.0).contains(&number))
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, "a number above 0, 10000 at most", |number| number > 0.0 && number <= 10_000.0)
}

fn part(text: &str) -> Result<f64, String> {
    number(text, "a part from 0 to 0.5, such as 0.01 for one of a hundred", |number| {
        (0.0..=0.5).contains(&number)
    })
}

fn spread(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 to 4", |number| (0.0..=4.0).contains(&number))
}

fn jitter(text: &str) -> Result<f64, String> {
    number(text, "a number of seconds from 0 to 120", |number| (0.0..=120.0).contains(&number))
}
