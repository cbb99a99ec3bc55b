//! Reads the state of the system that a plan depends on. Changes nothing and does not need root.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    facts::{AccountMaker, AccountState, FileContent, InstallFacts, Obstacle, Package, PathEntry},
    layout::{Layout, Platform},
    machine::TargetSystem,
    plan::CommandLine,
    service,
};

/// The largest id of a system account on Linux (systemd's "Users, Groups, UIDs and GIDs"). `systemd-sysusers`
/// and `useradd --system` choose one in this range.
const MAX_SYSTEM_ID: u32 = 999;
/// Longer files are not compared, in bytes. A configuration file has at most this length.
const MAX_COMPARED_BYTES: u64 = 64 * 1024;
/// The range of ids for the system account on macOS. Apple's own lie below it, those of human users start
/// at 501.
const FREE_IDS: std::ops::Range<u32> = 300..500;

/// Reads everything that the plan for installing `program` depends on.
///
/// # Errors
/// The program cannot be read.
pub fn gather(
    machine: &TargetSystem,
    platform: Platform,
    program: PathBuf,
) -> io::Result<InstallFacts> {
    let program_bytes = TargetSystem::open_program(&program)?.metadata()?.len();
    let layout = Layout::of(platform);
    let mut present = BTreeMap::new();
    for path in layout.paths().into_iter().chain(Layout::package_paths(platform)) {
        if let Some(entry) = entry(&machine.at(&path), &program, program_bytes) {
            present.insert(path, entry);
        }
    }
    Ok(InstallFacts {
        platform,
        is_root: rustix::process::geteuid().is_root(),
        obstacle: obstacle(machine, platform),
        packages: packages(machine, &layout, &present, &program),
        account: account(machine, platform),
        service: service::state(machine, platform),
        systemd: match platform {
            Platform::Linux => service::systemd_version(machine),
            Platform::MacOs => None,
        },
        program,
        program_bytes,
        entries: present,
    })
}

/// The path of the running program, with links resolved.
///
/// # Errors
/// The operating system does not report the path.
pub fn running_program() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    Ok(fs::canonicalize(&path).unwrap_or(path))
}

