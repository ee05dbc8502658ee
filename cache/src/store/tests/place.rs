//! Which folder becomes a store? And is anything ever removed that preheat did not make?

use super::*;
use crate::trust::Trust;

/// Files that no store made, in folders with names that a store gives.
pub(super) const FOREIGN: [&str; 12] = [
    "notes.txt",
    "tmp/thesis.txt",
    "tmp/file.backup",
    "locks/k",
    "quarantine/contract.pdf",
    "quarantine/photos/1.jpg",
    "targets-v1/goals.md",
    "jax-v1/solos.ogg",
    "jax-v1/0000000000000000000000000000000000000000000000000000000000000000/notes.json",
    "graphs-v1/plot.svg",
    "unrecorded/song.ogg",
    "objects-v1/ab/statue.obj",
];

pub(super) fn write_foreign(dir: &Path) {
    for name in FOREIGN {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
}

pub(super) fn assert_foreign(dir: &Path, what: &str) {
    for name in FOREIGN {
        assert_eq!(
            fs::read(dir.join(name)).ok().as_deref(),
            Some(name.as_bytes()),
            "{what}: {name}"
        );
    }
}

/// Calls everything that removes files.
pub(super) fn use_and_clear(dir: &Path) {
    let store = open(dir).unwrap();
    let (record, program) = graph(1);
    store.put(&record, &program, &payload(1)).unwrap();
    fs::write(store.layout().object(&record.graph_key), "damaged").unwrap();
    assert!(matches!(store.load(&record.graph_key).unwrap(), ObjectLookup::Damaged { .. }));
    store.verify(true, |_| true).unwrap();
    store.prune(&Prune { max_bytes: Some(0), ..Prune::default() }).unwrap();
    store.clear().unwrap();
    open(dir).unwrap().put(&record, &program, &payload(1)).unwrap();
}

#[test]
fn a_folder_of_somebody_elses_gets_a_folder_of_its_own_for_the_store() {
    let folder = tempfile::tempdir().unwrap();
    write_foreign(folder.path());
    use_and_clear(folder.path());
    assert_foreign(folder.path(), "somebody else's folder");
    let store = open(folder.path()).unwrap();
    assert_eq!(store.layout().root(), folder.path().join("preheat-store"));
    assert!(store.layout().owned().is_file());
    assert!(matches!(store.load(&graph(1).0.graph_key).unwrap(), ObjectLookup::Hit(_)));
}

#[test]
fn a_missing_folder_and_an_empty_one_become_the_store() {
    let folder = tempfile::tempdir().unwrap();
    for dir in [folder.path().join("a/missing"), folder.path().join("empty")] {
        let _ = fs::create_dir(folder.path().join("empty"));
        let store = open(&dir).unwrap();
        let (record, program) = graph(1);
        store.put(&record, &program, &payload(1)).unwrap();
        assert_eq!(store.layout().root(), dir);
        assert!(store.layout().owned().is_file());
    }
}

#[test]
fn what_is_put_into_a_store_later_stays() {
    let scratch = Scratch::new();
    scratch.put(1);
    write_foreign(scratch.folder.path());
    // A folder in quarantine, in the place of an index. It holds a file that is not sled's.
    let set_aside = scratch.folder.path().join("quarantine/graphs-v2.7");
    fs::create_dir_all(&set_aside).unwrap();
    fs::write(set_aside.join("letter.txt"), "mine").unwrap();
    let store = open(scratch.folder.path()).unwrap();
    store.clear().unwrap();
    assert_eq!(fs::read(set_aside.join("letter.txt")).unwrap(), b"mine");
    assert_foreign(scratch.folder.path(), "after clearing");
}

#[test]
fn a_store_that_an_earlier_release_is_just_making_is_shared_with_it() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["objects-v1", "locks", "tmp"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("tmp/file.abc123"), "preheat-store 1").unwrap();
    fs::write(folder.path().join("CACHEDIR.TAG"), crate::layout::Layout::CACHEDIR_TAG).unwrap();
    let (record, program) = graph(1);
    let store = open(folder.path()).unwrap();
    store.put(&record, &program, &payload(1)).unwrap();
    assert_eq!(store.layout().root(), folder.path());
}

