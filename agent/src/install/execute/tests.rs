//! Carries plans out below a temporary folder, with fake programs that log their calls and fail on request.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, sync::atomic::AtomicBool};

use tempfile::TempDir;

use super::*;
use crate::install::{
    facts::{Activity, BootStart, InstallFacts},
    gather::gather,
    import::Imported,
    layout::{Layout, Platform},
    plan::{InstallRequest, RemovalRequest, plan_installation, plan_removal},
};

/// A system below a temporary folder. Its programs log their calls; systemctl and launchctl store whether
/// the service runs, and the call whose number is in `fail` exits with an error.
struct System {
    folder: TempDir,
    machine: TargetSystem,
}

const PROGRAM: &str = r#"#!/bin/sh
cd "$(dirname "$0")/.." || exit 9
name=$(basename "$0")
case "$name $1" in
  "systemctl show" | "systemctl --version") ;;
  "launchctl print" | "id "* | "getent "* | "dpkg "* | "rpm "* | "systemd-sysusers --version") ;;
  "dscl .") [ "$2" = -list ] || [ "$2" = -read ] || count=1 ;;
  *) count=1 ;;
esac
if [ "$count" ]; then
  echo "$name $*" >>calls
  if [ "$(wc -l <calls)" = "$(cat fail)" ]; then
    echo "$name was made to fail" >&2
    exit 1
  fi
