//! What is on the device when, and what is read back from it.

use crate::case::{Case, again, has, job, on_each_file_system, pattern, skip};
use crate::copy_blocks::holey;
use afx_core::{
    Operation,
    copy::{CopyOptions, Durability, End, Overwrite, ReadBack, Reflink, Writing, copy, copy_file},
    engine::Compio,
    hash::Algorithm,
    limits::CHUNK_BYTES,
    testing::{Fault, FaultSwitch, Faults, Faulty},
};
use std::{fs, io::ErrorKind, path::Path, process::Command};

/// How a copy is made, as one word for another process.
fn options(way: &str) -> CopyOptions {
    let durability = match way.split('+').next().unwrap() {
        "none" => Durability::None,
        "data" => Durability::Data,
        _ => Durability::Full,
    };
    let mut options = CopyOptions { durability, ..CopyOptions::default() };
    for word in way.split('+').skip(1) {
        match word {
            "verify" => options.verify = true,
            "place" => options.writing = Writing::InPlace,
            "never" => options.overwrite = Overwrite::Never,
            "resume" => options.resume = true,
            "two" => {}
            _ => panic!("{way}"),
        }
    }
    options
}

/// Copies as the job `way target folder` says; the outcome is what it prints.
fn copy_as_told(job: &str) {
    let [way, target, folder] = job.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let folder = Path::new(folder);
    let mut targets = vec![End::from(folder.join(target))];
    if way.ends_with("two") {
        targets.push(folder.join("second").into());
    }
    match copy::<Compio>(&folder.join("source").into(), &targets, &options(way)) {
        Ok(_) => println!("\nRESULT ok"),
        Err(error) => println!("\nRESULT {} {:?}", error.operation().name(), error.raw_os_error()),
    }
}

/// Runs the copy `way` to `target` under strace with more `arguments`: its result, and the calls it traced.
fn traced(name: &str, case: &Case, way: &str, target: &str, arguments: &[&str]) -> (String, Vec<String>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let log = log.path().to_str().unwrap();
    let calls = "trace=fsync,fdatasync,sync_file_range,/rename.*,linkat";
    let through = [&["strace", "-f", "-y", "-o", log, "-e", calls], arguments].concat();
    let job = format!("{way} {target} {}", case.folder.path().display());
    let output = again(name, &through, &job).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let result = said.lines().find_map(|line| line.strip_prefix("RESULT "));
    let result = result.unwrap_or_else(|| panic!("{said}{complained}")).to_owned();
    let folder = fs::canonicalize(case.folder.path()).unwrap();
    let lines = fs::read_to_string(log).unwrap();
    let calls = lines.lines().filter_map(|line| call(line, folder.to_str().unwrap()));
    (result, calls.collect())
}

/// A traced call in short: its name, and on what.
fn call(line: &str, folder: &str) -> Option<String> {
    let (name, rest) = line.split_once(' ')?.1.trim().split_once('(')?;
    if name.starts_with("rename") || name == "linkat" {
        return Some("rename".into());
    }
    let path = rest.split_once('<')?.1.split_once('>')?.0;
    let name = if name == "fdatasync" { "data" } else { name };
    Some(match path.strip_prefix(folder)? {
        "" => format!("{name} folder"),
        path if path.starts_with("/.afx-") => format!("{name} new"),
        path => format!("{name} {}", &path[1..]),
    })
}

/// Whether processes can be traced here; says so if not.
fn can_trace(what: &str) -> bool {
    if !has("strace") {
        skip(what, "strace is missing");
        return false;
    }
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output().unwrap();
    if !tried.status.success() {
        skip(what, String::from_utf8_lossy(&tried.stderr).trim());
    }
    tried.status.success()
}

#[test]
fn what_is_synced_is_synced_before_the_rename_and_the_folder_behind_it() {
    const NAME: &str = "copy_durable::what_is_synced_is_synced_before_the_rename_and_the_folder_behind_it";
    if let Some(job) = job() {
        return copy_as_told(&job);
    }
    if !can_trace(NAME) {
        return;
    }
    let case = Case::new();
    for (way, target, expected) in [
        ("none", "target", &["rename"][..]),
        ("data", "target", &["data new", "rename"]),
        ("full", "target", &["fsync new", "rename", "fsync folder"]),
        ("full", "new", &["fsync new", "rename", "fsync folder"]),
        ("full+never", "new", &["fsync new", "rename", "fsync folder"]),
        ("none+verify", "target", &["data new", "rename"]),
        ("data+verify", "target", &["data new", "data new", "rename"]),
        ("full+verify", "target", &["data new", "fsync new", "rename", "fsync folder"]),
        ("none+place", "target", &[]),
        ("data+place", "target", &["data target"]),
        ("full+place", "target", &["fsync target"]),
        ("full+place", "new", &["fsync new", "fsync folder"]),
        ("full+resume", "target", &["fsync new", "rename", "fsync folder"]),
        (
            "full+two",
            "target",
            &["fsync new", "fsync new", "rename", "fsync folder", "rename", "fsync folder"],
        ),
    ] {
        let (result, calls) = traced(NAME, &case, way, target, &[]);
        assert_eq!(
            (result.as_str(), calls),
            ("ok", expected.iter().map(ToString::to_string).collect()),
            "{way}"
        );
        let _ = fs::remove_file(case.path("new"));
        let _ = fs::remove_file(case.path("second"));
    }
}

