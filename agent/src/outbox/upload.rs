//! The size of the next message, and the reaction to a response: a pure state machine.
//!
//! | state \ response | accepted | refused for its content | anything else |
//! |---|---|---|---|
//! | `Whole`: as much as a message holds | saved | `Asking`, at once | back off |
//! | `Parts`: at most `most` | saved; twice as much, `Whole` when that is a full message | only one was sent: `Asking`, at once; else half of what was sent, after a pause | `Whole`; back off |
//! | `Asking`: an empty message, after `sent` were refused | one: it is skipped, then `Parts` from 1; more: `Parts`, half of them | `Whole`; back off | `Whole`; back off |
//!
//! 1. An empty message shows whether the content was the reason: an endpoint that refuses it too
//!    refuses everything, such as a wrong address or a firewall in front of the app, and would make
//!    us skip the whole journal.
//! 2. An incident is skipped only if it was refused alone, immediately before an empty message was
//!    accepted.
//! 3. A refusal halves the next message, and a success doubles it. So one bad incident costs about
//!    two messages per halving, and if all are bad, each costs two.

use ispmon_wire::limits;

use crate::heartbeat::{AnswerRefusal, HeartbeatOutcome};

/// The content of the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadState {
    /// As many incidents as a message holds.
    Whole,
    /// At most this many.
    Parts {
        /// From 1 to one less than a message holds.
        most: usize,
    },
    /// None: the message tests whether the content caused the refusal.
    Asking {
        /// How many were refused.
        sent: usize,
    },
}

/// The meaning of a response for the incidents that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadResult {
    /// The cloud has all of them.
    Accepted,
    /// The cloud cannot parse them, or the message is too large.
    Refused,
    /// It is unknown whether the cloud has them.
    Unknown,
}

/// The next action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadAction {
    /// Save that the incidents were accepted, and continue.
    Save,
    /// Save that the incident is skipped, and continue after a pause.
    PassOver,
    /// Send an empty message at once.
    SendEmpty,
    /// Send fewer after a pause.
    Halve,
    /// Retry later.
    BackOff,
}

impl UploadResult {
    /// Classifies the outcome of a message.
    pub(super) fn of(outcome: &HeartbeatOutcome) -> Self {
        match outcome {
            HeartbeatOutcome::Delivered { .. } => Self::Accepted,
            // Bad Request, Content Too Large, Unprocessable Content.
            HeartbeatOutcome::Refused {
                status: 400 | 413 | 422,
                refusal: AnswerRefusal::Status,
                ..
            } => Self::Refused,
            HeartbeatOutcome::Refused { .. } | HeartbeatOutcome::Failed(_) => Self::Unknown,
        }
    }
}

