//! Is a store sound after its process was killed, or after a power cut, and can the next process go
//! on?
//!
//! The module `files/journal.rs` records changes of files, and can end the process before each of
//! them. A power cut is simulated with a model of a file system that keeps only what was synced.
//! Changes of sled's own files are not recorded, so the model has these files either as they were
//! before a transaction or as they were after it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::files::journal::{self, Change};
use crate::store::verify::{Finding, FindingKind};

const FOLDER: &str = "PREHEAT_TEST_CRASH";
const POINT: &str = "PREHEAT_TEST_CRASH_AT";
/// How often a writer is killed at random.
const RANDOM_KILLS: u64 = 500;

/// Stores a graph, of which another form may already be stored. The payload tells the two forms
/// apart.
fn put_form(store: &Store, number: u64, form: u64) {
    let (record, program) = graph(number);
    store.put(&record, &program, &payload(100 * (form + 1) + number)).unwrap();
}

/// Changes a store as three requests do: one that compiles a graph, one that compiles a stored
/// graph again, and one that evicts an object to make room for its own.
fn work(dir: &Path) {
    let store = open(dir).unwrap();
    let LockOutcome::Held(lock) =
        store.compile_lock(&graph(1).0.graph_key, |_, _| Wait::Cancel).unwrap()
    else {
        panic!()
    };
    put_form(&store, 1, 0);
    drop(lock);
    store
        .commit(&[hit(graph(1).0.graph_key)], &Counters { misses: 1, ..Counters::default() })
        .unwrap();
    put_form(&store, 0, 1);
    let max_bytes = store.statistics().unwrap().stored_bytes + 100;
    let bounded = Store::open(StoreOptions { max_bytes, ..StoreOptions::new(dir) }).unwrap();
    put_form(&bounded, 2, 0);
}

fn clear(dir: &Path) {
    open(dir).unwrap().clear().unwrap();
}

