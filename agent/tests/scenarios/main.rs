//! Scenarios for the incident machine: each `*.toml` next to this file is one, see `README.md` there.

mod change;
mod histories;
mod invariants;
mod oracle;
mod player;
mod stories;
mod story;
mod timeline;
mod world;

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// The return value of `play`, or the message of its panic: the invariants are asserted while a
/// scenario runs. The panic is not printed, because there may be thousands.
fn caught<T>(play: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if !CATCHING.get() {
                print(panicked);
            }
        }));
    });
    CATCHING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(play));
    CATCHING.set(false);
    result.map_err(|panicked| {
        let text = panicked.downcast_ref::<&str>().map(|text| (*text).to_owned());
        panicked.downcast_ref::<String>().cloned().or(text).unwrap_or_default()
    })
}

#[test]
fn a_misspelt_key_in_a_story_is_rejected() {
    let problem =
        story::check("story = 'x'\nlasts = '1m'\n[[event]]\nat = '1s'\nancors = 'silent'")
            .expect_err("the key is unknown");
    assert!(problem.contains("ancors"), "{problem}");
}

/// The keys of a table of a scenario: an unknown key is refused with a list of the known ones.
fn keys_of(table: &str) -> Vec<String> {
    let refusal = story::check(&format!("story = 'x'\nlasts = '1m'\n{table}unknown = 1"));
    let refusal = refusal.expect_err("there is no such key");
    let (_, known) = refusal.split_once("unknown field `unknown`, expected ").expect(&refusal);
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_readme_explains_every_key() {
    let readme = include_str!("README.md");
    for table in ["", "[[event]]\nat = '1s'\n", "[[expect]]\nevent = 'opened'\n", "[end]\n"] {
        let keys = keys_of(table);
        assert!(keys.len() > 2, "{table}: {keys:?}");
        for key in keys {
            let forms =
                ["`{}`", "`{} = ", "`[{}]`", "[[{}]]\n"].map(|form| form.replace("{}", &key));
            let is_explained = forms.iter().any(|form| readme.contains(form));
            assert!(is_explained, "agent/tests/scenarios/README.md does not explain `{key}`");
        }
    }
}

#[test]
fn an_invalid_repetition_is_rejected() {
    for (keys, problem) in [
        ("repeat = 3", "needs both `repeat` and `every`"),
        ("every = '2s'", "needs both `repeat` and `every`"),
        ("repeat = 1\nevery = '2s'", "below 2"),
        ("repeat = 3\nevery = '0s'", "every 0 s"),
        ("repeat = 31\nevery = '2s'", "beyond the end"),
        ("repeat = 9223372036854775807\nevery = '2s'", "beyond the end"),
        ("repeat = 3\nevery = '2s'\ngap = 'paused'\nuntil = '30s'", "`until` is one moment"),
    ] {
        let event = format!("[[event]]\nat = '1s'\n{keys}");
        let refused = story::check(&format!("story = 'x'\nlasts = '1m'\n{event}"));
        let refusal = refused.expect_err(keys);
        assert!(refusal.starts_with("the event at 1s ") && refusal.contains(problem), "{refusal}");
    }
    for (keys, problem) in [
        ("repeat = 2", "missing field `each`"),
        ("each = [{ event = 'opened' }]", "missing field `repeat`"),
        ("repeat = 1\neach = [{ event = 'opened' }]", "a `repeat` of 2 or more"),
        ("repeat = 2\neach = []", "a `repeat` of 2 or more"),
        ("repeat = 2\neach = [{ event = 'opened', started = '1s' }]", "cannot name `started`"),
        ("repeat = 2\nevent = 'closed'\neach = [{ event = 'opened' }]", "unknown field `event`"),
        ("repeat = 2\neach = [{ event = 'opened', couse = 'isp' }]", "unknown field `couse`"),
    ] {
        let refused = story::check(&format!("story = 'x'\nlasts = '1m'\n[[expect]]\n{keys}"));
        let refusal = refused.expect_err(keys);
        assert!(refusal.contains(problem), "{keys}: {refusal}");
    }
}

#[test]
fn a_repetition_equals_the_written_out_events() {
    let times = |times: &[u64]| -> String {
        let event = |at| format!("[[event]]\nat = '{at}s'\nanchors = 'silent'\n");
        let back = |at: u64| format!("[[event]]\nat = '{}s'\nanchors = 'answer'\n", at + 20);
        times.iter().map(|at| event(at) + &back(*at)).collect()
    };
    let head = "story = 'two outages'\nlasts = '5m'\n";
    let repeated = "[[event]]\nat = '70s'\nrepeat = 2\nevery = '100s'\nanchors = 'silent'\n\
                    [[event]]\nat = '90s'\nrepeat = 2\nevery = '100s'\nanchors = 'answer'\n";
    let both = "[[expect]]\nrepeat = 2\neach = [{ event = 'opened' }, { event = 'closed' }]\n";
    let written = "[[expect]]\nevent = 'opened'\n[[expect]]\nevent = 'closed'\n".repeat(2);
    for events in [times(&[70, 170]).as_str(), repeated] {
        for expectations in [both, &written] {
            story::check(&format!("{head}{events}{expectations}")).expect(events);
        }
        story::check(&format!("{head}{events}{both}{both}"))
            .expect_err("two outages do not match four expectations");
    }
}

#[test]
fn a_story_with_a_wrong_expectation_fails() {
    let quiet = "story = 'nothing happens'\nlasts = '1m'\n";
    story::check(quiet).expect("nothing happens");
    let problem = story::check(&format!("{quiet}[[expect]]\nevent = 'opened'\ncause = 'isp'"))
        .expect_err("nothing happens");
    assert!(problem.contains("expected more"), "{problem}");
}
