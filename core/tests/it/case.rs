//! What tests of copies share: a folder with a source and an old target, and other processes.

use crate::Tested;
use afx_core::{
    Error,
    copy::{CopyOptions, CopyReport, InPlace, copy_file},
    engine::Engine,
    hash::{Algorithm, Digest, Hasher},
    testing::{Fault, FaultSwitch, Faulty},
};
use rustix::fs::{CWD, Mode, getxattr, mkfifoat};
use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// A directory with a source of a thousand bytes and an old target.
pub(crate) struct Case {
    pub(crate) folder: TempDir,
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

impl Case {
    pub(crate) fn new() -> Self {
        // Beside the build, not in /tmp: a file system in memory may have no extended attributes.
        Self::on(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// On the file system of `place`.
    pub(crate) fn on(place: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).unwrap();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::write(&source, pattern(1000)).unwrap();
        fs::write(&target, "old").unwrap();
        Self { folder, source, target }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The old target is whole, and nothing else is left.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(fs::read(&self.target).unwrap(), b"old");
        assert_eq!(self.names(), ["source", "target"]);
    }
}

pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

pub(crate) fn fifo(path: &Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(content);
    hasher.finish()
}

/// An access control list as `setxattr(2)` takes it, with one more user than the mode knows: `user`
/// may do what `permissions` say.
pub(crate) fn access_list(user: u32, permissions: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (1, 6, NOBODY),
        (2, permissions, user),
        (4, 4, NOBODY),
        (0x10, permissions, NOBODY),
        (0x20, 0, NOBODY),
    ];
    let entry = |(tag, permissions, id): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [2_u32.to_le_bytes().to_vec(), entries.into_iter().flat_map(entry).collect()].concat()
}

pub(crate) fn access_list_of(path: &Path) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let len = getxattr(path, "system.posix_acl_access", value.as_mut_slice()).ok()?;
    value.truncate(len);
    Some(value)
}

/// Tells what `on_in_place` was told.
pub(crate) fn copy_and_listen(source: &Path, target: &Path) -> (Result<CopyReport, Error>, Vec<InPlace>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut options = CopyOptions { hashes: vec![Algorithm::Sha256], ..CopyOptions::default() };
    options.on_in_place = Some(Arc::new({
        let told = told.clone();
        move |_: &Path, reason| told.lock().unwrap().push(reason)
    }));
    let result = copy_file::<Tested>(source, target, &options);
    let told = told.lock().unwrap().clone();
    (result, told)
}

/// Runs a copy with every call in turn going wrong, until one passes unharmed; gives each result to
/// `check`, with what the target held then, and returns how many calls there were.
pub(crate) fn every_call<S: FaultSwitch, E: Engine>(
    case: &Case,
    target: &Path,
    fault: Fault,
    hash: Option<Algorithm>,
    check: impl Fn(Result<CopyReport, Error>),
) -> usize {
    for number in 1.. {
        fs::write(&case.target, "old").unwrap();
        S::faults().arm(number, fault);
        let options = CopyOptions { hashes: hash.into_iter().collect(), ..CopyOptions::default() };
        check(copy_file::<Faulty<E, S>>(&case.source, target, &options));
        if !S::faults().happened() {
            return number - 1;
        }
    }
    unreachable!()
}

/// What the other process is to do, in one that [`again`] started.
pub(crate) fn job() -> Option<String> {
    env::var("AFX_TEST_JOB").ok()
}

/// The test `name` of this binary in another process, started by the program `through`, with `job` to do.
pub(crate) fn again(name: &str, through: &[&str], job: &str) -> Command {
    let this = env::current_exe().unwrap();
    let mut command = match through {
        [] => Command::new(this),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
    };
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env("AFX_TEST_JOB", job);
    command
}

/// Runs it to its end, and is loud if it failed or had nothing to do.
pub(crate) fn passes(mut command: Command) {
    let output = command.output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

/// Says, whatever is captured, that something was not tested.
pub(crate) fn skip(what: &str, why: &str) {
    let mut uncaptured = io::stderr();
    uncaptured.write_all(format!("SKIPPED {what}: {why}\n").as_bytes()).unwrap();
}

/// Whether `program` is there.
pub(crate) fn has(program: &str) -> bool {
    Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status().unwrap().success()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Exit status of a file system that cannot be made here.
const NO_FILE_SYSTEM: i32 = 99;

/// Makes the file system `$1` in the file `$2`, on the folder `$3`, for what follows alone.
const MOUNT: &str = r#"
kind=$1; image=$2; folder=$3; shift 3
if [ "$kind" = tmpfs ]; then mount -t tmpfs none "$folder" || exit 99
elif [ "$kind" = fuse ]; then mkdir "$image" && bindfs "$image" "$folder" || exit 99
else
    truncate -s 400M "$image" && "mkfs.$kind" -q "$image" && mount -o loop "$image" "$folder" || exit 99
fi
exec "$@"
"#;

/// Runs `body` on the disk that the build is on, and on every file system that can be made here, which only
/// root can: the test calls this with its own `name`, and the rest happens in processes of its own.
pub(crate) fn on_each_file_system(name: &str, body: impl Fn(&Path, &str)) {
    if let Some(job) = job() {
        let (kind, folder) = job.split_once(' ').unwrap();
        return body(Path::new(folder), kind);
    }
    body(Path::new(env!("CARGO_TARGET_TMPDIR")), "disk");
    for kind in ["tmpfs", "ext4", "xfs", "btrfs", "fuse"] {
        if !is_root() {
            skip(&format!("{name} on {kind}"), "only root may mount");
            continue;
        }
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (image, folder) = (place.path().join("image"), place.path().join("folder"));
        fs::create_dir(&folder).unwrap();
        let (image, folder) = (image.to_str().unwrap(), folder.to_str().unwrap());
        let mount = ["--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh", kind, image, folder];
        let through = [&["unshare"], mount.as_slice()].concat();
        let output = again(name, &through, &format!("{kind} {folder}")).output().unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(NO_FILE_SYSTEM) || complained.starts_with("unshare:") {
            skip(&format!("{name} on {kind}"), complained.trim());
            continue;
        }
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{kind}: {said}{complained}");
        for why in complained.lines().filter_map(|line| line.strip_prefix("SKIPPED ")) {
            skip(kind, why);
        }
    }
}
