//! How much goes into one message, and what an answer to it means: a pure function.
//!
//! | course \ answer | taken | refused for its content | anything else |
//! |---|---|---|---|
//! | `Whole`: as much as a message holds | noted | `Asking`, at once | back off |
//! | `Parts`: `most` at most | noted; twice as much, `Whole` when that is a full message | only one was sent: `Asking`, at once; else half of what was sent, after a pause | `Whole`; back off |
//! | `Asking`: nothing, after `sent` were refused | one: it is passed over, then `Parts` from 1; more: `Parts`, half of them | `Whole`; back off | `Whole`; back off |
//!
//! 1. An empty message shows whether it was the content: whoever refuses that one too refuses everything,
//!    such as a wrong address or a firewall in front of the app, and would lose us the record.
//! 2. Nothing is passed over that was not refused alone, immediately before an empty message was taken.
//! 3. A refusal halves what goes next, and what was taken doubles it. So one bad incident costs about
//!    two messages for each halving, and where all are bad, each costs two.

use ispmon_wire::limits;

use crate::heartbeat::{AnswerRefusal, HeartbeatOutcome};

/// What the next message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadState {
    /// As many as a message holds.
    Whole,
    /// At most so many.
    Parts {
        /// From 1 to below what a message holds.
        most: usize,
    },
    /// None: whether the content was the reason for a refusal.
    Asking {
        /// How many were refused.
        sent: usize,
    },
}

/// What an answer means for what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadResult {
    /// The cloud has all of it.
    Taken,
    /// It cannot understand it, or it is too much.
    Refused,
    /// Nothing is known of it.
    Unknown,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadAction {
    /// Note that it was taken, and go on.
    Note,
    /// Note that it was passed over, and go on after a pause.
    PassOver,
    /// Send an empty message at once.
    Ask,
    /// Try less of it after a pause.
    Halve,
    /// Try again later.
    BackOff,
}

impl UploadResult {
    /// What came of a message.
    pub(super) fn of(outcome: &HeartbeatOutcome) -> Self {
        match outcome {
            HeartbeatOutcome::Delivered { .. } => Self::Taken,
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
    /// How many the next message holds at most.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Parts { most } => most,
            Self::Whole | Self::Asking { .. } => limits::INCIDENTS,
        }
    }

    /// Takes one step, by the table at the top: the message held `sent`.
    pub(super) fn step(self, sent: usize, answer: UploadResult) -> (Self, UploadAction) {
        match (self, answer) {
            (_, UploadResult::Unknown) | (Self::Asking { .. }, UploadResult::Refused) => {
                (Self::Whole, UploadAction::BackOff)
            }
            (Self::Whole, UploadResult::Taken) => (Self::Whole, UploadAction::Note),
            (Self::Parts { most }, UploadResult::Taken) => {
                (Self::parts(2 * most), UploadAction::Note)
            }
            (Self::Parts { .. }, UploadResult::Refused) if sent > 1 => {
                (Self::parts(sent / 2), UploadAction::Halve)
            }
            (Self::Whole | Self::Parts { .. }, UploadResult::Refused) => {
                (Self::Asking { sent }, UploadAction::Ask)
            }
            (Self::Asking { sent: 0 | 1 }, UploadResult::Taken) => {
                (Self::parts(1), UploadAction::PassOver)
            }
            (Self::Asking { sent }, UploadResult::Taken) => {
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
    use std::time::Duration;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A cloud that takes nothing for as many messages as `trouble` says, and never more than `room`
    /// entries at once, nor any of the bad ones.
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
                && answer != UploadResult::Taken
            {
                return answer;
            }
            let is_bad = sent.len() > self.room || sent.iter().any(|entry| self.bad[*entry]);
            if is_bad { UploadResult::Refused } else { UploadResult::Taken }
        }

        /// Hands everything over; returns which were taken and which were passed over.
        fn play(&mut self) -> (Vec<usize>, Vec<usize>) {
            let (mut taken, mut passed_over, mut next) = (Vec::new(), Vec::new(), 0);
            let mut course = UploadState::Whole;
            while next < self.bad.len() {
                let sent: Vec<usize> = (next..self.bad.len()).take(course.most()).collect();
                let answer = self.answer(&sent);
                let (mut after, mut action) = course.step(sent.len(), answer);
                if action == UploadAction::Ask {
                    let answer = self.answer(&[]);
                    (after, action) = after.step(0, answer);
                }
                course = after;
                match action {
                    UploadAction::Note => {
                        next += sent.len();
                        taken.extend(sent);
                    }
                    UploadAction::PassOver => {
                        assert_eq!(sent.len(), 1);
                        next += 1;
                        passed_over.extend(sent);
                    }
                    UploadAction::Halve | UploadAction::BackOff => {}
                    UploadAction::Ask => {
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
        fn the_bad_ones_are_found_and_nothing_else_is_lost(
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
            // Where there is room for all, a bad one costs two halvings, up and down, and both questions.
            if room == limits::INCIDENTS {
                let most = count.div_ceil(100) + failures + 30 * passed_over.len();
                prop_assert!(world.messages <= most, "{} messages", world.messages);
            } else {
                let most = 4 * count.div_ceil(room) + 20 + failures + 30 * passed_over.len();
                prop_assert!(world.messages <= most, "{} messages of {} at most", world.messages, most);
            }
        }

        #[test]
        fn whoever_refuses_everything_loses_nothing(
            count in 1_usize..300,
            trouble in vec(prop_oneof![Just(UploadResult::Refused), Just(UploadResult::Unknown)], 1..60),
        ) {
            // It ends between two messages that belong together at most, never in the middle of many.
            let mut world = RefusingCloud { bad: flags(count, &[]), room: 100, trouble, messages: 0 };
            let end = world.trouble.len();
            let (mut course, mut asked) = (UploadState::Whole, false);
            while world.messages < end {
                let sent: Vec<usize> =
                    if asked { Vec::new() } else { (0..count.min(course.most())).collect() };
                let answer = world.answer(&sent);
                let (after, action) = course.step(sent.len(), answer);
                prop_assert!(!matches!(action, UploadAction::Note | UploadAction::PassOver), "{:?}", action);
                (course, asked) = (after, action == UploadAction::Ask);
            }
        }
    }

    #[test]
    fn where_all_are_bad_each_costs_two_messages() {
        let mut world =
            RefusingCloud { bad: vec![true; 500], room: 100, trouble: vec![], messages: 0 };
        assert_eq!(world.play().1.len(), 500);
        assert!(world.messages < 2 * 500 + 10, "{}", world.messages);
    }

    #[test]
    fn only_what_speaks_of_the_content_is_taken_for_a_refusal_of_it() {
        let refused = |status, refusal| HeartbeatOutcome::Refused {
            status,
            refusal,
            retry_after: None,
            proof: None,
            took: Duration::ZERO,
        };
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
