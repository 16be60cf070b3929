//! Copies a file with its digest from the same pass, then hashes the copy and compares.
//!
//! Usage: `cargo run -p afx-core --example copy_and_hash [SOURCE TARGET]`
use afx_core::{
    copy::{CopyOptions, copy_file},
    engine::Compio,
    hash::{Algorithm, HashOptions, hash_file},
};
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut paths = env::args_os().skip(1).map(PathBuf::from);
    let (source, target) = if let (Some(source), Some(target)) = (paths.next(), paths.next()) {
        (source, target)
    } else {
        let source = folder.path().join("source.bin");
        fs::write(&source, vec![7; 10_000_000])?;
        (source, folder.path().join("target.bin"))
    };

    // The target gets its name when it is complete; a failure leaves the old one as it was.
    let options = CopyOptions { hashes: vec![Algorithm::Sha256], ..CopyOptions::default() };
    let copied = copy_file::<Compio>(&source, &target, &options)?;
    let digest = *copied.digests.first().ok_or("no digest, though one was asked for")?;
    println!("{digest}  {}  ({} bytes)", target.display(), copied.bytes);

    let read_back = hash_file::<Compio>(&target, &[Algorithm::Sha256], &HashOptions::default())?;
    if read_back.digests != [digest] {
        return Err(format!("{} differs from what was copied", target.display()).into());
    }
    println!("the copy reads back the same");
    Ok(())
}
