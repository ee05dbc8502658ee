//! How much memory does an object take? A child process loads, verifies, exports or imports an
//! object, or fills the index from it, and reports the most memory that it held.

use std::process::{Command, Stdio};

use super::*;
use crate::store::verify::FindingKind;

const FOLDER: &str = "PREHEAT_TEST_MEMORY";
const DO: &str = "PREHEAT_TEST_MEMORY_DO";
/// The most memory that a process may hold beyond the machine code.
const BESIDE_BYTES: u64 = 64 << 20;

/// Machine code that does not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut code = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut code);
    code
}

/// The most memory that this process has held since it started.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Runs one step in a child process, and returns the most memory that the child held.
fn peak_of(dir: &Path, what: &str) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "store::tests::memory::an_object_takes_its_size_and_verifying_it_takes_nothing_of_it",
        "--exact",
    ]);
    let output = command
        .arg("--nocapture")
        .env(FOLDER, dir)
        .env(DO, what)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let peak = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("peak "))
        .unwrap_or_else(|| panic!("{said}"));
    peak.parse().unwrap()
}

fn role() -> Option<(PathBuf, String)> {
    Some((std::env::var_os(FOLDER)?.into(), std::env::var(DO).ok()?))
}

#[test]
fn an_object_takes_its_size_and_verifying_it_takes_nothing_of_it() {
    let key = graph(1).0.graph_key;
    if let Some((dir, what)) = role() {
        let store = open(&dir).unwrap();
        match what.as_str() {
            "load" => {
                let ObjectLookup::Hit(object) = store.load(&key).unwrap() else {
                    panic!("the object is missing")
                };
                assert_eq!(object.payload.len(), 256 << 20);
            }
            "verify" => assert_eq!(store.verify(false, |_| true).unwrap().findings, []),
            "export" => {
                let mut to = fs::File::create(dir.with_file_name("exported")).unwrap();
                assert_eq!(store.export(&mut to, |_| true, |_| true).unwrap().objects, 1);
            }
            "import" => {
                let imported = store
                    .import(fs::File::open(dir.with_file_name("exported")).unwrap(), |_| true)
                    .unwrap();
                assert_eq!(imported.added, 1, "{imported:?}");
            }
            "rebuild" => {
                fs::remove_dir_all(store.layout().graphs()).unwrap();
                assert_eq!(store.statistics().unwrap().entries, 1);
            }
            "refuse" => {
                let findings = store.verify(false, |_| true).unwrap().findings;
                assert!(
                    findings.iter().any(|one| one.kind == FindingKind::DamagedObject),
                    "{findings:?}"
                );
            }
            _ => drop(store),
        }
        println!("\npeak {}", peak_bytes());
        return;
    }
    let (scratch, (record, program)) = (Scratch::new(), graph(1));
    scratch.store.put(&record, &program, &noise(256 << 20)).unwrap();
    let dir = scratch.store.dir();
    let nothing = peak_of(dir, "nothing");
    let load = peak_of(dir, "load") - nothing;
    assert!(load <= (256 << 20) + BESIDE_BYTES, "loading 256 MiB takes {load} bytes");
    let verify = peak_of(dir, "verify") - nothing;
    assert!(verify <= BESIDE_BYTES, "verifying 256 MiB takes {verify} bytes");
    println!("of 256 MiB: load {} MB, verify {} MB", load / 1_000_000, verify / 1_000_000);
}

#[test]
fn an_object_that_states_a_huge_size_is_verified_without_it() {
    let (scratch, (record, program)) = (Scratch::new(), graph(1));
    scratch.store.put(&record, &program, &payload(1)).unwrap();
    // The payload is 256 MiB of zeros in a frame of some ten kilobytes, with right checksums.
    let mut frame = zstd::Encoder::new(Vec::new(), 1).unwrap();
    io::copy(&mut io::Read::take(io::repeat(0), 256 << 20), &mut frame).unwrap();
    let info = ObjectInfo { payload_bytes: 256 << 20, ..ObjectInfo::of(b"not those") };
    let mut forged = Vec::new();
    let program = object::ProgramFrame::of(&program).unwrap();
    object::write_frame(&mut forged, &record, &program, info, &frame.finish().unwrap()).unwrap();
    fs::write(scratch.store.layout().object(&record.graph_key), forged).unwrap();
    let dir = scratch.store.dir();
    let refuse = peak_of(dir, "refuse") - peak_of(dir, "nothing");
    assert!(refuse <= BESIDE_BYTES, "refusing an object that states 256 MiB takes {refuse} bytes");
}

/// Writes an object with a program of `bytes` bytes into the store. The program begins with
/// `first`; all other bytes are zeros or noise.
fn long_program(folder: &Path, format: ProgramFormat, first: &[u8], bytes: u64, compresses: bool) {
    let (mut record, _) = graph(1);
    let content = || -> Box<dyn io::Read> {
        let rest: Box<dyn io::Read> = if compresses {
            Box::new(io::Read::take(io::repeat(0), bytes - first.len() as u64))
        } else {
            Box::new(io::Cursor::new(noise(usize::try_from(bytes).unwrap() - first.len())))
        };
        Box::new(io::Read::chain(io::Cursor::new(first.to_vec()), rest))
    };
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    io::copy(&mut content(), &mut encoder).unwrap();
    let digest = crate::program::streamed_digest(format, &mut content()).unwrap();
    let digest = digest.unwrap_or_else(|| Digest::of(b"what only the whole program tells"));
    record.program = crate::record::ProgramInfo { format, digest, bytes };
    record.graph_key = GraphKey::of(&digest, &record.options, &record.environment);
    let program = object::ProgramFrame { format, bytes, frame: encoder.finish().unwrap() };
    let code = zstd::bulk::compress(b"code", 1).unwrap();
    let mut object = Vec::new();
    object::write_frame(&mut object, &record, &program, ObjectInfo::of(b"code"), &code).unwrap();
    let path = open(folder).unwrap().layout().object(&record.graph_key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, object).unwrap();
}

#[test]
fn a_record_with_a_long_program_is_verified_moved_and_rebuilt_without_it() {
    for (name, format, first, bytes, compresses) in [
        ("bytecode", ProgramFormat::Mlir, b"ML\xefR".as_slice(), 1 << 30, true),
        ("text", ProgramFormat::Mlir, b"module @m {", 1 << 30, true),
        ("noise", ProgramFormat::Mlir, b"ML\xefR", 128 << 20, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (dir, other) = (folder.path().join("store"), folder.path().join("other"));
        let scratch = open(&dir).unwrap();
        let (record, program) = graph(2);
        scratch.put(&record, &program, &payload(2)).unwrap();
        scratch.remove(&record.graph_key).unwrap();
        long_program(&dir, format, first, bytes, compresses);
        let nothing = peak_of(&dir, "nothing");
        let mut steps = vec![("rebuild", &dir), ("verify", &dir), ("export", &dir)];
        if !compresses {
            // An import refuses an object that decompresses to hundreds of times its length.
            steps.extend([("import", &other), ("verify", &other)]);
        }
        for (what, dir) in steps {
            let peak = peak_of(dir, what).saturating_sub(nothing);
            assert!(peak <= BESIDE_BYTES, "{name}: {what} takes {peak} bytes");
            println!("{name}: {what} takes {} MB", peak / 1_000_000);
        }
    }
}
