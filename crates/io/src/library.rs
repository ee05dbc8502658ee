//! Which build of a shared library does a file contain, and is the file complete?
//!
//! The program headers of an ELF file answer both questions: they say how long the file must be,
//! and where its notes are. The note of type 3 with the name `GNU` holds the build id. Offsets are
//! those of the ELF specification. A file whose headers are inconsistent counts as one without a
//! build id.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::input;

const MAGIC: &[u8] = b"\x7fELF";
const PROGRAM_HEADER_LOAD: u64 = 1;
const PROGRAM_HEADER_NOTE: u64 = 4;
const NOTE_BUILD_ID: u64 = 3;
/// A file with more program headers counts as inconsistent. A real library has about ten.
const HEADERS_LIMIT: u64 = 1024;
/// A larger segment of notes is skipped. The notes of a real library take less than a kilobyte.
const NOTES_LIMIT_BYTES: u64 = 64 << 10;

/// The GNU build id of a file, if it is an ELF file with one.
///
/// # Errors
/// If the file cannot be read.
pub fn build_id(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let Some((class, segments)) = segments(file)? else { return Ok(None) };
    for Segment { kind, offset, length } in segments {
        if kind != PROGRAM_HEADER_NOTE || length > NOTES_LIMIT_BYTES {
            continue;
        }
        let Some(notes) = read_at(file, offset, length)? else { continue };
        if let Some(id) = class.find_build_id(&notes) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// How long a file must be to contain everything that is mapped when it is loaded; `None` if it is
/// not an ELF file, or if nothing of it is mapped.
fn loaded_bytes(file: &mut File) -> io::Result<Option<u64>> {
    let Some((_, segments)) = segments(file)? else { return Ok(None) };
    let loaded = segments.into_iter().filter(|segment| segment.kind == PROGRAM_HEADER_LOAD);
    Ok(loaded.map(|segment| segment.offset.saturating_add(segment.length)).max())
}

/// How many bytes a shared library lacks, compared with what its own headers say; `None` if it
/// lacks none, or is not an ELF file.
///
/// A library that was cut short is loaded without an error, and ends the process with SIGBUS when
/// the missing part is read.
///
/// # Errors
/// The errors of [`input::open`], and an error if the file cannot be read.
pub fn missing_bytes(library: &Path) -> io::Result<Option<u64>> {
    let mut file = input::open(library)?;
    let needed = loaded_bytes(&mut file)?.unwrap_or(0);
    Ok(needed.checked_sub(file.metadata()?.len()).filter(|missing| *missing > 0))
}

/// A part of the file, as a program header describes it.
struct Segment {
    kind: u64,
    offset: u64,
    length: u64,
}

/// The segments of an ELF file, as far as its program headers can be read.
fn segments(file: &mut File) -> io::Result<Option<(Class, Vec<Segment>)>> {
    let Some(start) = read_at(file, 0, 64)? else { return Ok(None) };
    let Some(class) = Class::of(&start) else { return Ok(None) };
    let table = class.program_headers(&start);
    let Some((offset, entry_bytes, count)) = table.filter(|(_, _, count)| *count <= HEADERS_LIMIT)
    else {
        return Ok(None);
    };
    let mut segments = Vec::new();
    for index in 0..count {
        let Some(at) =
            entry_bytes.checked_mul(index).and_then(|skipped| skipped.checked_add(offset))
        else {
            break;
        };
        let Some(header) = read_at(file, at, entry_bytes.min(64))? else { break };
        segments.extend(class.segment(&header));
    }
    Ok(Some((class, segments)))
}

/// The class and byte order of one file, which decide how its numbers are written.
#[derive(Clone, Copy)]
struct Class {
    wide: bool,
    little_endian: bool,
}

impl Class {
    fn of(start: &[u8]) -> Option<Self> {
        let wide = match start.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let little_endian = match start.get(5)? {
            1 => true,
            2 => false,
            _ => return None,
        };
        start.starts_with(MAGIC).then_some(Self { wide, little_endian })
    }

    fn number(self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.little_endian {
            bytes.iter().rev().fold(0, add)
        } else {
            bytes.iter().fold(0, add)
        })
    }

    /// The offset of the program headers, the length of each, and their number.
    fn program_headers(self, start: &[u8]) -> Option<(u64, u64, u64)> {
        let (offset, entry_bytes, count) = if self.wide {
            (self.number(start, 32, 8)?, self.number(start, 54, 2)?, self.number(start, 56, 2)?)
        } else {
            (self.number(start, 28, 4)?, self.number(start, 42, 2)?, self.number(start, 44, 2)?)
        };
        Some((offset, entry_bytes, count))
    }

    /// The segment that a program header describes.
    fn segment(self, header: &[u8]) -> Option<Segment> {
        let kind = self.number(header, 0, 4)?;
        let (offset, length) = if self.wide {
            (self.number(header, 8, 8)?, self.number(header, 32, 8)?)
        } else {
            (self.number(header, 4, 4)?, self.number(header, 16, 4)?)
        };
        Some(Segment { kind, offset, length })
    }

    fn find_build_id(self, notes: &[u8]) -> Option<Vec<u8>> {
        let mut at = 0;
        while at < notes.len() {
            let name_bytes = usize::try_from(self.number(notes, at, 4)?).ok()?;
            let id_bytes = usize::try_from(self.number(notes, at + 4, 4)?).ok()?;
            let kind = self.number(notes, at + 8, 4)?;
            let name = at + 12;
            let id = name.checked_add(name_bytes.checked_next_multiple_of(4)?)?;
            let end = id.checked_add(id_bytes)?;
            if kind == NOTE_BUILD_ID
                && notes.get(name..name.checked_add(name_bytes)?)? == b"GNU\0"
                && id_bytes > 0
            {
                return notes.get(id..end).map(<[u8]>::to_vec);
            }
            at = id.checked_add(id_bytes.checked_next_multiple_of(4)?)?;
        }
        None
    }
}

/// The `length` bytes at an offset; `None` if the file ends before the last of them.
fn read_at(file: &mut File, offset: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
    let file_bytes = file.metadata()?.len();
    if offset.checked_add(length).is_none_or(|end| end > file_bytes) {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.by_ref().take(length).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 == length).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_loaded_has_to_be_in_the_file() {
        for (wide, little_endian) in [(true, true), (false, true), (true, false), (false, false)] {
            let mut bytes = elf(wide, little_endian, &[0; 40]);
            let needed = |bytes: &[u8]| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(bytes).unwrap();
                loaded_bytes(&mut file).unwrap()
            };
            assert_eq!(needed(&bytes), None, "notes alone are not mapped");
            bytes[if little_endian { 64 } else { 67 }] = 1;
            assert_eq!(needed(&bytes), Some(160));
            assert_eq!(needed(&bytes[..130]), Some(160));
        }
        let mut text = tempfile::tempfile().unwrap();
        text.write_all(&[b'a'; 100]).unwrap();
        assert_eq!(loaded_bytes(&mut text).unwrap(), None);
    }

    /// An ELF file with one segment of notes.
    fn elf(wide: bool, little_endian: bool, notes: &[u8]) -> Vec<u8> {
        let put = |bytes: &mut Vec<u8>, at: usize, length: usize, value: u64| {
            let mut digits = value.to_le_bytes()[..length].to_vec();
            if !little_endian {
                digits.reverse();
            }
            bytes.resize(bytes.len().max(at + length), 0);
            bytes[at..at + length].copy_from_slice(&digits);
        };
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(&[
            0x7f,
            b'E',
            b'L',
            b'F',
            1 + u8::from(wide),
            2 - u8::from(little_endian),
        ]);
        let entry = if wide { 56 } else { 32 };
        let length = notes.len() as u64;
        let fields = if wide {
            [(32, 8, 64), (54, 2, entry), (56, 2, 1), (64, 4, 4), (72, 8, 120), (96, 8, length)]
        } else {
            [(28, 4, 64), (42, 2, entry), (44, 2, 1), (64, 4, 4), (68, 4, 120), (80, 4, length)]
        };
        for (at, bytes, value) in fields {
            put(&mut file, at, bytes, value);
        }
        file.resize(120, 0);
        file.extend(notes);
        file
    }

    fn note(little_endian: bool, kind: u32, name: &[u8], content: &[u8]) -> Vec<u8> {
        let number =
            |value: u32| if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
        let length = |bytes: &[u8]| number(u32::try_from(bytes.len()).unwrap());
        let mut note = [length(name), length(content), number(kind)].concat();
        for part in [name, content] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    fn read(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        build_id(&mut file).unwrap()
    }

    #[test]
    fn the_id_is_found_behind_other_notes() {
        for (wide, little_endian) in [(true, true), (false, true), (true, false), (false, false)] {
            let other = note(little_endian, 1, b"GNU\0", b"abi");
            let foreign = note(little_endian, 3, b"Go\0\0", b"id");
            let id = note(little_endian, 3, b"GNU\0", b"\x01\x02\x03");
            let file = elf(wide, little_endian, &[other.clone(), foreign, id].concat());
            assert_eq!(read(&file), Some(vec![1, 2, 3]), "{wide} {little_endian}");
            assert_eq!(read(&elf(wide, little_endian, &other)), None);
            for length in 0..file.len() {
                assert_eq!(read(&file[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn what_is_no_elf_file_has_none() {
        assert_eq!(read(b""), None);
        assert_eq!(read(&[0; 4096]), None);
        assert_eq!(read(&[0xff; 4096]), None);
        let mut garbage = elf(true, true, &note(true, 3, b"GNU\0", b"\x01"));
        for at in 4..garbage.len() {
            let before = garbage[at];
            garbage[at] = 0xff;
            drop(read(&garbage));
            garbage[at] = before;
        }
    }
}