#[test]
fn a_lock_that_fails_leaves_nothing_behind_and_one_that_is_interrupted_is_asked_for_again() {
    const NAME: &str = "copy_durable::a_lock_that_fails_leaves_nothing_behind_and_one_that_is_interrupted_is_asked_for_again";
    if let Some(job) = job() {
        return copy_as_told(&job);
    }
    if !can_trace(NAME) {
        return;
    }
    for (errno, expected) in [("EIO", "open Some(5)"), ("EINTR", "ok")] {
        let case = Case::new();
        let inject = format!("inject=flock:error={errno}:when=1");
        let (result, _) = traced(NAME, &case, "none", "target", &["-e", "trace=flock", "-e", &inject]);
        assert_eq!(result, expected);
        assert_eq!(case.names(), ["source", "target"]);
    }
}

#[test]
fn a_sync_that_fails_leaves_the_old_target() {
    const NAME: &str = "copy_durable::a_sync_that_fails_leaves_the_old_target";
    if let Some(job) = job() {
        return copy_as_told(&job);
    }
    if !can_trace(NAME) {
        return;
    }
    for way in ["data", "full", "none+verify", "full+verify", "full+two"] {
        let case = Case::new();
        fs::write(case.path("second"), "old").unwrap();
        let mut failures = 0;
        for number in 1.. {
            fs::write(&case.target, "old").unwrap();
            fs::write(case.path("second"), "old").unwrap();
            let inject = |call: &str| format!("inject={call}:error=EIO:when={number}");
            let (data, all) = (inject("fdatasync"), inject("fsync"));
            // Each is counted for itself.
            let arguments =
                if way.starts_with("full") { ["-e", all.as_str()] } else { ["-e", data.as_str()] };
            let (result, calls) = traced(NAME, &case, way, "target", &arguments);
            if result == "ok" {
                break;
            }
            failures += 1;
            assert_eq!(result, "sync Some(5)", "{way} {number}");
            assert_eq!(case.names(), ["second", "source", "target"]);
            if calls.iter().any(|call| call == "rename") {
                // The folder's own sync came too late: the name is given.
                assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
            } else {
                assert_eq!(fs::read(&case.target).unwrap(), b"old");
                assert_eq!(fs::read(case.path("second")).unwrap(), b"old");
            }
        }
        assert!(failures > 0, "{way}");
    }
}

static FAULTS: Faults = Faults::new();
struct Switch;
impl FaultSwitch for Switch {
    fn faults() -> &'static Faults {
        &FAULTS
    }
}

#[test]
fn a_byte_that_is_stored_as_another_is_found_and_the_old_target_is_whole() {
    let case = Case::new();
    for len in [1000, 5 * CHUNK_BYTES + 5] {
        let content = pattern(len);
        fs::write(&case.source, &content).unwrap();
        for (hashes, writing) in [
            (vec![], Writing::Auto),
            (vec![Algorithm::Crc32c, Algorithm::Sha256], Writing::Auto),
            (vec![], Writing::InPlace),
        ] {
            let mut found = 0;
            for number in 1.. {
                fs::write(&case.target, "old").unwrap();
                FAULTS.arm(number, Fault::Alter);
                let hashes = hashes.clone();
                let options = CopyOptions { verify: true, hashes, writing, ..CopyOptions::default() };
                let result = copy_file::<Faulty<Compio, Switch>>(&case.source, &case.target, &options);
                match result {
                    Ok(report) => {
                        assert!(fs::read(&case.target).unwrap() == content, "call {number} was not found");
                        assert_eq!(report.digests.len(), options.hashes.len());
                    }
                    Err(error) => {
                        assert_eq!(
                            (error.operation(), error.kind(), error.path()),
                            (Operation::Verify, ErrorKind::InvalidData, Some(case.target.as_path()))
                        );
                        found += 1;
                        if writing == Writing::Auto {
                            case.assert_untouched();
                        }
                    }
                }
                if !FAULTS.happened() {
                    break;
                }
            }
            // Which call is a write is chance, with several threads.
            assert!(found > 0 && (found == 1 || len > CHUNK_BYTES), "{found} found");
        }
    }
}

#[test]
fn what_is_verified_is_read_from_the_device_where_there_is_one() {
    on_each_file_system(
        "copy_durable::what_is_verified_is_read_from_the_device_where_there_is_one",
        |place, kind| {
            let case = Case::on(place);
            for len in [1000, 1_000_013] {
                fs::write(&case.source, pattern(len)).unwrap();
                for reflink in [Reflink::Never, Reflink::Auto] {
                    let options = CopyOptions { verify: true, reflink, ..CopyOptions::default() };
                    let ends = [case.target.clone().into(), case.path("new").into()];
                    let report = copy::<Compio>(&(&case.source).into(), &ends, &options).unwrap();
                    let expected = match kind {
                        "tmpfs" => ReadBack::Cache,
                        "ext4" | "xfs" => ReadBack::Device,
                        _ => report.targets[0].verified.unwrap(),
                    };
                    for target in &report.targets {
                        assert_eq!((target.verified, len), (Some(expected), len), "{kind}");
                    }
                    assert!(report.digests.is_empty(), "nobody asked for one");
                    assert!(fs::read(case.path("new")).unwrap() == pattern(len));
                    copy_file::<Compio>(&case.source, &case.target, &options).unwrap();
                    assert!(fs::read(&case.target).unwrap() == pattern(len));
                }
            }
            if matches!(kind, "ext4" | "xfs") {
                let content = holey(&case.source);
                let options = CopyOptions { verify: true, reflink: Reflink::Never, ..CopyOptions::default() };
                let report = copy_file::<Compio>(&case.source, &case.target, &options).unwrap();
                assert_eq!(report.targets[0].verified, Some(ReadBack::Device), "{kind}, with holes");
                assert!(fs::read(&case.target).unwrap() == content);
            }
        },
    );
}
