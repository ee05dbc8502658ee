//! What every remote has to do, whatever its protocol. `tests/storages.rs` runs it over a folder
//! and over a small web server, and `tests/servers.rs` over real servers.

use std::io::Read as _;
use std::sync::Arc;

use preheat_cache::{RemoteError, RemoteStorage};

/// A file that is uploaded in several parts where the protocol has parts.
const LARGE_BYTES: usize = 20 << 20;

fn whole(remote: &dyn RemoteStorage, path: &str, bytes: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    remote.read(path, bytes).unwrap()?.read_to_end(&mut content).unwrap();
    Some(content)
}

/// Bytes that neither repeat nor compress.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// `lists` says whether the protocol can list files; `None` if that depends on the server.
pub fn passes(remote: &Arc<dyn RemoteStorage>, lists: impl Into<Option<bool>>) {
    passes_up_to(remote, lists, LARGE_BYTES);
}

/// The same for a storage that has a limit on the length of a file.
pub fn passes_up_to(
    remote: &Arc<dyn RemoteStorage>,
    lists: impl Into<Option<bool>>,
    large_bytes: usize,
) {
    let remote = &**remote;
    assert!(remote.is_writable());
    // What is not there is no error.
    let path = |name: &str| format!("preheat-remote-v1/suite/{name}");
    assert_eq!(remote.read_small(&[path("a"), path("b")], 100), [Ok(None), Ok(None)]);
    assert_eq!(remote.length(&path("a")), Ok(None));
    assert_eq!(whole(remote, &path("a"), 10), None);

    // Small files, several at once, in the order in which they are asked for.
    remote.write(&path("a"), b"first".to_vec()).unwrap();
    remote.write(&path("deep/er/b"), b"second".to_vec()).unwrap();
    let found = remote.read_small(&[path("deep/er/b"), path("none"), path("a")], 100);
    let content = |text: &[u8]| Ok(Some(text.to_vec()));
    assert_eq!(found, [content(b"second"), Ok(None), content(b"first")]);
    assert_eq!(remote.length(&path("deep/er/b")), Ok(Some(6)));
    let too_long = remote.read_small(&[path("a")], 4).pop().unwrap();
    assert!(matches!(too_long, Err(RemoteError::Failed(text)) if text.contains("longer than 4")));

    // A file is replaced as a whole, by a shorter one, too.
    remote.write(&path("a"), b"new".to_vec()).unwrap();
    assert_eq!(whole(remote, &path("a"), 3).as_deref(), Some(b"new".as_slice()));

    // A large file comes back byte for byte.
    let large = noise(large_bytes);
    remote.write(&path("large"), large.clone()).unwrap();
    assert_eq!(remote.length(&path("large")), Ok(Some(large_bytes as u64)));
    assert!(whole(remote, &path("large"), large_bytes as u64) == Some(large));

    // A reader that stops early leaves the remote usable.
    let mut some = [0; 1000];
    let reader = remote.read(&path("large"), large_bytes as u64).unwrap();
    reader.unwrap().read_exact(&mut some).unwrap();
    assert_eq!(some.as_slice(), &noise(1000));
    assert_eq!(remote.length(&path("a")), Ok(Some(3)));

    let Some(lists) = lists.into() else { return };
    if lists {
        let mut names = remote.list("preheat-remote-v1/suite").unwrap();
        names.sort();
        assert_eq!(names, ["a", "deep", "large"]);
        assert_eq!(remote.list("preheat-remote-v1/none"), Ok(vec![]));
    } else {
        assert_eq!(remote.list("preheat-remote-v1/suite"), Err(RemoteError::CannotList));
    }
}