/// A store that a release without marks made.
pub(super) fn unmarked() -> Scratch {
    let scratch = Scratch::new();
    scratch.put(1);
    scratch.store.set_pinned(&graph(1).0.graph_key, true).unwrap();
    fs::remove_file(scratch.store.layout().owned()).unwrap();
    scratch
}

#[test]
fn a_store_without_a_mark_is_taken_over_once_with_all_that_is_in_it() {
    let scratch = unmarked();
    write_foreign(scratch.folder.path());
    // After this, all foreign files are inside folders with a store's names.
    fs::remove_file(scratch.folder.path().join(FOREIGN[0])).unwrap();
    let store = open(scratch.folder.path()).unwrap();
    assert_eq!(store.layout().root(), scratch.folder.path());
    assert!(store.layout().owned().is_file(), "the store is marked");
    assert!(matches!(store.load(&graph(1).0.graph_key).unwrap(), ObjectLookup::Hit(_)));
    assert!(store.record(&graph(1).0.graph_key).unwrap().unwrap().pinned, "pins are kept");
    use_and_clear(scratch.folder.path());
    for name in FOREIGN[1..].iter().filter(|name| !name.starts_with("objects-v1")) {
        assert!(scratch.folder.path().join(name).exists(), "{name}");
    }
    // `verify --repair` moved the foreign file from among the objects, and keeps it.
    let moved = files_of(&scratch.folder.path().join("quarantine"));
    assert!(
        moved.iter().any(|path| fs::read(path).unwrap() == b"objects-v1/ab/statue.obj"),
        "{moved:?}"
    );
}

#[test]
fn one_that_is_only_read_is_not_marked() {
    let scratch = unmarked();
    let reader = Store::open(StoreOptions::new(scratch.folder.path()).read_only()).unwrap();
    assert!(matches!(reader.load(&graph(1).0.graph_key).unwrap(), ObjectLookup::Hit(_)));
    assert!(!reader.layout().owned().exists());
}

#[test]
fn a_folder_that_has_the_stores_name_and_no_mark_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("preheat-store/tmp")).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, StoreError::NotAStore { path, .. } if path.ends_with("preheat-store")),
        "{error}"
    );
    // A process that dies before it marks the folder leaves an empty one.
    fs::remove_dir(folder.path().join("preheat-store/tmp")).unwrap();
    let (record, program) = graph(1);
    open(folder.path()).unwrap().put(&record, &program, &payload(1)).unwrap();
    assert!(folder.path().join("preheat-store/OWNED-BY-PREHEAT").is_file());
}

#[test]
fn many_processes_make_one_store() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let dir = folder.path().join(round.to_string());
        if round % 2 == 0 {
            fs::create_dir(&dir).unwrap();
        }
        std::thread::scope(|scope| {
            for number in 0..6 {
                let dir = &dir;
                scope.spawn(move || {
                    let (record, program) = graph(number);
                    open(dir).unwrap().put(&record, &program, &payload(number)).unwrap();
                });
            }
        });
        assert_eq!(open(&dir).unwrap().object_keys().unwrap().len(), 6);
        assert!(!dir.join("preheat-store").exists(), "there are two stores");
    }
}

#[test]
fn every_path_of_a_store_is_one_of_its_names() {
    let layout = crate::layout::Layout::relative();
    let key = graph(1).0.graph_key;
    let digest = Digest::of(b"note");
    let paths = [
        layout.owned(),
        layout.moved_here(),
        layout.cachedir_tag(),
        layout.format(),
        layout.graphs().join("blobs/7"),
        layout.older_graphs().join("db"),
        layout.object(&key),
        layout.compile_lock(&key),
        layout.trial_lock(&key),
        layout.index_lock(),
        layout.unrecorded().join(digest.to_string()),
        layout.plugin_build(&digest),
        layout.target(&digest),
        layout.loading().join(format!("{digest}.0123456789")),
        layout.unfit_object(&key, &digest),
        layout.tmp().join(format!("{key}.0123456789")),
        layout.quarantine().join(format!("{key}.7.reason")),
    ];
    for path in paths {
        assert!(crate::layout::Layout::is_known(&path), "{}", path.display());
    }
    for path in FOREIGN {
        assert!(!crate::layout::Layout::is_known(Path::new(path)), "{path}");
    }
}

