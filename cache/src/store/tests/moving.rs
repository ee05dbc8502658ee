//! Does a store of an earlier release that lies among other files move into its own folder, even if
//! processes die or use the store during the move?

use super::place::{FOREIGN, assert_foreign, unmarked, use_and_clear, write_foreign};
use super::*;
use crate::files::journal::{self, Refused};
use crate::store::StoreError;

/// Makes a store of an earlier release that lies among other files, with one pinned graph in it.
pub(super) fn among_others() -> Scratch {
    let scratch = unmarked();
    write_foreign(scratch.folder.path());
    scratch
}

/// Asserts that the whole store is in a folder of its own, and that nothing else has moved.
pub(super) fn assert_moved(dir: &Path, what: &str) {
    let store = open(dir).unwrap();
    assert_eq!(store.layout().root(), dir.join("preheat-store"), "{what}");
    assert!(store.layout().owned().is_file(), "{what}");
    let key = graph(1).0.graph_key;
    assert!(matches!(store.load(&key).unwrap(), ObjectLookup::Hit(_)), "{what}");
    assert!(store.record(&key).unwrap().is_some_and(|one| one.pinned), "{what}: a pin is lost");
    assert_foreign(dir, what);
    let own = dir.join("preheat-store");
    let left = files_of(dir).into_iter().filter(|path| !path.starts_with(&own));
    assert_eq!(left.count(), FOREIGN.len(), "{what}");
    assert_eq!(store.verify(false, |_| true).unwrap().findings, [], "{what}");
}

#[test]
fn a_store_among_other_things_moves_into_a_folder_of_its_own() {
    let scratch = among_others();
    let dir = scratch.folder.path();
    open(dir).unwrap();
    for name in ["format", "graphs-v2", "CACHEDIR.TAG", "objects-v1/../locks/index.lock"] {
        assert!(!dir.join(name).exists(), "{name} is where it was");
    }
    assert_moved(dir, "once");
    assert_moved(dir, "twice");
    use_and_clear(dir);
    assert_foreign(dir, "cleared");
}

#[test]
fn where_folders_cannot_be_renamed_their_files_are() {
    let scratch = among_others();
    journal::refuse(Refused::RenamedFolder);
    assert_moved(scratch.folder.path(), "file by file");
}

#[test]
fn one_that_is_only_read_stays_where_it_is() {
    let scratch = among_others();
    let dir = scratch.folder.path();
    let reader = || Store::open(StoreOptions::new(dir).read_only()).unwrap();
    assert!(matches!(reader().load(&graph(1).0.graph_key).unwrap(), ObjectLookup::Hit(_)));
    assert!(!dir.join("preheat-store").exists());
    // In a store that is being moved, the objects have moved first.
    open(dir).unwrap();
    fs::remove_file(dir.join("preheat-store/OWNED-BY-PREHEAT")).unwrap();
    fs::rename(dir.join("preheat-store/format"), dir.join("format")).unwrap();
    assert!(matches!(reader().load(&graph(1).0.graph_key).unwrap(), ObjectLookup::Hit(_)));
    assert!(!dir.join("preheat-store/OWNED-BY-PREHEAT").exists());
}

#[test]
fn files_of_the_same_names_that_are_not_preheats_stay() {
    let scratch = among_others();
    let dir = scratch.folder.path();
    fs::write(dir.join("CACHEDIR.TAG"), "mine").unwrap();
    fs::remove_dir_all(dir.join("graphs-v1")).unwrap();
    fs::write(dir.join("graphs-v1"), "mine").unwrap();
    open(dir).unwrap();
    assert_eq!(fs::read(dir.join("CACHEDIR.TAG")).unwrap(), b"mine");
    assert!(dir.join("preheat-store/format").is_file());
}

