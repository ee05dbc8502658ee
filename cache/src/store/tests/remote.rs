//! Does an entry get over a remote into another store, is everything wrong refused, and does a
//! process that is killed anywhere leave nothing wrong on either side?

use std::io::{Cursor, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::files::journal;
use crate::remote::{Delivered, Fetched, Remote, RemoteError, RemoteQuery, RemoteStorage};
use crate::statistics::RemoteStatistics;

/// A remote in a folder. It notes what is asked of it, and can fail.
#[derive(Debug)]
struct Shelf {
    name: String,
    folder: PathBuf,
    asked: Mutex<Vec<String>>,
    fails: Mutex<Option<RemoteError>>,
    /// The number of the write in whose middle the process ends.
    ends_in_write: usize,
    writes: AtomicUsize,
}

impl Shelf {
    fn new(folder: &Path) -> Arc<Self> {
        Self::ending_in_write(folder, usize::MAX)
    }

    fn ending_in_write(folder: &Path, ends_in_write: usize) -> Arc<Self> {
        Arc::new(Self {
            name: "shelf://x".to_owned(),
            folder: folder.to_owned(),
            asked: Mutex::default(),
            fails: Mutex::default(),
            ends_in_write,
            writes: AtomicUsize::new(0),
        })
    }

    fn note(&self, what: &str, path: &str) -> Result<(), RemoteError> {
        self.asked.lock().unwrap().push(format!("{what} {}", short(path)));
        self.fails.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn file(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(path)).ok()
    }

    /// The files whose path contains the text.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        let all = files_of(&self.folder).into_iter();
        all.filter(|path| path.to_string_lossy().contains(part)).collect()
    }
}

/// The kind of a path, without its digests.
fn short(path: &str) -> String {
    path.split('/').nth(1).unwrap_or_default().to_owned()
}

impl RemoteStorage for Shelf {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn read_small(
        &self,
        paths: &[String],
        limit_bytes: u64,
    ) -> Vec<Result<Option<Vec<u8>>, RemoteError>> {
        let kinds: Vec<String> = paths.iter().map(|path| short(path)).collect();
        self.asked.lock().unwrap().push(format!("small {}", kinds.join(" ")));
        let fails = self.fails.lock().unwrap().clone();
        let one = |path: &String| match &fails {
            Some(error) => Err(error.clone()),
            None => Ok(self.file(path).filter(|content| content.len() as u64 <= limit_bytes)),
        };
        paths.iter().map(one).collect()
    }

    fn read(&self, path: &str, _bytes: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        self.note("read", path)?;
        Ok(self.file(path).map(|content| Box::new(Cursor::new(content)) as Box<dyn Read + Send>))
    }

    fn length(&self, path: &str) -> Result<Option<u64>, RemoteError> {
        self.note("length", path)?;
        Ok(self.file(path).map(|content| content.len() as u64))
    }

    fn write(&self, path: &str, content: Vec<u8>) -> Result<(), RemoteError> {
        self.note("write", path)?;
        let whole = self.folder.join(path);
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        let part = whole.with_extension("part");
        let (first, rest) = content.split_at(content.len() / 2);
        fs::write(&part, first).unwrap();
        if self.writes.fetch_add(1, Ordering::SeqCst) == self.ends_in_write {
            std::process::abort();
        }
        fs::write(&part, [first, rest].concat()).unwrap();
        fs::rename(part, whole).unwrap();
        Ok(())
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, RemoteError> {
        self.note("list", folder)?;
        let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten();
        Ok(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
    }
}

/// Two stores with a remote between them.
struct Pair {
    from: Scratch,
    to: Scratch,
    _folder: tempfile::TempDir,
    shelf: Arc<Shelf>,
    remote: Remote,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path());
        let remote = Remote::new(shelf.clone());
        Self { from: Scratch::new(), to: Scratch::new(), _folder: folder, shelf, remote }
    }

    /// A pair whose first store has delivered a graph.
    fn delivered(number: u64) -> Self {
        let pair = Self::new();
        pair.from.put(number);
        let delivered = pair.remote.deliver(&pair.from.store, &entry(number)).unwrap();
        assert!(matches!(delivered, Delivered::Uploaded { bytes } if bytes > 0));
        pair
    }

    /// The remote as another process sees it, which remembers nothing.
    fn anew(&self) -> Remote {
        Remote::new(self.shelf.clone())
    }