#[cfg(unix)]
#[test]
fn no_link_is_followed() {
    use std::os::unix::fs::symlink;
    let victim = tempfile::tempdir().unwrap();
    let key = graph(1).0.graph_key;
    let names =
        [format!("{key}.abc123"), format!("{key}.lock"), format!("{key}.123"), key.to_string()];
    for name in &names {
        fs::write(victim.path().join(name), "mine").unwrap();
    }
    let notes = ["unrecorded", "unfit", "targets-v1", "jax-v1"];
    let others = ["tmp", "locks", "quarantine", "graphs-v1", "graphs-v2", "objects-v1"];
    for linked in notes.into_iter().chain(others) {
        let scratch = Scratch::new();
        scratch.put(1);
        let path = scratch.folder.path().join(linked);
        let _ = fs::remove_dir_all(&path);
        symlink(victim.path(), &path).unwrap();
        let store = open(scratch.folder.path()).unwrap();
        // Some of these calls fail with an error; none of them reaches through the link.
        let (record, program) = graph(2);
        let _ = store.put(&record, &program, &payload(2));
        let _ = store.load(&key);
        let _ = store.verify(true, |_| true);
        let _ = store.clear();
        for name in &names {
            assert_eq!(fs::read(victim.path().join(name)).unwrap(), b"mine", "{linked}: {name}");
        }
        assert_eq!(
            fs::read_dir(victim.path()).unwrap().count(),
            names.len(),
            "{linked}: something was written there"
        );
    }
}

#[cfg(unix)]
#[test]
fn nothing_waits_for_what_is_no_file() {
    let scratch = Scratch::new();
    let key = scratch.put(1).graph_key;
    let layout = scratch.store.layout();
    let note = Note::Target(Digest::of(b"target"));
    scratch.store.write_note(note, b"noted").unwrap();
    let stray = layout.tmp().join("preheat-file.0123456789");
    let paths = [
        layout.object(&key),
        layout.format(),
        layout.index_lock(),
        layout.compile_lock(&key),
        layout.target(&Digest::of(b"target")),
        layout.owned(),
        stray,
    ];
    for path in paths {
        let kept = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let what = path.display();
        // Each call ends, with an answer or with an error that names the file.
        let told = open(scratch.folder.path()).map(|store| {
            let _ = store.note(note);
            let _ = store.compile_lock(&key, |_, _| Wait::Cancel);
            let _ = store.verify(false, |_| true);
            [store.load(&key).map(drop), store.statistics().map(drop)]
        });
        if path == layout.object(&key) || path == layout.format() || path == layout.index_lock() {
            let error =
                told.and_then(|[loaded, counted]| loaded.and(counted)).unwrap_err().to_string();
            assert!(error.contains("not a regular file"), "{what}: {error}");
        }
        fs::remove_file(&path).unwrap();
        if let Some(content) = kept {
            fs::write(&path, content).unwrap();
        }
    }
    assert!(matches!(
        open(scratch.folder.path()).unwrap().load(&key).unwrap(),
        ObjectLookup::Hit(_)
    ));
}

#[cfg(unix)]
mod modes {
    use std::collections::BTreeSet;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn shared(dir: &Path) -> Store {
        Store::open(StoreOptions { trust: Trust::Shared, ..StoreOptions::new(dir) }).unwrap()
    }