fn entry(path: &Path, program: &Path, program_bytes: u64) -> Option<PathEntry> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if metadata.is_symlink() {
        return Some(fs::read_link(path).map_or(PathEntry::Other, |target| {
            // A link to a folder counts as a folder.
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => PathEntry::Folder { uid: metadata.uid() },
                _ => PathEntry::Link(target),
            }
        }));
    }
    if metadata.is_dir() {
        return Some(PathEntry::Folder { uid: metadata.uid() });
    }
    if !metadata.is_file() {
        return Some(PathEntry::Other);
    }
    let is_program =
        metadata.len() == program_bytes && has_same_content(path, program).unwrap_or(false);
    let held = match () {
        () if is_program => FileContent::Program,
        () if metadata.len() > MAX_COMPARED_BYTES => FileContent::Long,
        () => fs::read(path).map_or(FileContent::Unknown, FileContent::Bytes),
    };
    Some(PathEntry::File {
        content: held,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

/// Whether two files have the same content.
fn has_same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, TargetSystem::open_program(other)?);
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        // `other` is shorter, or differs.
        if other.read_exact(&mut right[..count]).is_err() || left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

fn obstacle(machine: &TargetSystem, platform: Platform) -> Option<Obstacle> {
    if platform == Platform::MacOs {
        return None;
    }
    let is_there = |path: &str| machine.at(Path::new(path)).exists();
    let text = |path: &str| fs::read_to_string(machine.at(Path::new(path))).unwrap_or_default();
    // Only root may read process 1's root; for other users the checks below decide.
    let root = |path: &str| {
        let metadata = fs::metadata(machine.at(Path::new(path))).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    if root("/proc/1/root/.").is_some_and(|of_init| root("/") != Some(of_init)) {
        return Some(Obstacle::Chroot);
    }
    // sd_booted(3).
    if is_there("/run/systemd/system") {
        return None;
    }
    if text("/proc/sys/kernel/osrelease").to_ascii_lowercase().contains("microsoft") {
        return Some(Obstacle::Wsl);
    }
    if is_there("/run/host/container-manager")
        || is_there("/run/.containerenv")
        || is_there("/.dockerenv")
        || is_there("/run/systemd/container")
    {
        return Some(Obstacle::Container);
    }
    if is_there("/sbin/openrc-run") {
        return Some(Obstacle::OtherManager("OpenRC".to_owned()));
    }
    let name = text("/proc/1/comm");
    let name = name.trim();
    Some(match name {
        "systemd" | "" => Obstacle::Chroot,
        name => Obstacle::OtherManager(name.to_owned()),
    })
}

/// The files among the layout's paths that a package installed.
fn packages(
    machine: &TargetSystem,
    layout: &Layout,
    present: &BTreeMap<PathBuf, PathEntry>,
    program: &Path,
) -> BTreeMap<PathBuf, Package> {
    let mut packages = BTreeMap::new();
    if is_in_cellar(program) {
        packages.insert(program.to_owned(), Package::Homebrew);
    }
    let of_packages: BTreeSet<_> = Layout::package_paths(layout.platform).into_iter().collect();
    for path in layout.installed().iter().chain(&of_packages) {
        let Some(entry) = present.get(path) else { continue };
        let is_homebrew = match entry {
            PathEntry::Link(target) => is_in_cellar(target),
            _ => path.to_string_lossy().contains("homebrew."),
        };
        // The path leads through a link to another path of the list, as /lib does to /usr/lib.
        let is_repeated = fs::canonicalize(machine.at(path)).is_ok_and(|real| {
            real != machine.at(path) && of_packages.iter().any(|other| machine.at(other) == real)
        });
        let package = if is_homebrew {
            Some(Package::Homebrew)
        } else if is_repeated {
            None
        } else {
            // Only packages put units there.
            let is_unit = path.extension().is_some() && of_packages.contains(path);
            owner(machine, path).or(is_unit.then_some(Package::Unknown))
        };
        packages.extend(package.map(|package| (path.clone(), package)));
    }
    packages
}

fn is_in_cellar(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "Cellar")
}

/// The package that a file belongs to, according to dpkg or rpm.
fn owner(machine: &TargetSystem, path: &Path) -> Option<Package> {
    let path = path.to_str()?;
    // dpkg lists a file of /usr/lib under the path in its package, which may be /lib.
    for name in [path, path.strip_prefix("/usr").unwrap_or(path)] {
        if let Ok(answer) = machine.run(&CommandLine::new("dpkg", ["-S", name])) {
            let package = answer.lines().next()?.split([':', ',']).next()?.trim();
            if !package.is_empty() && !package.starts_with("diversion") {
                return Some(Package::Debian(package.to_owned()));
            }
        }
    }
    let answer = machine.run(&CommandLine::new("rpm", ["-qf", "--qf", "%{NAME}", path])).ok()?;
    Some(Package::Rpm(answer.trim().to_owned()))
}

fn account(machine: &TargetSystem, platform: Platform) -> AccountState {
    let id = |flag| {
        let answer = machine.run(&CommandLine::new("id", [flag, platform.user()])).ok()?;
        answer.trim().parse::<u32>().ok()
    };
    if let (Some(uid), Some(gid)) = (id("-u"), id("-g")) {
        let is_service_account = match platform {
            Platform::Linux => {
                let query = CommandLine::new("getent", ["passwd", platform.user()]);
                machine.run(&query).is_ok_and(|answer| is_service_account(uid, &answer))
            }
            Platform::MacOs => {
                let person = format!("/Users/{}", platform.user());
                let query = CommandLine::new(
                    "dscl",
                    [".", "-read", &person, "NFSHomeDirectory", "UserShell"],
                );
                machine.run(&query).is_ok_and(|answer| is_service_account_of_dscl(uid, &answer))
            }
        };
        return AccountState::Exists { uid, gid, is_service_account };
    }
    AccountState::Absent(match platform {
        Platform::MacOs => {
            let list = |kind, attribute| {
                let command = CommandLine::new("dscl", [".", "-list", kind, attribute]);
                machine.run(&command).unwrap_or_default()
            };
            let taken = list("/Users", "UniqueID") + &list("/Groups", "PrimaryGroupID");
            AccountMaker::Dscl { id: free_id(&taken) }
        }
        Platform::Linux => {
            let version = CommandLine::new("systemd-sysusers", ["--version"]);
            if machine.run(&version).is_ok() {
                AccountMaker::Sysusers
            } else {
                AccountMaker::Useradd
            }
        }
    })
}

/// Whether an account of Linux looks as `systemd-sysusers` and `useradd` create it for the service: the id
/// of a system account, the journal's folder as home, and a shell that allows no login. `line` is its line
/// of passwd(5). How it looks counts, because a record of who created it can be lost: an ordinary removal
/// keeps the account, and packages create the same one.
fn is_service_account(uid: u32, line: &str) -> bool {
    let mut fields = line.trim_end().split(':').skip(5);
    let (Some(home), Some(shell)) = (fields.next(), fields.next()) else { return false };
    let is_without_login =
        Path::new(shell).file_name().is_some_and(|name| name == "nologin" || name == "false");
    (1..=MAX_SYSTEM_ID).contains(&uid)
        && Path::new(home) == Layout::of(Platform::Linux).state_dir
        && is_without_login
}

/// The same for an account of macOS, as `install` creates it with `dscl`.
fn is_service_account_of_dscl(uid: u32, attributes: &str) -> bool {
    let has = |line| attributes.lines().any(|other| other.trim_end() == line);
    (FREE_IDS.start..=FREE_IDS.end).contains(&uid)
        && has("NFSHomeDirectory: /var/empty")
        && has("UserShell: /usr/bin/false")
}

/// The first unused id. Each line of `taken` has a name and an id.
fn free_id(taken: &str) -> u32 {
    let taken: BTreeSet<u32> = taken
        .lines()
        .filter_map(|line| line.split_whitespace().next_back()?.parse().ok())
        .collect();
    FREE_IDS.clone().find(|id| !taken.contains(id)).unwrap_or(FREE_IDS.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unused_id_is_chosen() {
        assert_eq!(free_id(""), 300);
        let list = "_a        300\n_b   301\nnobody  -2\n_c\t303\nroot 0\n";
        assert_eq!(free_id(list), 302);
    }

    #[test]
    fn the_account_of_a_person_is_no_service_account() {
        for (line, expected) in [
            ("ispmon:x:998:998:ispmon agent:/var/lib/ispmon:/usr/sbin/nologin\n", true),
            ("ispmon:x:101:101::/var/lib/ispmon:/sbin/nologin\n", true),
            ("ispmon:x:999:999::/var/lib/ispmon/:/bin/false\n", true),
            ("ispmon:x:1500:1500::/home/ispmon:/bin/bash\n", false),
            ("ispmon:x:1000:1000::/var/lib/ispmon:/usr/sbin/nologin\n", false),
            ("ispmon:x:998:998::/home/ispmon:/usr/sbin/nologin\n", false),
            ("ispmon:x:998:998::/var/lib/ispmon:/bin/bash\n", false),
            ("ispmon:x:998:998::/var/lib/ispmon:\n", false),
            ("ispmon:x:0:0::/var/lib/ispmon:/usr/sbin/nologin\n", false),
            ("", false),
        ] {
            let uid = line.split(':').nth(2).and_then(|id| id.parse().ok()).unwrap_or(998);
            assert_eq!(is_service_account(uid, line), expected, "{line}");
        }
        let created = "NFSHomeDirectory: /var/empty\nUserShell: /usr/bin/false\n";
        let person = "NFSHomeDirectory: /Users/x\nUserShell: /bin/zsh\n";
        for (uid, attributes, expected) in
            [(300, created, true), (501, created, false), (300, person, false), (300, "", false)]
        {
            assert_eq!(is_service_account_of_dscl(uid, attributes), expected, "{uid} {attributes}");
        }
    }

    #[test]
    fn files_are_compared_to_their_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("it is written");
            path
        };
        let long = vec![7; 200_000];
        let (one, same) = (write("one", &long), write("same", &long));
        let mut other = long.clone();
        other[199_999] = 8;
        let (other, shorter) = (write("other", &other), write("shorter", &long[..199_999]));
        let compared = |right| has_same_content(&one, right).expect("both can be read");
        assert_eq!([&same, &other, &shorter].map(|path| compared(path)), [true, false, false]);
        assert!(!has_same_content(&shorter, &one).expect("both can be read"));
    }
}