impl UploadState {
    /// The largest number of incidents in the next message.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Parts { most } => most,
            Self::Whole | Self::Asking { .. } => limits::INCIDENTS,
        }
    }

    /// Takes one step by the table at the top; the message held `sent` incidents.
    pub(super) fn step(self, sent: usize, answer: UploadResult) -> (Self, UploadAction) {
        match (self, answer) {
            (_, UploadResult::Unknown) | (Self::Asking { .. }, UploadResult::Refused) => {
                (Self::Whole, UploadAction::BackOff)
            }
            (Self::Whole, UploadResult::Accepted) => (Self::Whole, UploadAction::Save),
            (Self::Parts { most }, UploadResult::Accepted) => {
                (Self::parts(2 * most), UploadAction::Save)
            }
            (Self::Parts { .. }, UploadResult::Refused) if sent > 1 => {
                (Self::parts(sent / 2), UploadAction::Halve)
            }
            (Self::Whole | Self::Parts { .. }, UploadResult::Refused) => {
                (Self::Asking { sent }, UploadAction::SendEmpty)
            }
            (Self::Asking { sent: 0 | 1 }, UploadResult::Accepted) => {
                (Self::parts(1), UploadAction::PassOver)
            }
            (Self::Asking { sent }, UploadResult::Accepted) => {
                (Self::parts(sent / 2), UploadAction::Halve)
            }
        }
    }

    fn parts(most: usize) -> Self {
        if most < limits::INCIDENTS { Self::Parts { most } } else { Self::Whole }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::heartbeat::tests::refused_with;

    /// A cloud that first returns the responses in `trouble`, and never accepts more than `room`
    /// incidents at once, nor any of the bad ones.
    struct RefusingCloud {
        bad: Vec<bool>,
        room: usize,
        trouble: Vec<UploadResult>,
        messages: usize,
    }

    impl RefusingCloud {
        fn answer(&mut self, sent: &[usize]) -> UploadResult {
            self.messages += 1;
            if let Some(answer) = self.trouble.pop()
                && answer != UploadResult::Accepted
            {
                return answer;
            }
            let is_bad = sent.len() > self.room || sent.iter().any(|entry| self.bad[*entry]);
            if is_bad { UploadResult::Refused } else { UploadResult::Accepted }
        }

        /// Hands everything over; returns the accepted and the skipped incidents.
        fn play(&mut self) -> (Vec<usize>, Vec<usize>) {
            let (mut taken, mut passed_over, mut next) = (Vec::new(), Vec::new(), 0);
            let mut course = UploadState::Whole;
            while next < self.bad.len() {
                let sent: Vec<usize> = (next..self.bad.len()).take(course.most()).collect();
                let answer = self.answer(&sent);
                let (mut after, mut action) = course.step(sent.len(), answer);
                if action == UploadAction::SendEmpty {
                    let answer = self.answer(&[]);
                    (after, action) = after.step(0, answer);
                }
                course = after;
                match action {
                    UploadAction::Save => {
                        next += sent.len();
                        taken.extend(sent);
                    }
                    UploadAction::PassOver => {
                        assert_eq!(sent.len(), 1);
                        next += 1;
                        passed_over.extend(sent);
                    }
                    UploadAction::Halve | UploadAction::BackOff => {}
                    UploadAction::SendEmpty => {
                        unreachable!("an empty message is not followed by another one")
                    }
                }
            }
            (taken, passed_over)
        }
    }

    fn flags(count: usize, bad: &[usize]) -> Vec<bool> {
        let mut flags = vec![false; count];
        for place in bad {
            flags[place % count] = true;
        }
        flags
    }

    proptest! {
        #[test]
        fn only_bad_incidents_are_skipped(
            count in 1_usize..700,
            bad in vec(0_usize..700, 0..6),
            room in prop_oneof![Just(100_usize), 1_usize..100],
            failures in 0_usize..10,
        ) {
            let bad = flags(count, &bad);
            let trouble = vec![UploadResult::Unknown; failures];
            let mut world = RefusingCloud { bad: bad.clone(), room, trouble, messages: 0 };
            let (taken, passed_over) = world.play();
            let expected = |is_bad| (0..count).filter(|entry| bad[*entry] == is_bad).collect::<Vec<_>>();
            prop_assert_eq!(taken, expected(false), "each once and in order");
            prop_assert_eq!(passed_over.clone(), expected(true));
            // With room for all, a bad one costs two series of halvings, up and down, and both
            // empty messages.
            if room == limits::INCIDENTS {
                let most = count.div_ceil(100) + failures + 30 * passed_over.len();
                prop_assert!(world.messages <= most, "{} messages", world.messages);
            } else {
                let most = 4 * count.div_ceil(room) + 20 + failures + 30 * passed_over.len();
                prop_assert!(world.messages <= most, "{} messages of {} at most", world.messages, most);
            }
        }

        #[test]
        fn an_endpoint_that_refuses_everything_loses_no_incident(
            count in 1_usize..300,
            trouble in vec(prop_oneof![Just(UploadResult::Refused), Just(UploadResult::Unknown)], 1..60),
        ) {
            // The loop ends at most between two messages that belong together, never within a
            // longer series.
            let mut world = RefusingCloud { bad: flags(count, &[]), room: 100, trouble, messages: 0 };
            let end = world.trouble.len();
            let (mut course, mut asked) = (UploadState::Whole, false);
            while world.messages < end {
                let sent: Vec<usize> =
                    if asked { Vec::new() } else { (0..count.min(course.most())).collect() };
                let answer = world.answer(&sent);
                let (after, action) = course.step(sent.len(), answer);
                prop_assert!(!matches!(action, UploadAction::Save | UploadAction::PassOver), "{:?}", action);
                (course, asked) = (after, action == UploadAction::SendEmpty);
            }
        }
    }

    #[test]
    fn if_all_are_bad_each_costs_two_messages() {
        let mut world =
            RefusingCloud { bad: vec![true; 500], room: 100, trouble: vec![], messages: 0 };
        assert_eq!(world.play().1.len(), 500);
        assert!(world.messages < 2 * 500 + 10, "{}", world.messages);
    }

    #[test]
    fn only_statuses_about_the_content_count_as_its_refusal() {
        let refused = |status, refusal| refused_with(status, refusal, None);
        for status in [400, 413, 422] {
            assert_eq!(
                UploadResult::of(&refused(status, AnswerRefusal::Status)),
                UploadResult::Refused
            );
        }
        for status in [301, 401, 403, 404, 405, 407, 408, 429, 500, 502, 503] {
            assert_eq!(
                UploadResult::of(&refused(status, AnswerRefusal::Status)),
                UploadResult::Unknown
            );
        }
        let page = AnswerRefusal::OtherAnswer { expected: String::new(), answer: String::new() };
        assert_eq!(UploadResult::of(&refused(200, page)), UploadResult::Unknown);
        assert_eq!(
            UploadResult::of(&refused(403, AnswerRefusal::AppStopped)),
            UploadResult::Unknown
        );
    }
}
