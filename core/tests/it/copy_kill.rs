//! Copies whose process is killed at any moment.

use crate::case::{Case, again, job, pattern};
use afx_core::{
    copy::{CopyOptions, Durability, End, copy},
    engine::Compio,
};
use rustix::process::{Signal, getpid, kill_process};
use std::{
    fs, hint,
    os::unix::process::ExitStatusExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const LEN: usize = 2_000_003;

fn options(number: u64) -> CopyOptions {
    let durability =
        [Durability::None, Durability::Data, Durability::Full][usize::try_from(number % 3).unwrap()];
    CopyOptions { durability, verify: number % 5 == 4, ..CopyOptions::default() }
}

fn copy_in(folder: &Path, names: &[&str], options: &CopyOptions) {
    let targets: Vec<_> = names.iter().map(|name| End::from(folder.join(name))).collect();
    copy::<Compio>(&folder.join("source").into(), &targets, options).unwrap();
}

/// Does the copy of the job `number moment folder`, and is killed at that moment: a thousandth of what the copy
/// takes, or so many microseconds from when the source is read.
fn copy_and_die(job: &str) {
    let [number, moment, folder] = job.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let (number, folder): (u64, _) = (number.parse().unwrap(), Path::new(folder));
    let begun = Instant::now();
    copy_in(folder, &["trial", "trial2"], &options(number));
    let took = begun.elapsed();
    let options = options(number);
    let wait = |until: Instant| {
        while Instant::now() < until {
            hint::spin_loop();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let parts = |part: &str| part.parse::<u32>().unwrap();
            if let Some(micros) = moment.strip_prefix("late") {
                while options.progress.bytes() < LEN as u64 {
                    hint::spin_loop();
                }
                wait(Instant::now() + Duration::from_micros(parts(micros).into()));
            } else {
                wait(Instant::now() + took * parts(moment) / 1000);
            }
            kill_process(getpid(), Signal::KILL).unwrap();
        });
        copy_in(folder, &["target", "second"], &options);
    });
}

#[test]
fn whenever_it_is_killed_each_target_is_old_or_new_and_the_next_copy_cleans_up() {
    const NAME: &str =
        "copy_kill::whenever_it_is_killed_each_target_is_old_or_new_and_the_next_copy_cleans_up";
    if let Some(job) = job() {
        return copy_and_die(&job);
    }
    let case = Case::new();
    let content = pattern(LEN);
    fs::write(&case.source, &content).unwrap();
    let folder = case.folder.path();
    // Trials that came whole, targets that were old and new afterwards, and debris that was there.
    let (mut old, mut new, mut debris) = (0, 0, 0);
    for number in 0..200_u64 {
        fs::write(&case.target, "old").unwrap();
        fs::write(case.path("second"), "old").unwrap();
        // Half of them anywhere, half from the last byte on, when syncs and renames come.
        let moment =
            if number % 2 == 0 { format!("{}", number * 6) } else { format!("late{}", number * number / 20) };
        let output = again(NAME, &[], &format!("{number} {moment} {}", folder.display())).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
        for target in ["target", "second"] {
            let found = fs::read(case.path(target)).unwrap();
            if found == b"old" {
                old += 1;
            } else {
                assert!(found == content, "{target} is neither, killed at {moment}");
                new += 1;
            }
        }
        let left = case.names().iter().filter(|name| name.starts_with(".afx-")).count();
        debris += left;
        assert!(left <= 2, "{:?}", case.names());
        copy_in(folder, &["target", "second"], &CopyOptions::default());
        assert!(fs::read(&case.target).unwrap() == content);
        // Those of the trial are removed by the next one.
        assert!(!case.names().iter().any(|name| name.starts_with(".afx-")), "{:?}", case.names());
    }
    assert!(old >= 20 && new >= 20 && debris >= 20, "{old} old, {new} new, {debris} left over");
}