    fn fetch(&self, number: u64) -> Option<Fetched> {
        fetch_into(&self.anew(), &self.to.store, number)
    }
}

fn entry(number: u64) -> Spooled {
    Spooled::of_record(&graph(number).0)
}

fn environment() -> Digest {
    graph(0).0.environment.digest()
}

fn by_projection(number: u64) -> RemoteQuery {
    RemoteQuery::Projection(signature(number).projection_key)
}

fn fetch_into(remote: &Remote, store: &Store, number: u64) -> Option<Fetched> {
    let found = remote.find(&environment(), &[by_projection(number)]).unwrap().pop().unwrap()?;
    Some(remote.fetch(store, &found, true, |_| true).unwrap())
}

fn has(store: &Store, number: u64) -> bool {
    match store.load(&graph(number).0.graph_key).unwrap() {
        ObjectLookup::Hit(object) => object.payload == payload(number),
        ObjectLookup::Absent => false,
        ObjectLookup::Damaged { reason } => panic!("{reason}"),
    }
}

#[test]
fn what_one_store_delivers_another_fetches_in_two_round_trips() {
    let pair = Pair::delivered(1);
    assert_eq!(
        pair.shelf.asked(),
        ["small graphs", "length objects", "write objects", "write graphs", "write level1"],
        "the object comes first, and the pointer of the request last"
    );
    assert!(matches!(pair.fetch(1), Some(Fetched::Stored)));
    assert_eq!(pair.shelf.asked(), ["small level1", "read objects"]);
    assert!(has(&pair.to.store, 1));
    let known = [(signature(1).projection_key, request(1).digest())];
    assert!(pair.to.store.resolve(&known).unwrap()[0].is_some(), "level 1 knows it");
    // By the graph's key, and both questions at once.
    let key = graph(1).0.graph_key;
    let remote = pair.anew();
    let both = [by_projection(2), RemoteQuery::Graph(key)];
    let found = remote.find(&environment(), &both).unwrap();
    assert_eq!((found[0].clone(), found[1].as_ref().unwrap().graph_key), (None, key));
    assert_eq!(remote.find(&environment(), &both).unwrap(), found);
    assert_eq!(pair.shelf.asked(), ["small level1 graphs"], "an answer is believed for a moment");
}

#[test]
fn what_is_there_is_not_uploaded_again() {
    let pair = Pair::delivered(1);
    pair.shelf.asked();
    // Another store compiled the same graph for another request; its object has other bytes.
    let (mut record, program) = graph(1);
    record.signatures.clear();
    record.add_signature(signature(7));
    pair.to.store.put(&record, &program, &payload(1)).unwrap();
    let again = pair.anew().deliver(&pair.to.store, &Spooled::of_record(&record)).unwrap();
    assert_eq!(again, Delivered::WasThere);
    assert_eq!(pair.shelf.asked(), ["small graphs", "length objects", "write level1"]);
    assert_eq!(pair.shelf.files("objects/").len(), 1);
    let third = Scratch::new();
    assert!(matches!(fetch_into(&pair.anew(), &third.store, 7), Some(Fetched::Stored)));
    // If somebody removed the object, or an upload was cut, the entry is uploaded again.
    let object = pair.shelf.files("objects/").pop().unwrap();
    fs::write(&object, "cut").unwrap();
    let again = pair.anew().deliver(&pair.to.store, &Spooled::of_record(&record)).unwrap();
    assert!(matches!(again, Delivered::Uploaded { .. }));
    assert!(has(&third.store, 1));
}

#[test]
fn a_remote_lists_what_it_holds() {
    let pair = Pair::delivered(1);
    pair.from.put(2);
    pair.remote.deliver(&pair.from.store, &entry(2)).unwrap();
    let mut listed: Vec<_> =
        pair.anew().list().unwrap().iter().map(|pointer| pointer.graph_key).collect();
    listed.sort_unstable();
    let mut expected = [1, 2].map(|number| graph(number).0.graph_key);
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let pointer = pair.anew().list().unwrap().remove(0);
    assert_eq!(pointer.record.unwrap().stage, "denoiser");
}