fi
case "$name $*" in
  "systemctl show --property LoadState"*)
    load=not-found
    for folder in etc usr/lib; do
      [ -e root/$folder/systemd/system/ispmon-agent.service ] && load=loaded
    done
    [ -e active ] && active=active || active=inactive
    [ -e enabled ] && enabled=enabled || enabled=disabled
    printf 'LoadState=%s\nActiveState=%s\nUnitFileState=%s\n' $load $active $enabled ;;
  "systemctl enable --now"*) : >enabled; : >active; mkdir -p root/var/lib/ispmon root/run/ispmon ;;
  "systemctl enable"* | "systemctl reenable"*) : >enabled ;;
  "systemctl disable --now"*) rm -f enabled active ;;
  "systemctl disable"*) rm -f enabled ;;
  "systemctl start"* | "systemctl restart"*) : >active; mkdir -p root/var/lib/ispmon root/run/ispmon ;;
  "systemctl stop"*) rm -f active ;;
  "launchctl bootstrap"*) [ -e ending ] && { echo "Bootstrap failed: 5: Input/output error" >&2; exit 5; }; : >active ;;
  "launchctl bootout"*) rm active; : >ending; echo "Boot-out failed: 36: Operation now in progress" >&2; exit 36 ;;
  "launchctl print"*) [ -e ending ] && { rm ending; exit 0; }; [ -e active ] || exit 113; echo "	state = running" ;;
  "systemd-sysusers /"*) : >user ;;
  "dscl . -create /Users"*) : >user ;;
  "userdel"* | "dscl . -delete /Users"*) rm user ;;
  "id "*) [ -e user ] || exit 1; echo 301 ;;
  "getent "*) [ -e user ] || exit 2; echo "ispmon:x:301:301::/var/lib/ispmon:/usr/sbin/nologin" ;;
  "dscl . -read"*) printf 'NFSHomeDirectory: /var/empty\nUserShell: /usr/bin/false\n' ;;
  "dpkg -S /usr/"*) case "$2" in */local/*) exit 1 ;; esac; echo "ispmon-agent: $2" ;;
  "dpkg "* | "rpm "*) exit 1 ;;
esac
exit 0
"#;

const PROGRAMS: &[&str] = &[
    "systemctl",
    "journalctl",
    "systemd-sysusers",
    "userdel",
    "launchctl",
    "dscl",
    "id",
    "getent",
    "dpkg",
    "rpm",
];

impl System {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).expect("it is made");
        for name in PROGRAMS {
            let path = programs.join(name);
            fs::write(&path, PROGRAM).expect("it is written");
            fs::set_permissions(&path, Permissions::from_mode(0o755))
                .expect("this process owns it");
        }
        let root = folder.path().join("root");
        for path in
            ["run/systemd/system", "etc/systemd/system", "usr/local", "Library/LaunchDaemons"]
        {
            fs::create_dir_all(root.join(path)).expect("it is made");
        }
        let search = format!("{}:/usr/bin:/bin", programs.display());
        let system = Self { machine: TargetSystem::below(&root, search), folder };
        fs::write(system.program(), "a newer program").expect("it is written");
        system.fail_at(0);
        system
    }

    /// Makes the call with this number fail, counted from 1 and from now on; 0 for none.
    fn fail_at(&self, number: usize) {
        fs::write(self.folder.path().join("fail"), number.to_string()).expect("it is written");
        fs::write(self.folder.path().join("calls"), "").expect("it is written");
    }

    /// The path of the program to install.
    fn program(&self) -> PathBuf {
        self.folder.path().join("program")
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).expect("it is there");
        text.lines().map(str::to_owned).collect()
    }

    fn facts(&self, platform: Platform) -> InstallFacts {
        let mut facts = gather(&self.machine, platform, self.program()).expect("it is there");
        // Below the folder, root's files belong to the caller.
        let (user, group) = self.machine.administrator;
        for entry in facts.entries.values_mut() {
            if let crate::install::facts::PathEntry::File { uid, gid, .. } = entry
                && (*uid, *gid) == (user, group)
            {
                (*uid, *gid) = (0, 0);
            }
        }
        // The account of the service gets the caller's ids as well: without root, no file can be given to
        // another user.
        if let crate::install::facts::AccountState::Exists { uid, gid, .. } = &mut facts.account {
            (*uid, *gid) = (user, group);
        }
        facts.is_root = true;
        facts
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.machine.at(path.as_ref())
    }

    /// Purges the installation and returns what could not be removed.
    fn purge(&self) -> Vec<String> {
        let request =
            RemovalRequest { is_purge: true, is_shown_only: false, command: String::new() };
        let plan = plan_removal(&self.facts(Platform::Linux), &request).expect("it can be removed");
        self.carry_out(&plan).expect("it is removed")
    }

    /// All files and folders below the root, and the state that the fake programs store.
    fn contents(&self) -> BTreeMap<PathBuf, String> {
        let mut contents = BTreeMap::new();
        let mut folders = vec![self.path("/")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let metadata = fs::symlink_metadata(&path).expect("it is there");
                let (mode, user) = (metadata.mode(), metadata.uid());
                let what = if metadata.is_dir() {
                    folders.push(path.clone());
                    format!("folder {mode:o} {user}")
                } else if metadata.is_symlink() {
                    format!("link to {}", fs::read_link(&path).expect("a link").display())
                } else {
                    let bytes = fs::read(&path).expect("it can be read");
                    let (links, time) = (metadata.nlink(), metadata.mtime_nsec());
                    format!(
                        "file {mode:o} {user} {links} {time} {:x}",
                        bytes.iter().fold(0_u64, |sum, byte| sum
                            .wrapping_mul(31)
                            .wrapping_add(u64::from(*byte)))
                    )
                };
                contents.insert(path, what);
            }
        }
        for name in ["active", "enabled", "user"] {
            let path = self.folder.path().join(name);
            if path.exists() {
                contents.insert(path, String::new());
            }
        }
        contents
    }

    fn carry_out(&self, plan: &Plan) -> Result<Vec<String>, InstallFailure> {
        let is_interrupted = AtomicBool::new(false);
        execute(plan, &self.machine, &is_interrupted, &mut |_| {})
    }

    fn install(
        &self,
        platform: Platform,
        imported: Option<Imported>,
    ) -> Result<Plan, InstallFailure> {
        let request = InstallRequest { imported, is_shown_only: false, command: String::new() };
        let plan = plan_installation(&self.facts(platform), &request).expect("it can be installed");
        self.carry_out(&plan).map(|_| plan)
    }

    fn uninstall(&self, platform: Platform, is_purge: bool) -> Result<Plan, InstallFailure> {
        let request = RemovalRequest { is_purge, is_shown_only: false, command: String::new() };
        let plan = plan_removal(&self.facts(platform), &request).expect("it can be removed");
        self.carry_out(&plan).map(|_| plan)
    }
}

/// Runs `change` with a failure at its first call of a program, then at its second, and so on until it
/// succeeds, each time on a new system that `prepare` has set up.
fn for_a_failure_at_every_call(
    prepare: impl Fn(&System),
    change: impl Fn(&System) -> Result<Plan, InstallFailure>,
) -> usize {
    for number in 1.. {
        let system = System::new();
        prepare(&system);
        let before = system.contents();
        system.fail_at(number);
        match change(&system) {
            Err(failure) => {
                let text = ErrorChain(&failure).to_string();
                assert!(text.contains("was made to fail"), "{text}");
                assert_eq!(failure.remaining, [""; 0], "call {number}: {:?}", system.calls());
                assert_eq!(system.contents(), before, "call {number}: {:?}", system.calls());
            }
            // The failure of this call was ignored, or there is no call with this number any more.
            Ok(_) if system.calls().len() >= number => {}
            Ok(_) => return number - 1,
        }
    }
    unreachable!("there are not so many calls")
}

fn with_older_version(system: &System) {
    system.install(Platform::Linux, None).expect("it is installed");
    let layout = Layout::of(Platform::Linux);
    fs::write(system.path(&layout.program), "an older program").expect("it is written");
    fs::write(system.path(&layout.service), "an older unit").expect("it is written");
}

#[test]
fn an_installation_whose_programs_fail_leaves_everything_as_it_was() {
    let calls = for_a_failure_at_every_call(|_| {}, |system| system.install(Platform::Linux, None));
    assert!(calls >= 4, "too few calls failed: {calls}");
}

#[test]
fn an_upgrade_whose_programs_fail_leaves_everything_as_it_was() {
    let calls = for_a_failure_at_every_call(with_older_version, |system| {
        system.install(Platform::Linux, None)
    });
    assert!(calls >= 2, "too few calls failed: {calls}");
}

#[test]
fn a_removal_whose_programs_fail_leaves_everything_as_it_was() {
    for is_purge in [false, true] {
        let install = |system: &System| {
            system.install(Platform::Linux, None).expect("it is installed");
        };
        let calls = for_a_failure_at_every_call(install, |system| {
            system.uninstall(Platform::Linux, is_purge)
        });
        assert!(calls >= 3, "too few calls failed: {calls}");
    }
}

/// Installs, and then puts the files of a package beside it.
fn with_a_package(system: &System) {
    system.install(Platform::Linux, None).expect("it is installed");
    for path in ["/usr/bin/ispmon-agent", "/usr/lib/systemd/system/ispmon-agent.service"] {
        let path = system.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        fs::write(path, "the package's").expect("it is written");
    }
}

#[test]
fn a_removal_beside_a_package_leaves_its_service_running() {
    let calls = for_a_failure_at_every_call(with_a_package, |system| {
        system.uninstall(Platform::Linux, false)
    });
    assert!(calls >= 3, "too few calls failed: {calls}");
    let system = System::new();
    with_a_package(&system);
    system.fail_at(0);
    system.uninstall(Platform::Linux, false).expect("it is removed");
    assert_eq!(
        system.calls(),
        [
            "systemctl daemon-reload",
            "systemctl reenable ispmon-agent.service",
            "systemctl restart ispmon-agent.service",
            "journalctl --update-catalog",
        ]
    );
    let layout = Layout::of(Platform::Linux);
    for path in layout.installed() {
        assert!(!system.path(&path).exists(), "{path:?}");
    }
    for path in [&layout.configuration, &layout.key, &layout.state_dir] {
        assert!(system.path(path).exists(), "{path:?}");
    }
    let state = system.facts(Platform::Linux).service;
    assert_eq!((state.activity, state.boot), (Activity::Running, BootStart::Enabled));
}

/// A file cannot be written when a folder already has its temporary name.
#[test]
fn an_installation_whose_files_cannot_be_written_leaves_everything_as_it_was() {
    let layout = Layout::of(Platform::Linux);
    for path in layout.files() {
        for prepare in [|_: &System| {}, with_older_version] {
            let system = System::new();
            prepare(&system);
            let obstacle = temporary_path(&system.path(&path), "new");
            fs::create_dir_all(obstacle.join("x")).expect("it is made");
            let before = system.contents();
            let had = before.contains_key(&system.path(&path));
            match system.install(Platform::Linux, None) {
                Err(failure) => {
                    assert_eq!(failure.remaining, [""; 0]);
                    assert!(failure.to_string().contains(&path.display().to_string()), "{failure}");
                }
                Ok(_) => assert!(had, "{path:?} was there and did not have to be written"),
            }
            if !had || path == layout.program || path == layout.service {
                assert_eq!(system.contents(), before, "{path:?}");
            }
        }
    }
}

#[test]
fn an_interrupted_installation_leaves_everything_as_it_was() {
    let system = System::new();
    let before = system.contents();
    let request = InstallRequest { imported: None, is_shown_only: false, command: String::new() };
    let plan =
        plan_installation(&system.facts(Platform::Linux), &request).expect("it can be installed");
    let steps = plan
        .steps
        .iter()
        .filter(|step| !matches!(step, InstallStep::OnRollback(_) | InstallStep::Discard { .. }));
    for last in 1..steps.count() {
        let is_interrupted = AtomicBool::new(false);
        let mut count = 0;
        let failure = execute(&plan, &system.machine, &is_interrupted, &mut |_| {
            count += 1;
            is_interrupted.store(count > last, Ordering::Relaxed);
        });
        let failure = failure.expect_err("it was interrupted");
        assert!(matches!(failure.reason, StepError::Interrupted), "{failure:?}");
        assert_eq!(system.contents(), before, "after step {last}");
    }
}

#[test]
fn a_second_installation_changes_nothing_and_runs_no_command() {
    let system = System::new();
    system.install(Platform::Linux, None).expect("it is installed");
    let before = system.contents();
    system.fail_at(0);
    let plan = system.install(Platform::Linux, None).expect("it is installed already");
    assert!(plan.is_empty(), "{plan:?}");
    assert_eq!((system.contents(), system.calls()), (before, Vec::new()));
}

#[test]
fn an_upgrade_replaces_the_program_and_leaves_nothing_else_behind() {
    let system = System::new();
    with_older_version(&system);
    let layout = Layout::of(Platform::Linux);
    let paths = |system: &System| system.contents().into_keys().collect::<Vec<_>>();
    let before = paths(&system);
    system.fail_at(0);
    system.install(Platform::Linux, None).expect("it is upgraded");
    assert_eq!(
        system.calls(),
        ["systemctl daemon-reload", "systemctl restart ispmon-agent.service"]
    );
    assert_eq!(paths(&system), before);
    let program = fs::read_to_string(system.path(&layout.program)).expect("it is there");
    assert_eq!(program, "a newer program");
}

#[test]
fn written_files_have_their_mode_with_any_umask() {
    let system = System::new();
    let imported = Imported {
        from: "/home/me/.env".into(),
        configuration: "device = \"x\"\n".to_owned(),
        key: Some("secret".to_owned()),
        is_secret: false,
        state_dir: None,
    };
    system.install(Platform::Linux, Some(imported)).expect("it is installed");
    let layout = Layout::of(Platform::Linux);
    for (path, mode) in [
        (&layout.program, 0o755),
        (&layout.service, 0o644),
        (&layout.configuration, 0o644),
        (&layout.key, 0o600),
        (&layout.configuration_folder, 0o755),
    ] {
        let metadata = fs::metadata(system.path(path)).expect("it is there");
        assert_eq!(metadata.mode() & 0o7777, mode, "{path:?}");
    }
    assert_eq!(fs::read(system.path(&layout.key)).expect("it is there"), b"secret\n");
}

#[test]
fn a_removal_leaves_the_journal_and_a_purge_leaves_nothing() {
    let system = System::new();
    let before = system.contents();
    system.install(Platform::Linux, None).expect("it is installed");
    let layout = Layout::of(Platform::Linux);
    let journal = system.path(layout.state_dir.join("journal.jsonl"));
    fs::write(&journal, "an outage").expect("it is written");
    system.uninstall(Platform::Linux, false).expect("it is removed");
    for path in layout.installed() {
        assert!(!system.path(&path).exists(), "{path:?}");
    }
    for path in [&journal, &system.path(&layout.configuration), &system.path(&layout.key)] {
        assert!(path.exists(), "{path:?}");
    }
    // A purge also works after an ordinary removal.
    system.uninstall(Platform::Linux, true).expect("it is purged");
    let mut after = system.contents();
    // Folders of the system may have been created by the installation.
    after.retain(|path, _| before.contains_key(path) || !path.is_dir());
    assert_eq!(after, before);
}

#[test]
fn a_purge_names_what_could_not_be_removed() {
    let journal = Layout::of(Platform::Linux).state_dir;
    let system = System::new();
    system.install(Platform::Linux, None).expect("it is installed");
    assert_eq!(system.purge(), [""; 0]);

    // The journal's folder is a link to another disk.
    let system = System::new();
    let disk = system.folder.path().join("disk");
    fs::create_dir_all(&disk).expect("it is made");
    fs::write(disk.join("journal.jsonl"), "an outage").expect("it is written");
    fs::create_dir_all(system.path("/var/lib")).expect("it is made");
    symlink(&disk, system.path(&journal)).expect("it is made");
    system.install(Platform::Linux, None).expect("it is installed");
    let stayed = system.purge();
    assert_eq!(stayed.len(), 1, "{stayed:?}");
    let target = fs::canonicalize(&disk).expect("it is there");
    let part = format!("it was a link to {}, which was kept", target.display());
    assert!(stayed[0].contains(&part), "{stayed:?}");
    assert!(!system.path(&journal).is_symlink() && disk.join("journal.jsonl").exists());

    // The path of the journal's folder is a file.
    let system = System::new();
    system.install(Platform::Linux, None).expect("it is installed");
    fs::remove_dir_all(system.path(&journal)).expect("it is removed");
    fs::write(system.path(&journal), "no folder").expect("it is written");
    let stayed = system.purge();
    let part = format!("{} could not be removed", journal.display());
    assert!(stayed.len() == 1 && stayed[0].starts_with(&part), "{stayed:?}");
}

#[test]
fn a_purge_removes_the_leftovers_of_a_killed_installation() {
    let install = |system: &System| {
        system.install(Platform::Linux, None).expect("it is installed");
        for path in Layout::of(Platform::Linux).leftovers() {
            fs::write(system.path(path), "a key").expect("it is written");
        }
    };
    let calls =
        for_a_failure_at_every_call(install, |system| system.uninstall(Platform::Linux, true));
    assert!(calls >= 3, "too few calls failed: {calls}");
    let system = System::new();
    install(&system);
    assert_eq!(system.purge(), [""; 0]);
    assert!(!system.path("/etc/ispmon").exists());
}

#[test]
fn a_link_at_the_programs_path_is_restored_when_a_step_fails() {
    let system = System::new();
    let program = system.path(Layout::of(Platform::Linux).program);
    fs::create_dir_all(program.parent().expect("a folder")).expect("it is made");
    symlink("/home/me/target/release/ispmon-agent", &program).expect("it is made");
    let before = system.contents();
    system.fail_at(1);
    system.install(Platform::Linux, None).expect_err("it fails");
    assert_eq!(system.contents(), before);
    system.fail_at(0);
    system.install(Platform::Linux, None).expect("it is installed");
    assert!(!program.is_symlink());
}

#[test]
fn actions_that_cannot_be_undone_are_named() {
    let system = System::new();
    with_older_version(&system);
    // Every systemctl command except `show` fails from now on.
    fs::write(
        system.folder.path().join("programs/systemctl"),
        "#!/bin/sh\n[ $1 = show ] && echo ActiveState=active; [ $1 = show ]\n",
    )
    .expect("it is written");
    let failure = system.install(Platform::Linux, None).expect_err("it fails");
    assert_eq!(failure.to_string(), "could not run systemctl daemon-reload");
    assert!(
        failure.remaining[0].starts_with("systemctl daemon-reload: it ended with"),
        "{failure:?}"
    );
}

#[test]
fn under_launchd_the_job_is_started_and_removed_again() {
    let system = System::new();
    let before = system.contents();
    let mut plan = None;
    // Only root can create files of another user.
    if rustix::process::geteuid().is_root() {
        plan = Some(system.install(Platform::MacOs, None).expect("it is installed"));
    }
    if plan.is_none() {
        println!("SKIPPED: only root can give files to another user");
        return;
    }
    let layout = Layout::of(Platform::MacOs);
    let key = fs::metadata(system.path(&layout.key)).expect("it is there");
    assert_eq!((key.uid(), key.gid(), key.mode() & 0o777), (300, 300, 0o600));
    let calls = system.calls();
    assert_eq!(
        calls[calls.len() - 2..],
        [
            "launchctl enable system/net.ispmon.agent",
            "launchctl bootstrap system /Library/LaunchDaemons/net.ispmon.agent.plist"
        ]
    );
    system.uninstall(Platform::MacOs, true).expect("it is removed, though launchd takes its time");
    assert!(!system.folder.path().join("ending").exists(), "the removal waited for the job to end");
    let mut after = system.contents();
    after.retain(|path, _| before.contains_key(path) || !path.is_dir());
    assert_eq!(after, before);
}

#[test]
fn under_launchd_existing_files_of_root_are_given_to_the_service() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can give files to another user");
        return;
    }
    let layout = Layout::of(Platform::MacOs);
    let journal = |system: &System, name: &str| system.path(layout.state_dir.join(name));
    let prepare = |system: &System| {
        for folder in [&layout.state_dir, &layout.configuration_folder] {
            fs::create_dir_all(system.path(folder)).expect("it is made");
        }
        fs::write(journal(system, "journal.jsonl"), "an outage").expect("it is written");
        fs::write(system.path(&layout.key), "s3cret\n").expect("it is written");
        // Both lead to a file outside the journal's folder.
        fs::write(system.path("/etc/other"), "root's").expect("it is written");
        symlink(system.path("/etc/other"), journal(system, "link")).expect("it is made");
        fs::hard_link(system.path("/etc/other"), journal(system, "name")).expect("it is made");
    };
    let system = System::new();
    prepare(&system);
    system.install(Platform::MacOs, None).expect("it is installed");
    let owner = |path: PathBuf| fs::metadata(path).expect("it is there").uid();
    for path in [system.path(&layout.state_dir), journal(&system, "journal.jsonl")] {
        assert_eq!(owner(path.clone()), 300, "{path:?}");
    }
    let key = system.path(&layout.key);
    assert_eq!(
        (owner(key.clone()), fs::read(key).expect("it is there")),
        (300, b"s3cret\n".to_vec())
    );
    assert_eq!(owner(system.path("/etc/other")), 0);
    let calls =
        for_a_failure_at_every_call(prepare, |system| system.install(Platform::MacOs, None));
    assert!(calls >= 13, "too few calls failed: {calls}");
    // A link at the path of the folder is not followed.
    let system = System::new();
    fs::create_dir_all(system.path("/usr/local/var")).expect("it is made");
    symlink(system.path("/etc"), system.path(&layout.state_dir)).expect("it is made");
    let before = system.contents();
    system.install(Platform::MacOs, None).expect_err("it is refused");
    assert_eq!(system.contents(), before);
}

#[test]
fn a_failure_at_any_call_under_launchd_leaves_everything_as_it_was() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can give files to another user");
        return;
    }
    let calls = for_a_failure_at_every_call(|_| {}, |system| system.install(Platform::MacOs, None));
    assert!(calls >= 13, "too few calls failed: {calls}");
}
