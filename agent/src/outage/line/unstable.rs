//! A line that fails and returns again and again: one incident that counts, until it has been quiet.

use fastrand::Rng;

use super::{Cause, Line, OpenIncident, Scope, Suspicion, Transition, elapsed, later};
use crate::clock::Stamp;

impl Line {
    /// Counts an incident that begins, and tells whether it makes the line an unstable one.
    pub(super) fn is_unstable_with(&mut self, started: Stamp) -> bool {
        let limits = self.settings.limits;
        self.begun.push_back(started);
        while self.begun.len() > limits.unstable_after {
            self.begun.pop_front();
        }
        self.begun.len() == limits.unstable_after
            && self
                .begun
                .front()
                .is_some_and(|first| elapsed(*first, started) <= limits.unstable_within)
    }

    pub(super) fn fail_again(
        &mut self,
        suspicion: Option<Suspicion>,
        now: Stamp,
    ) -> Vec<Transition> {
        let Some(quiet_since) = self.quiet_since.take() else { return self.go_on(suspicion, now) };
        let scope = self.open.as_ref().map_or(Scope::Internet, OpenIncident::scope);
        let from = later(self.first_fail(scope, now), quiet_since);
        self.mark_down(scope, now);
        let soft = self.soft_cause(suspicion, now).map(|(cause, _)| cause);
        let cause = self.cause(scope, None, now).or(soft).unwrap_or(Cause::Isp);
        if let Some(open) = &mut self.open {
            open.failed_again();
            open.change(cause, from, now);
        }
        self.progress(now)
    }

    /// Something of another `scope` fails than what `was` unstable; nothing when the incident of the
    /// latter is failing just now.
    ///
    /// Where one family is back the internet is, and the other one mostly follows within moments, so
    /// that waits as long as any good time of an unstable line must last.
    pub(super) fn leave_unstable(
        &mut self,
        was: Scope,
        scope: Scope,
        returned: Option<Stamp>,
        suspicion: Option<Suspicion>,
        now: Stamp,
        random: &mut Rng,
    ) -> Option<Vec<Transition>> {
        let Some(since) = self.quiet_since else {
            return (was == Scope::Internet)
                .then(|| self.pause_unstable(returned.unwrap_or(now), now));
        };
        let is_half_back = was == Scope::Internet;
        if is_half_back && elapsed(since, now) < self.settings.limits.unstable_quiet {
            return Some(self.pause_unstable(since, now));
        }
        // What fails now is something else than what failed again and again, and counts anew.
        self.begun.clear();
        let mut transitions = self.end(Some(since), now);
        let handed_over = is_half_back.then_some(since);
        transitions.extend(self.begin(scope, handed_over, suspicion, now, random));
        Some(transitions)
    }

    pub(super) fn pause_unstable(&mut self, returned: Stamp, now: Stamp) -> Vec<Transition> {
        let Some(open) = &mut self.open else { return Vec::new() };
        if self.quiet_since.is_some() {
            open.extend(now);
            return Vec::new();
        }
        open.change(Cause::Up, returned, now);
        self.quiet_since = Some(returned);
        self.progress(now)
    }

    /// Notes how an unstable line does, but not each time.
    pub(super) fn progress(&mut self, now: Stamp) -> Vec<Transition> {
        let Some(open) = &self.open else { return Vec::new() };
        let lately = self
            .progressed
            .is_some_and(|at| elapsed(at, now) < self.settings.limits.progress_every);
        if lately {
            return Vec::new();
        }
        self.progressed = Some(now);
        vec![Transition::Progressed(open.snapshot(now))]
    }

    /// Closes an unstable incident that was quiet for long enough.
    pub(super) fn calm_down(&mut self, now: Stamp) -> Vec<Transition> {
        let quiet = self
            .quiet_since
            .filter(|since| elapsed(*since, now) >= self.settings.limits.unstable_quiet);
        let in_doubt = self.judged().iter().any(|family| family.is_doubted());
        match quiet {
            Some(since) if !in_doubt => {
                self.begun.clear();
                self.end(Some(since), now)
            }
            _ => Vec::new(),
        }
    }
}