    #[test]
    fn folders_are_made_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("store")).unwrap();
        let (record, program) = graph(1);
        store.put(&record, &program, &payload(1)).unwrap();
        let layout = store.layout();
        let object = layout.object(&record.graph_key);
        for path in [
            layout.root(),
            &layout.objects(),
            &layout.tmp(),
            &layout.locks(),
            object.parent().unwrap(),
        ] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        assert_eq!(mode(&object) & 0o022, 0, "nobody else may write it");
    }

    #[test]
    fn what_anybody_could_have_written_is_not_loaded() {
        let scratch = Scratch::new();
        let key = scratch.put(1).graph_key;
        let layout = scratch.store.layout();
        let object = layout.object(&key);
        let folders =
            object.ancestors().skip(1).take_while(|path| path.starts_with(layout.objects()));
        let paths: Vec<PathBuf> =
            folders.map(Path::to_owned).chain([object.clone(), layout.root().to_owned()]).collect();
        for path in paths {
            let before = mode(&path);
            set(&path, before | 0o002);
            let error = open(scratch.folder.path()).and_then(|store| store.load(&key)).unwrap_err();
            let said = matches!(&error, StoreError::Untrusted { cause } if cause.path == path);
            assert!(said, "{}: {error}", path.display());
            set(&path, before);
        }
        assert!(matches!(
            open(scratch.folder.path()).unwrap().load(&key).unwrap(),
            ObjectLookup::Hit(_)
        ));
    }

    #[test]
    fn taking_a_store_over_changes_no_mode_but_of_what_is_the_stores() {
        let scratch = unmarked();
        write_foreign(scratch.folder.path());
        let foreign = || FOREIGN.iter().map(|name| scratch.folder.path().join(name));
        let run_by_all = |path: &Path| mode(path) == 0o777;
        foreign().for_each(|path| set(&path, 0o777));
        let root = mode(scratch.folder.path());
        shared(scratch.folder.path());
        assert!(foreign().all(|path| run_by_all(&path)) && mode(scratch.folder.path()) == root);
    }

    #[test]
    fn taking_a_store_over_takes_the_right_to_write_from_others() {
        let scratch = unmarked();
        let key = graph(1).0.graph_key;
        let layout = scratch.store.layout();
        let paths = [
            layout.root().to_owned(),
            layout.objects(),
            layout.object(&key),
            layout.graphs().join("db"),
        ];
        for path in &paths {
            set(path, mode(path) | 0o066);
        }
        assert!(matches!(
            open(scratch.folder.path()).unwrap().load(&key).unwrap(),
            ObjectLookup::Hit(_)
        ));
        for path in paths {
            assert_eq!(mode(&path) & 0o022, 0, "{}", path.display());
        }
    }

    #[test]
    fn a_shared_store_is_the_groups() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let store = shared(&dir);
        let (record, program) = graph(1);
        store.put(&record, &program, &payload(1)).unwrap();
        store.commit(&[hit(record.graph_key)], &Counters::default()).unwrap();
        let layout = store.layout();
        let object = layout.object(&record.graph_key);
        for path in [
            layout.root(),
            &layout.objects(),
            &layout.tmp(),
            &layout.graphs(),
            object.parent().unwrap(),
        ] {
            assert_eq!(mode(path), 0o2770, "{}", path.display());
        }
        for path in files_of(layout.root()) {
            assert_eq!(mode(&path), 0o660, "{}", path.display());
        }
        // An object that every user could have written is still refused.
        set(&object, 0o662);
        assert!(matches!(
            shared(&dir).load(&record.graph_key).unwrap_err(),
            StoreError::Untrusted { .. }
        ));
    }

    #[test]
    fn a_store_is_shared_later_by_its_owner() {
        let scratch = Scratch::new();
        let key = scratch.put(1).graph_key;
        let store = shared(scratch.folder.path());
        store.commit(&[hit(key)], &Counters::default()).unwrap();
        for path in files_of(scratch.folder.path()) {
            assert_eq!(mode(&path), 0o660, "{}", path.display());
        }
        assert!(matches!(store.load(&key).unwrap(), ObjectLookup::Hit(_)));
    }

    /// The ids of groups that this machine's files do not name, so other users may be in them.
    const TEAM: u32 = 61_234;
    const OTHERS: u32 = 61_235;

    /// Gives the whole store to a group. Returns false if this user may not do so: only root may.
    fn give_to(dir: &Path, gid: u32) -> bool {
        let all = files_of(dir);
        let above = all.iter().flat_map(|path| path.ancestors());
        let paths: BTreeSet<&Path> = above.filter(|path| path.starts_with(dir)).collect();
        paths.iter().all(|path| std::os::unix::fs::lchown(path, None, Some(gid)).is_ok())
    }

    #[test]
    fn a_shared_store_trusts_the_group_of_its_folder_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let (record, program) = graph(1);
        shared(&dir).put(&record, &program, &payload(1)).unwrap();
        if !give_to(&dir, TEAM) {
            return println!("not run: this test needs root");
        }
        let load = || shared(&dir).load(&record.graph_key);
        assert!(matches!(load().unwrap(), ObjectLookup::Hit(_)));
        let object = shared(&dir).layout().object(&record.graph_key);
        for path in [object.clone(), object.parent().unwrap().to_owned()] {
            std::os::unix::fs::chown(&path, None, Some(OTHERS)).unwrap();
            let error = load().unwrap_err();
            let said = matches!(&error, StoreError::Untrusted { cause } if cause.path == path);
            assert!(said && error.to_string().contains("61235"), "{error}");
            // A file of another group is accepted if that group may not write to it.
            let before = mode(&path);
            set(&path, before & !0o020);
            assert!(matches!(load().unwrap(), ObjectLookup::Hit(_)));
            set(&path, before);
            std::os::unix::fs::chown(&path, None, Some(TEAM)).unwrap();
        }
    }

    #[test]
    fn a_store_that_becomes_shared_goes_to_the_group_of_its_folder() {
        let scratch = Scratch::new();
        let key = scratch.put(1).graph_key;
        if std::os::unix::fs::chown(scratch.folder.path(), None, Some(TEAM)).is_err() {
            return println!("not run: this test needs root");
        }
        shared(scratch.folder.path()).commit(&[hit(key)], &Counters::default()).unwrap();
        for path in files_of(scratch.folder.path()) {
            assert_eq!(fs::metadata(&path).unwrap().gid(), TEAM, "{}", path.display());
        }
        assert!(matches!(shared(scratch.folder.path()).load(&key).unwrap(), ObjectLookup::Hit(_)));
    }

    /// Sets an access list; returns false if the file system has no access lists.
    #[cfg(target_os = "linux")]
    fn set_list(path: &Path, kind: u16, rights: u16, id: u32) -> bool {
        use rustix::fs::{XattrFlags, setxattr};
        let list = crate::trust::list_with(kind, rights, id);
        setxattr(path, "system.posix_acl_access", &list, XattrFlags::empty()).is_ok()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_an_access_list_lets_others_write_is_not_loaded() {
        const USER: u16 = 2;
        const GROUP: u16 = 8;
        let scratch = Scratch::new();
        let key = scratch.put(1).graph_key;
        let load = || open(scratch.folder.path()).and_then(|store| store.load(&key));
        let object = scratch.store.layout().object(&key);
        let me = fs::metadata(&object).unwrap().uid();
        let by_list = "another user (uid 61236, by its access list)";
        let cases = [(USER, 61_236, by_list), (GROUP, OTHERS, "a group (gid 61235)")];
        let (folder, root) = (object.parent().unwrap(), scratch.folder.path());
        for path in [object.as_path(), folder, root].map(Path::to_owned) {
            let before = mode(&path);
            for (kind, id, reason) in cases {
                if !set_list(&path, kind, 7, id) {
                    return println!("not run: the file system has no access lists");
                }
                let error = load().unwrap_err();
                assert!(error.to_string().contains(reason), "{}: {error}", path.display());
            }
            // An entry may give the right to read, and this user and root may have the right to
            // write.
            for (rights, id) in [(5, 61_236), (7, me), (7, 0)] {
                assert!(set_list(&path, USER, rights, id));
                assert!(matches!(load().unwrap(), ObjectLookup::Hit(_)), "{rights} {id}");
            }
            rustix::fs::removexattr(&path, "system.posix_acl_access").unwrap();
            set(&path, before);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_shared_store_trusts_whom_the_list_of_its_folder_lets_write() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let (record, program) = graph(1);
        shared(&dir).put(&record, &program, &payload(1)).unwrap();
        let object = shared(&dir).layout().object(&record.graph_key);
        if !set_list(&object, 8, 6, TEAM) {
            return println!("not run: the file system has no access lists");
        }
        let load = || shared(&dir).load(&record.graph_key);
        assert!(matches!(load().unwrap_err(), StoreError::Untrusted { .. }));
        assert!(set_list(&dir, 8, 7, TEAM));
        assert!(matches!(load().unwrap(), ObjectLookup::Hit(_)));
    }
}