/// Each way in which a remote can be wrong, and what is said of it.
#[test]
fn what_is_wrong_is_refused_and_counted() {
    type Spoil = fn(&Pair);
    let only = |pair: &Pair, part: &str| pair.shelf.files(part).pop().unwrap();
    let object: fn(&Pair) -> PathBuf = |pair| pair.shelf.files("objects/").pop().unwrap();
    let cases: [(&str, Spoil); 5] = [
        ("cut", |pair| {
            let path = pair.shelf.files("objects/").pop().unwrap();
            let content = fs::read(&path).unwrap();
            fs::write(&path, &content[..content.len() - 9]).unwrap();
        }),
        ("a wrong byte", |pair| {
            let path = pair.shelf.files("objects/").pop().unwrap();
            let mut content = fs::read(&path).unwrap();
            let middle = content.len() / 2;
            content[middle] ^= 1;
            fs::write(&path, content).unwrap();
        }),
        ("empty", |pair| fs::write(pair.shelf.files("objects/").pop().unwrap(), "").unwrap()),
        ("the object of another graph", |pair| {
            pair.from.put(2);
            let other = pair.from.store.object_file(&graph(2).0.graph_key).unwrap().unwrap();
            fs::write(pair.shelf.files("objects/").pop().unwrap(), other).unwrap();
        }),
        ("sound, but not the one that the pointer names", |pair| {
            let path = pair.shelf.files("objects/").pop().unwrap();
            let (record, program) = graph(1);
            let stored = pair.from.store.object_record(&record.graph_key).unwrap().unwrap();
            // Of the same length, so that only the hash tells them apart.
            let record = GraphRecord { stage: "denoisex".to_owned(), ..stored };
            let other = Scratch::new();
            other.store.put(&record, &program, &payload(1)).unwrap();
            let content = other.store.object_file(&record.graph_key).unwrap().unwrap();
            assert_eq!(content.len() as u64, fs::metadata(&path).unwrap().len());
            fs::write(path, content).unwrap();
        }),
    ];
    for (what, spoil) in cases {
        let pair = Pair::delivered(1);
        spoil(&pair);
        let remote = pair.anew();
        let fetched = fetch_into(&remote, &pair.to.store, 1);
        assert!(matches!(fetched, Some(Fetched::Refused(_))), "{what}: {fetched:?}");
        let counted = remote.take_counted();
        assert_eq!((counted.refused, counted.fetched, counted.failures), (1, 0, 0), "{what}");
        assert!(!has(&pair.to.store, 1), "{what}");
        let left = files_of(&pair.to.store.layout().tmp());
        assert!(left.is_empty(), "{what}: {left:?}");
    }
    // A record that does not answer the request.
    let pair = Pair::delivered(1);
    let found = pair.remote.find(&environment(), &[by_projection(1)]).unwrap().pop().flatten();
    let fetched = pair.remote.fetch(&pair.to.store, &found.unwrap(), true, |_| false).unwrap();
    assert!(matches!(fetched, Fetched::Refused(reason) if reason == "it answers another request"));
    // A pointer to nothing is a miss.
    let pair = Pair::delivered(1);
    fs::remove_file(object(&pair)).unwrap();
    assert!(matches!(pair.fetch(1), Some(Fetched::Absent)));
    // Pointers that are cut, changed, empty, too long, or those of something else.
    for (what, change) in [
        ("cut", (|content| content[..content.len() - 1].to_vec()) as fn(&[u8]) -> Vec<u8>),
        ("changed", |content| String::from_utf8_lossy(content).replace("2.0", "3.0").into()),
        ("empty", |_| Vec::new()),
        ("no pointer", |_| b"<html>".to_vec()),
    ] {
        let pair = Pair::delivered(1);
        let path = only(&pair, "level1/");
        fs::write(&path, change(&fs::read(&path).unwrap())).unwrap();
        let remote = pair.anew();
        assert!(fetch_into(&remote, &pair.to.store, 1).is_none(), "{what}");
        assert_eq!(remote.take_counted().refused, 1, "{what}");
    }
    let pair = Pair::delivered(1);
    let other = only(&pair, "level1/").with_file_name(signature(2).projection_key.to_string());
    fs::copy(only(&pair, "level1/"), other).unwrap();
    let remote = pair.anew();
    assert!(fetch_into(&remote, &pair.to.store, 2).is_none(), "a pointer under another name");
    assert_eq!(remote.take_counted().refused, 1);
}

