//! Which of the files that a user names are read, and up to which size? Regular files are read, and
//! pipes that are already open. A file that is small by nature is read only up to a limit.
//!
//! A named pipe without a writer would keep a reader waiting, and a device may have no end. So a
//! pipe is read only if this process received it already open (`/dev/stdin`, or the `/dev/fd/63` of
//! a shell's `<(command)`), because such a pipe has a writer.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The byte-order mark with which some editors begin a UTF-8 text.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
/// The byte-order marks with which UTF-16 texts begin, for both byte orders.
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// The text with which a pointer file of Git LFS begins.
pub const LFS: &[u8] = b"version https://git-lfs";
/// The text with which git marks the beginning of a conflict that a merge left.
const CONFLICT: &str = "<<<<<<< ";

/// Opens a file, to memory-map it or to read it piece by piece: a regular file, or a pipe that this
/// process received open.
///
/// # Errors
/// If the file does not exist, cannot be opened, or is of another kind; the error says of which
/// kind.
pub fn open(path: &Path) -> io::Result<File> {
    // The kind is checked before opening, because opening some devices has an effect, and again
    // afterwards, because the file may have been replaced in between.
    check_kind(path, &fs::metadata(path)?)?;
    let file = open_at_once(path)?;
    check_kind(path, &file.metadata()?)?;
    Ok(file)
}

/// Reads a file that is small by nature, and refuses it if it has more than `most_bytes`.
///
/// # Errors
/// The errors of [`open`], and an error if the file is larger than `most_bytes`.
pub fn small(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    bounded(open(path)?, most_bytes)
}

/// Reads a small file of JSON or TOML. A byte-order mark is not part of the result.
///
/// # Errors
/// The errors of [`small`], and an error if the content is clearly not such a text: the error says
/// what the content is instead, and what to do.
pub fn text(path: &Path, most_bytes: u64) -> io::Result<String> {
    let mut bytes = small(path, most_bytes)?;
    let wrong = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if UTF16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return wrong("it is UTF-16 text: save it as UTF-8".to_owned());
    }
    if bytes.starts_with(LFS) {
        return wrong(
            "it is a pointer of Git LFS, and what it points to was not downloaded: run `git lfs pull`".to_owned(),
        );
    }
    if bytes.starts_with(UTF8_MARK) {
        bytes.drain(..UTF8_MARK.len());
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            return wrong(format!(
                "it is not UTF-8 text from byte {at} on: is it the right file, and complete?"
            ));
        }
    };
    if let Some(line) = text.lines().position(|line| line.starts_with(CONFLICT)) {
        return wrong(format!(
            "line {} is git's mark of a merge conflict: resolve the conflict first",
            line + 1
        ));
    }
    Ok(text)
}

/// The whole content of `file`, if it has no more than `most_bytes`.
fn bounded(file: File, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A pipe has no length, and a file may grow while it is read.
    if file.metadata()?.len() <= most_bytes {
        file.take(most_bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= most_bytes {
            return Ok(bytes);
        }
    }
    let why = format!(
        "it is larger than {} MiB, which no file of its kind is: is it the right file?",
        most_bytes >> 20
    );
    Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
}

/// Whether a path names a file that this process received open.
fn is_handed_over(path: &Path) -> bool {
    ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|name| path.starts_with(name))
}

fn check_kind(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    match kind(found) {
        Kind::Regular => Ok(()),
        Kind::Pipe if is_handed_over(path) => Ok(()),
        Kind::Folder => Err(io::ErrorKind::IsADirectory.into()),
        Kind::Pipe => Err(io::Error::other(
            "it is a named pipe, but a regular file is needed: write the pipe's output to a file",
        )),
        Kind::Other => Err(io::Error::other(
            "it is a device or a socket, but a regular file is needed: name another file",
        )),
    }
}

enum Kind {
    Regular,
    Folder,
    Pipe,
    Other,
}

fn kind(found: &fs::Metadata) -> Kind {
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type()) {
        return Kind::Pipe;
    }
    match found {
        found if found.is_file() => Kind::Regular,
        found if found.is_dir() => Kind::Folder,
        _ => Kind::Other,
    }
}

/// Opens a file without waiting for a pipe's writer. Reading waits as usual.
#[cfg(unix)]
fn open_at_once(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

#[cfg(not(unix))]
fn open_at_once(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: impl AsRef<[u8]>) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, content).unwrap();
        text(&path, 1 << 20).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_is_read_without_its_mark_and_what_is_none_is_told() {
        assert_eq!(read("\u{feff}{}").unwrap(), "{}");
        assert_eq!(read("{\"a\": \"<<<<<<< b\"}").unwrap(), "{\"a\": \"<<<<<<< b\"}");
        for (content, why) in [
            (b"\xff\xfe{\0}\0".as_slice(), "UTF-16"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"{\"a\": \"\xff\"}", "not UTF-8 text from byte 7 on"),
            (b"{\n<<<<<<< HEAD\n\"a\": 1\n=======\n", "line 2 is git's mark of a merge conflict"),
        ] {
            let said = read(content).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let said = small(&path, 1 << 20).unwrap_err().to_string();
        assert!(said.contains("larger than 1 MiB"), "{said}");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        assert_eq!(small(&path, 1 << 20).unwrap().len(), 1 << 20);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_no_regular_file_is_refused_at_once_and_an_open_pipe_is_read() {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600))
            .unwrap();
        for (path, kind) in [
            (pipe.as_path(), "named pipe"),
            (Path::new("/dev/zero"), "device"),
            (folder.path(), "directory"),
        ] {
            let said = open(path).unwrap_err().to_string();
            assert!(said.contains(kind), "{said}");
        }
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"\xef\xbb\xbf{}").unwrap();
        drop(writer);
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        assert_eq!(text(Path::new(&path), 10).unwrap(), "{}");
    }
}