#[test]
fn what_an_older_release_makes_anew_meanwhile_stays() {
    let scratch = among_others();
    let dir = scratch.folder.path();
    // The process was killed when everything except `format` had moved; then the older release was
    // used.
    open(dir).unwrap();
    fs::remove_file(dir.join("preheat-store/OWNED-BY-PREHEAT")).unwrap();
    fs::rename(dir.join("preheat-store/format"), dir.join("format")).unwrap();
    let newer = Scratch::new();
    newer.put(1);
    let kept = newer.put(2).graph_key;
    for name in ["objects-v1", "graphs-v2", "locks"] {
        let mut copying = std::process::Command::new("cp");
        copying.arg("-r").arg(newer.folder.path().join(name)).arg(dir);
        assert!(copying.status().unwrap().success());
    }
    let files = || files_of(&dir.join("graphs-v2")).into_iter();
    let theirs = || files().map(|path| fs::read(path).unwrap());
    let before: Vec<_> = theirs().collect();
    let store = open(dir).unwrap();
    assert_eq!(store.layout().root(), dir.join("preheat-store"));
    assert!(store.record(&graph(1).0.graph_key).unwrap().unwrap().pinned, "its own index is used");
    assert!(theirs().eq(before), "the other index is untouched");
    assert!(
        matches!(store.load(&kept).unwrap(), ObjectLookup::Hit(_)),
        "the new entry has moved as well"
    );
    let first = graph(1).0.graph_key.to_string();
    let left = files_of(&dir.join("objects-v1"));
    assert!(left.iter().any(|path| path.ends_with(&first)), "nothing is replaced");
    assert_foreign(dir, "both");
}

#[test]
fn a_transaction_of_an_older_release_is_waited_for() {
    let scratch = among_others();
    let dir = scratch.folder.path();
    let lock = fs::File::options().write(true).open(dir.join("locks/index.lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| open(dir).unwrap().layout());
        std::thread::sleep(Duration::from_millis(500));
        assert!(dir.join("graphs-v2/db").is_file(), "the index has moved within a transaction");
        lock.unlock().unwrap();
        assert_eq!(opened.join().unwrap().root(), dir.join("preheat-store"));
    });
    assert_moved(dir, "after a transaction");
}

#[test]
fn one_that_does_not_end_leaves_a_store_that_can_be_read_and_says_why() {
    let scratch = among_others();
    let dir = scratch.folder.path();
    let lock = fs::File::options().write(true).open(dir.join("locks/index.lock")).unwrap();
    lock.lock().unwrap();
    let store = open(dir).unwrap();
    let (record, program) = graph(2);
    assert!(matches!(store.load(&graph(1).0.graph_key).unwrap(), ObjectLookup::Hit(_)));
    let error = store.put(&record, &program, &payload(2)).unwrap_err().to_string();
    assert!(error.contains("a process keeps it locked") && error.contains("index.lock"), "{error}");
    assert!(dir.join("graphs-v2/db").is_file());
    drop(lock);
    store.put(&record, &program, &payload(2)).unwrap();
    assert_moved(dir, "later");
}

#[test]
fn many_processes_that_come_at_once_have_one_store() {
    for _ in 0..10 {
        let scratch = among_others();
        let dir = scratch.folder.path();
        std::thread::scope(|scope| {
            for number in 2..8 {
                scope.spawn(move || {
                    let (record, program) = graph(number);
                    open(dir).unwrap().put(&record, &program, &payload(number)).unwrap();
                });
            }
        });
        assert_moved(dir, "many at once");
        assert_eq!(open(dir).unwrap().object_keys().unwrap().len(), 7);
    }
}

#[test]
fn a_store_of_a_later_release_is_neither_taken_over_nor_moved() {
    for with_others in [false, true] {
        let scratch = unmarked();
        let dir = scratch.folder.path();
        let missing = dir.join("missing");
        let store = open(&missing).unwrap();
        if with_others {
            write_foreign(dir);
        }
        fs::write(dir.join("format"), "preheat-store 2\nread by preheat 9.9 and later\n").unwrap();
        // The store appears between opening and writing.
        fs::rename(dir, dir.with_extension("moved")).unwrap();
        fs::create_dir(dir).unwrap();
        fs::rename(dir.with_extension("moved"), &missing).unwrap();
        let before = files_of(dir);
        let (record, program) = graph(2);
        let error = store.put(&record, &program, &payload(2)).unwrap_err();
        assert!(matches!(&error, StoreError::NewerFormat { .. }), "{error}");
        assert!(matches!(open(&missing).unwrap_err(), StoreError::NewerFormat { .. }));
        assert_eq!(files_of(dir), before, "nothing is made or moved");
    }
}

#[cfg(unix)]
#[test]
fn what_others_could_have_put_there_is_not_moved_to_where_it_is_trusted() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = among_others();
    let dir = scratch.folder.path();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(open(dir).unwrap_err(), StoreError::Untrusted { .. }));
    assert!(!dir.join("preheat-store").exists());
}