#[test]
fn a_remote_that_fails_is_left_alone_and_counted() {
    let pair = Pair::delivered(1);
    let remote = pair.anew();
    *pair.shelf.fails.lock().unwrap() = Some(RemoteError::Denied("no".to_owned()));
    let find = || remote.find(&environment(), &[by_projection(1)]);
    for _ in 0..3 {
        assert_eq!(find(), Err(RemoteError::Denied("no".to_owned())));
    }
    pair.shelf.asked();
    assert!(matches!(find(), Err(RemoteError::Resting(_))));
    assert!(pair.shelf.asked().is_empty(), "it is not asked");
    let expected = RemoteStatistics { failures: 3, breaker_opened: 1, ..Default::default() };
    assert_eq!(remote.take_counted(), expected);
    assert_eq!(remote.take_counted(), RemoteStatistics::default(), "each is counted once");
}

#[test]
fn a_full_store_makes_room_for_what_would_be_compiled() {
    let pair = Pair::delivered(1);
    let max_bytes = pair.from.store.statistics().unwrap().stored_bytes + 100;
    let options = StoreOptions { max_bytes, ..StoreOptions::new(pair.to.store.dir()) };
    let bounded = Store::open(options).unwrap();
    let (record, program) = graph(2);
    bounded.put(&record, &program, &payload(2)).unwrap();
    let found = pair.remote.find(&environment(), &[by_projection(1)]).unwrap().pop().flatten();
    let fetched = pair.remote.fetch(&bounded, &found.clone().unwrap(), true, |_| true);
    assert!(matches!(fetched, Ok(Fetched::Stored)), "{fetched:?}");
    assert!(has(&bounded, 1) && !has(&bounded, 2));
    let tiny = StoreOptions { max_bytes: 10, ..StoreOptions::new(Scratch::new().store.dir()) };
    let tiny = Store::open(tiny).unwrap();
    let fetched = pair.remote.fetch(&tiny, &found.unwrap(), true, |_| true).unwrap();
    assert!(matches!(fetched, Fetched::NotTaken(StoreError::NoRoom { .. })), "{fetched:?}");
}

#[test]
fn uploads_wait_in_the_store_until_they_are_done() {
    let scratch = Scratch::new();
    let (remote, key) = (Digest::of(b"remote"), scratch.put(1).graph_key);
    assert!(scratch.store.spooled(&remote).is_empty());
    for number in [1, 2, 1] {
        let (projection, exact) = (signature(number).projection_key, request(number).digest());
        scratch.store.spool(&remote, &key, &projection, &exact).unwrap();
    }
    let again = open(scratch.store.dir()).unwrap();
    let waiting = again.spooled(&remote).pop().unwrap();
    let both = [1, 2].map(|number| (signature(number).projection_key, request(number).digest()));
    assert_eq!((waiting.graph_key, waiting.projections.clone()), (key, both.into()));
    assert!(again.spooled(&Digest::of(b"another")).is_empty());
    assert!(again.verify(false, |_| true).unwrap().findings.is_empty());
    // Only what was uploaded is forgotten: a projection that was added meanwhile stays.
    again.forget_spooled(&remote, &Spooled { projections: [both[0]].into(), ..waiting });
    assert_eq!(again.spooled(&remote)[0].projections, [both[1]].into());
    scratch.store.clear().unwrap();
    assert!(again.spooled(&remote).is_empty());
    assert!(!scratch.store.layout().spools().exists());
}

const FOLDER: &str = "PREHEAT_TEST_REMOTE";

/// Runs a test again in a process that ends at a point. Returns whether it came to its end.
fn ends(test: &str, dir: &Path, point: usize) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("store::tests::remote::{test}"), "--exact", "--nocapture"]);
    command.env(FOLDER, format!("{point} {}", dir.display()));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

fn role() -> Option<(usize, PathBuf)> {
    let role = std::env::var(FOLDER).ok()?;
    let (point, dir) = role.split_once(' ')?;
    Some((point.parse().ok()?, dir.into()))
}

/// Stores two graphs, notes their uploads and does them.
fn upload_all(dir: &Path, shelf: Arc<Shelf>) {
    let (store, remote) = (open(&dir.join("from")).unwrap(), Remote::new(shelf));
    for number in [1, 2] {
        let (record, program) = graph(number);
        store.put(&record, &program, &payload(number)).unwrap();
        let (projection, exact) = (signature(number).projection_key, request(number).digest());
        store.spool(&remote.id(), &record.graph_key, &projection, &exact).unwrap();
    }
    for waiting in store.spooled(&remote.id()) {
        remote.deliver(&store, &waiting).unwrap();
        store.forget_spooled(&remote.id(), &waiting);
    }
}

