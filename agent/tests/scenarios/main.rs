//! The incident machine in stories: each `*.toml` beside this file is one, see `README.md` there.

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

/// What `play` returns, or the message with which it panicked: what must always hold is asserted while
/// a story is played. The panic is not printed, because there may be thousands.
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
fn a_misspelt_word_in_a_story_is_refused() {
    let problem =
        story::check("story = 'x'\nlasts = '1m'\n[[event]]\nat = '1s'\nancors = 'silent'")
            .expect_err("there is no such word");
    assert!(problem.contains("ancors"), "{problem}");
}

#[test]
fn a_story_that_expects_something_else_fails() {
    let quiet = "story = 'nothing happens'\nlasts = '1m'\n";
    story::check(quiet).expect("nothing happens");
    let problem = story::check(&format!("{quiet}[[expect]]\nevent = 'opened'\ncause = 'isp'"))
        .expect_err("nothing happens");
    assert!(problem.contains("expected more"), "{problem}");
}