/// The store before [`work`]: it has one graph, which is pinned.
fn before_work() -> Scratch {
    let scratch = Scratch::new();
    put_form(&scratch.store, 0, 0);
    scratch.store.set_pinned(&graph(0).0.graph_key, true).unwrap();
    scratch
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Checks the store of a writer that died: nothing in it is wrong, nothing that was stored before
/// is lost, and no left-over stays.
fn check(dir: &Path, what: &str, stored_before: &[u64]) {
    // A power cut may remove a new index as a whole, and this is reported. No other damage may be
    // found.
    let no_index = !open(dir).unwrap().layout().graphs().exists();
    let found = open(dir).unwrap().verify(false, |_| true).unwrap();
    let expected = |one: &Finding| {
        !one.kind.is_damage() || (no_index && one.kind == FindingKind::DamagedIndex)
    };
    assert!(found.findings.iter().all(expected), "{what}: {:#?}", found.findings);
    let store = open(dir).unwrap();
    let mut there = 0;
    for number in 0..3 {
        let key = graph(number).0.graph_key;
        match store.load(&key).unwrap() {
            ObjectLookup::Hit(object) => {
                let forms = [0, 1].map(|form| payload(100 * (form + 1) + number));
                assert!(
                    forms.contains(&object.payload),
                    "{what}: {number} is neither of the stored forms"
                );
                store.commit(&[hit(key)], &Counters::default()).unwrap();
                there += 1;
            }
            ObjectLookup::Absent => {
                assert!(!stored_before.contains(&number), "{what}: {number} is lost");
            }
            ObjectLookup::Damaged { reason } => panic!("{what}: {number}: {reason}"),
        }
    }
    // The first write of the next process removes the left-overs.
    store.commit(&[], &Counters::default()).unwrap();
    for folder in [store.layout().tmp(), store.layout().locks()] {
        let left: Vec<_> = files_of(&folder)
            .into_iter()
            .filter(|path| *path != store.layout().index_lock())
            .collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }
    // By now, every object has a record. A graph that was half evicted may have only a record, and
    // one that was replaced may have an older record.
    let found = store.verify(true, |_| true).unwrap();
    let expected = |one: &Finding| {
        matches!(one.kind, FindingKind::RecordWithoutObject | FindingKind::RecordDiffers)
    };
    assert!(found.findings.iter().all(expected), "{what}: {:#?}", found.findings);
    let after = store.verify(false, |_| true).unwrap();
    assert_eq!((after.findings.as_slice(), after.objects), ([].as_slice(), there), "{what}");
    assert_eq!(store.statistics().unwrap().stored_bytes, after.object_bytes, "{what}");
    // The store can be written again as before.
    put_form(&store, 1, 1);
    assert!(matches!(store.load(&graph(1).0.graph_key), Ok(ObjectLookup::Hit(_))), "{what}");
}

fn child(test: &str, dir: &Path, point: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("store::tests::crash::{test}"), "--exact", "--nocapture"]);
    command
        .env(FOLDER, dir)
        .env(POINT, point.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn role() -> Option<(PathBuf, usize)> {
    Some((std::env::var_os(FOLDER)?.into(), std::env::var(POINT).ok()?.parse().ok()?))
}

#[test]
fn a_process_killed_before_any_change_of_files_leaves_a_sound_store() {
    if let Some((dir, point)) = role() {
        journal::kill_before(point);
        return work(&dir);
    }
    let scratch = before_work();
    let counted = tempfile::tempdir().unwrap();
    copy(scratch.store.dir(), counted.path());
    let points = journal::of(|| work(counted.path())).len();
    assert!(points > 40, "{points} changes are noted");
    for point in 0..=points {
        let dir = tempfile::tempdir().unwrap();
        copy(scratch.store.dir(), dir.path());
        let status = child(
            "a_process_killed_before_any_change_of_files_leaves_a_sound_store",
            dir.path(),
            point,
        );
        let status = { status }.status().unwrap();
        assert_eq!(status.success(), point == points, "point {point} of {points}");
        check(dir.path(), &format!("killed before change {point} of {points}"), &[0]);
    }
    println!("{points} points");
}

#[test]
fn a_process_killed_while_it_clears_leaves_a_sound_store() {
    if let Some((dir, point)) = role() {
        journal::kill_before(point);
        return clear(&dir);
    }
    let scratch = before_work();
    (1..3).for_each(|number| put_form(&scratch.store, number, 0));
    let counted = tempfile::tempdir().unwrap();
    copy(scratch.store.dir(), counted.path());
    let points = journal::of(|| clear(counted.path())).len();
    for point in 0..=points {
        let dir = tempfile::tempdir().unwrap();
        copy(scratch.store.dir(), dir.path());
        let status =
            child("a_process_killed_while_it_clears_leaves_a_sound_store", dir.path(), point)
                .status();
        assert_eq!(status.unwrap().success(), point == points, "point {point} of {points}");
        check(dir.path(), &format!("killed before change {point} of {points}"), &[]);
    }
    println!("{points} points");
}

#[test]
fn a_process_killed_while_it_moves_a_store_leaves_one_that_the_next_process_moves() {
    let test = "a_process_killed_while_it_moves_a_store_leaves_one_that_the_next_process_moves";
    let refused = |number| {
        if number == 1 {
            journal::refuse(journal::Refused::RenamedFolder);
        }
    };
    if let Some((dir, point)) = role() {
        refused(point % 2);
        journal::kill_before(point / 2);
        drop(open(&dir).unwrap());
        return;
    }
    let scratch = moving::among_others();
    for number in [1, 0] {
        let counted = tempfile::tempdir().unwrap();
        copy(scratch.folder.path(), counted.path());
        // The refused operation and the list of changes belong to a thread, so the changes are
        // counted in a new thread.
        let points = std::thread::scope(|scope| {
            let count = || {
                refused(number);
                journal::of(|| drop(open(counted.path()).unwrap())).len()
            };
            scope.spawn(count).join().unwrap()
        });
        assert!(points > 10, "{points} changes are noted");
        for point in 0..=points {
            let dir = tempfile::tempdir().unwrap();
            copy(scratch.folder.path(), dir.path());
            let status = child(test, dir.path(), point * 2 + number).status().unwrap();
            assert_eq!(status.success(), point == points, "point {point} of {points}");
            let what = format!("killed before change {point} of {points}, in way {number}");
            let reader = Store::open(StoreOptions::new(dir.path()).read_only()).unwrap();
            // The object may still be in the old place, or already in the new one.
            let read = reader.load(&graph(1).0.graph_key).unwrap();
            assert!(!matches!(read, ObjectLookup::Damaged { .. }), "{what}");
            moving::assert_moved(dir.path(), &what);
        }
        println!("{points} points");
    }
}

/// Loses an index that takes several turns to fill, fills it again from the objects, and rewrites
/// it.
fn remake(dir: &Path) {
    let store = open(dir).unwrap();
    fs::remove_dir_all(store.layout().graphs()).unwrap();
    store.statistics().unwrap();
    tidy(dir);
}

fn tidy(dir: &Path) {
    open(dir).unwrap().tidy_index_above(0).unwrap();
}

#[test]
fn a_process_killed_while_it_fills_or_rewrites_the_index_leaves_a_sound_store() {
    let test = "a_process_killed_while_it_fills_or_rewrites_the_index_leaves_a_sound_store";
    let works: [fn(&Path); 2] = [remake, tidy];
    if let Some((dir, point)) = role() {
        journal::kill_before(point / works.len());
        return works[point % works.len()](&dir);
    }
    let scratch = before_work();
    let graphs: Vec<_> = (100..125).map(graph).collect();
    scratch
        .store
        .put_all(graphs.iter().map(|(record, program)| (record, program, b"code".as_slice())))
        .unwrap();
    let expected = scratch.store.statistics().unwrap();
    for (number, work) in works.into_iter().enumerate() {
        let counted = tempfile::tempdir().unwrap();
        copy(scratch.store.dir(), counted.path());
        let points = journal::of(|| work(counted.path())).len();
        assert!(points > 3, "{points} changes are noted");
        for point in 0..=points {
            let dir = tempfile::tempdir().unwrap();
            copy(scratch.store.dir(), dir.path());
            let status = child(test, dir.path(), point * works.len() + number).status().unwrap();
            assert_eq!(status.success(), point == points, "point {point} of {points}");
            let what = format!("work {number} killed before change {point} of {points}");
            let store = open(dir.path()).unwrap();
            let statistics = store.statistics().unwrap();
            assert_eq!(
                (statistics.entries, statistics.stored_bytes),
                (expected.entries, expected.stored_bytes),
                "{what}"
            );
            let pinned = store.record(&graph(0).0.graph_key).unwrap().unwrap().pinned;
            assert!(pinned || number == 0, "{what}: a pin is lost");
            assert!(!store.layout().graphs_anew().exists(), "{what}: a half-made copy stays");
            assert_eq!(store.verify(false, |_| true).unwrap().findings, [], "{what}");
        }
        println!("{points} points");
    }
}

#[test]
fn a_process_killed_at_random_leaves_a_sound_store() {
    if let Some((dir, round)) = role() {
        let store = open(&dir).unwrap();
        fs::write(dir.join("started"), "").unwrap();
        for step in round as u64.. {
            put_form(&store, step % 3, step / 3 % 2);
            let key = graph(step % 3).0.graph_key;
            store.commit(&[hit(key)], &Counters::default()).unwrap();
        }
    }
    let scratch = before_work();
    let began = Instant::now();
    let mut numbers = noise(500);
    for round in 0..RANDOM_KILLS {
        let dir = scratch.store.dir();
        let _ = fs::remove_file(dir.join("started"));
        let mut child = child(
            "a_process_killed_at_random_leaves_a_sound_store",
            dir,
            usize::try_from(round).unwrap(),
        )
        .spawn()
        .unwrap();
        while !dir.join("started").exists() {
            std::thread::sleep(Duration::from_micros(500));
        }
        // One round of this work takes some ten milliseconds.
        std::thread::sleep(Duration::from_micros(numbers.next().unwrap() % 40_000));
        child.kill().unwrap();
        child.wait().unwrap();
        check(dir, &format!("round {round}"), &[0]);
    }
    println!("{RANDOM_KILLS} kills in {:.0?}", began.elapsed());
}

#[test]
fn a_process_killed_while_it_writes_a_note_leaves_nothing_that_stays() {
    let write = |dir: &Path| {
        let store = open(dir).unwrap();
        store.write_note(Note::Target(Digest::of(b"target")), b"noted").unwrap();
    };
    if let Some((dir, point)) = role() {
        journal::kill_before(point);
        return write(&dir);
    }
    let scratch = before_work();
    let counted = tempfile::tempdir().unwrap();
    copy(scratch.store.dir(), counted.path());
    let points = journal::of(|| write(counted.path())).len();
    for point in 0..=points {
        let dir = tempfile::tempdir().unwrap();
        copy(scratch.store.dir(), dir.path());
        let status = child(
            "a_process_killed_while_it_writes_a_note_leaves_nothing_that_stays",
            dir.path(),
            point,
        );
        let status = { status }.status().unwrap();
        assert_eq!(status.success(), point == points, "point {point} of {points}");
        let what = format!("killed before change {point} of {points}");
        check(dir.path(), &what, &[0]);
        for path in files_of(&open(dir.path()).unwrap().layout().targets()) {
            assert_eq!(fs::read(&path).unwrap(), b"noted", "{what}: {}", path.display());
        }
    }
}

/// A file system that keeps only what was synced when the power is cut.
#[derive(Default)]
struct Disk {
    /// What exists now: files by path, and folders.
    files: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    /// The names that survive a power cut.
    lasting_files: BTreeMap<PathBuf, usize>,
    lasting_folders: BTreeSet<PathBuf>,
    /// The content of each file: now, and after a power cut.
    contents: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Disk {
    /// A disk with everything that lies in a folder, all of it synced.
    fn of(root: &Path) -> Self {
        let mut disk = Self::default();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = fs::read(&path).unwrap();
                    disk.files.insert(path, disk.contents.len());
                    disk.contents.push((content.clone(), content));
                }
            }
            disk.folders.insert(folder);
        }
        disk.lasting_files = disk.files.clone();
        disk.lasting_folders = disk.folders.clone();
        disk
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Folder(path) => {
                let above = path
                    .ancestors()
                    .take_while(|path| !self.folders.contains(*path))
                    .map(Path::to_owned);
                let above: Vec<PathBuf> = above.collect();
                self.folders.extend(above);
            }
            Change::Created(path) => {
                self.files.insert(path.clone(), self.contents.len());
                self.contents.push(Default::default());
            }
            Change::Written(path, bytes) => {
                self.contents[self.files[path]].0.extend_from_slice(bytes);
            }
            Change::Synced(path) => {
                let content = &mut self.contents[self.files[path]];
                content.1 = content.0.clone();
            }
            Change::Renamed(from, to) => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to.clone(), file);
                }
            }
            Change::Removed(path) => _ = self.files.remove(path),
            Change::FolderSynced(folder) => {
                let within = |path: &Path| path.parent() == Some(folder);
                self.lasting_files.retain(|path, _| !within(path));
                self.lasting_files.extend(
                    self.files
                        .iter()
                        .filter(|(path, _)| within(path))
                        .map(|(path, file)| (path.clone(), *file)),
                );
                self.lasting_folders
                    .extend(self.folders.iter().filter(|path| within(path)).cloned());
            }
            Change::Index(_) => {}
        }
    }

    /// Writes the state that a power cut leaves. Names that were not synced are lost, or, with
    /// `names_last`, are kept, as on a file system whose journal writes names before contents.
    /// Content that was not synced is lost in either case.
    fn lay_out(&self, root: &Path, to: &Path, names_last: bool) {
        let (files, folders) = if names_last {
            (&self.files, &self.folders)
        } else {
            (&self.lasting_files, &self.lasting_folders)
        };
        for (path, file) in files {
            let reachable = path
                .ancestors()
                .skip(1)
                .take_while(|path| path.starts_with(root))
                .all(|path| folders.contains(path));
            if reachable {
                let target = to.join(path.strip_prefix(root).unwrap());
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(target, &self.contents[*file].1).unwrap();
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_point_leaves_a_sound_store() {
    let mut cuts = 0;
    for fresh in [true, false] {
        let scratch = if fresh { Scratch::new() } else { before_work() };
        let dir = scratch.store.dir();
        let mut disk = Disk::of(dir);
        let stored: &[u64] = if fresh { &[] } else { &[0] };
        let mut graphs = tempfile::tempdir().unwrap();
        let keep = |graphs: &tempfile::TempDir| {
            if dir.join("graphs-v2").exists() {
                copy(&dir.join("graphs-v2"), graphs.path());
            }
        };
        keep(&graphs);
        for step in 0..3_u64 {
            let number = step % 2;
            let changes = journal::of(|| put_form(&scratch.store, number, step / 2));
            let before = std::mem::replace(&mut graphs, tempfile::tempdir().unwrap());
            keep(&graphs);
            // The creation of a new index is a transaction of its own.
            let done = changes.iter().rposition(|step| *step == Change::Index("flushed")).unwrap();
            for at in 0..=changes.len() {
                let recorded = at > done;
                for names_last in [false, true] {
                    let cut = tempfile::tempdir().unwrap();
                    disk.lay_out(dir, cut.path(), names_last);
                    let _ = fs::remove_dir_all(cut.path().join("graphs-v2"));
                    let index = if recorded { &graphs } else { &before };
                    if fs::read_dir(index.path()).unwrap().next().is_some() {
                        copy(index.path(), &cut.path().join("graphs-v2"));
                    }
                    let next: String = changes
                        .get(at)
                        .map(|next| format!("{next:?}").chars().take(80).collect())
                        .unwrap_or_default();
                    let what = format!("step {step}, cut before {next}, names last: {names_last}");
                    let lasting =
                        if recorded { [stored, &[number]].concat() } else { stored.to_vec() };
                    check(cut.path(), &what, &lasting);
                    cuts += 1;
                }
                if let Some(change) = changes.get(at) {
                    disk.change(change);
                }
            }
        }
    }
    println!("{cuts} power cuts");
}