/// The next process does what is still to be done. Then everything is there, and right.
fn check_upload(dir: &Path, what: &str) {
    let (store, shelf) = (open(&dir.join("from")).unwrap(), Shelf::new(&dir.join("shelf")));
    let to = Scratch::new();
    // A reader that comes now finds what is whole, or nothing.
    for number in [1, 2] {
        let fetched = fetch_into(&Remote::new(shelf.clone()), &to.store, number);
        assert!(matches!(fetched, None | Some(Fetched::Stored)), "{what}: {fetched:?}");
    }
    assert!(
        store.verify(false, |_| true).unwrap().findings.iter().all(|one| !one.kind.is_damage())
    );
    let remote = Remote::new(shelf.clone());
    for waiting in store.spooled(&remote.id()) {
        remote.deliver(&store, &waiting).unwrap();
        store.forget_spooled(&remote.id(), &waiting);
    }
    for number in [1, 2].into_iter().filter(|number| has(&store, *number)) {
        let to = Scratch::new();
        let fetched = fetch_into(&Remote::new(shelf.clone()), &to.store, number);
        let was_noted = fetched.is_some();
        // A process that died between storing and noting uploads nothing, which loses nothing.
        assert!(!was_noted || has(&to.store, number), "{what}: {fetched:?}");
    }
}

#[test]
fn a_process_killed_while_it_uploads_leaves_nothing_half_and_the_next_goes_on() {
    let test = "a_process_killed_while_it_uploads_leaves_nothing_half_and_the_next_goes_on";
    // The points before 100 are in the middle of a write to the remote; from 100 on, they are
    // before a change of the store's files.
    if let Some((point, dir)) = role() {
        let write = if point < 100 { point } else { usize::MAX };
        if point >= 100 {
            journal::kill_before(point - 100);
        }
        return upload_all(&dir, Shelf::ending_in_write(&dir.join("shelf"), write));
    }
    let counted = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(&counted.path().join("shelf"));
    let changes = journal::of(|| upload_all(counted.path(), shelf.clone())).len();
    let writes = shelf.writes.load(Ordering::SeqCst);
    assert_eq!(writes, 6, "an object and two pointers for each of two graphs");
    assert!(changes > 20, "{changes}");
    for point in (0..=writes).chain(100..=100 + changes) {
        let dir = tempfile::tempdir().unwrap();
        let is_last = point == writes || point == 100 + changes;
        assert_eq!(ends(test, dir.path(), point), is_last, "point {point}");
        check_upload(dir.path(), &format!("point {point}"));
    }
}

#[test]
fn a_process_killed_while_it_fetches_leaves_a_sound_store() {
    let test = "a_process_killed_while_it_fetches_leaves_a_sound_store";
    let fetch = |dir: &Path| {
        let remote = Remote::new(Shelf::new(&dir.join("shelf")));
        let store = open(&dir.join("to")).unwrap();
        assert!(matches!(fetch_into(&remote, &store, 1), Some(Fetched::Stored)));
    };
    if let Some((point, dir)) = role() {
        journal::kill_before(point);
        return fetch(&dir);
    }
    let prepared = || {
        let dir = tempfile::tempdir().unwrap();
        let from = Scratch::new();
        from.put(1);
        let remote = Remote::new(Shelf::new(&dir.path().join("shelf")));
        remote.deliver(&from.store, &entry(1)).unwrap();
        dir
    };
    let counted = prepared();
    let points = journal::of(|| fetch(counted.path())).len();
    assert!(points > 10, "{points}");
    for point in 0..=points {
        let dir = prepared();
        assert_eq!(ends(test, dir.path(), point), point == points, "point {point}");
        let found = open(&dir.path().join("to")).unwrap().verify(false, |_| true).unwrap();
        assert!(found.findings.iter().all(|one| !one.kind.is_damage()), "{:#?}", found.findings);
        let store = open(&dir.path().join("to")).unwrap();
        has(&store, 1);
        fetch(dir.path());
        assert!(has(&open(&dir.path().join("to")).unwrap(), 1), "point {point}");
        let left = files_of(&store.layout().tmp());
        assert!(left.is_empty(), "point {point}: {left:?}");
    }
}
