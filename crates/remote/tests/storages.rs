//! Does every storage that needs no server pass the suite, and does each request end right when the
//! connection does not work?

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod support;

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use preheat_cache::{RemoteError, RemoteStorage};
use preheat_remote::{RemoteLimits, open_remote, open_remote_within};
use support::suite;
use support::web::{Fault, Web};

/// Limits with which a test of a slow server is over soon.
const SHORT: RemoteLimits = RemoteLimits {
    connect: Duration::from_millis(500),
    answer: Duration::from_secs(1),
    per_megabyte: Duration::from_millis(100),
};

fn short(url: &str) -> Arc<dyn RemoteStorage> {
    open_remote_within(&url.parse().unwrap(), SHORT)
}

#[test]
fn a_folder_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    suite::passes(&open_remote(&url).unwrap(), true);
    let left: Vec<_> = std::fs::read_dir(folder.path().join(".preheat-unfinished"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn what_a_killed_writer_left_in_a_folder_goes_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let unfinished = folder.path().join(".preheat-unfinished");
    std::fs::create_dir(&unfinished).unwrap();
    for (name, hours) in [("old", 25), ("new", 23)] {
        let file = std::fs::File::create(unfinished.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
    }
    let url = format!("file://{}", folder.path().display());
    assert_eq!(open_remote(&format!("{url}?mode=ro")).unwrap().length("a"), Ok(None));
    assert!(unfinished.join("old").exists(), "a reader removes nothing");
    assert_eq!(open_remote(&url).unwrap().length("a"), Ok(None));
    assert!(!unfinished.join("old").exists() && unfinished.join("new").exists());
}

#[test]
fn a_web_server_passes_the_suite() {
    suite::passes(&open_remote(&Web::start().url("/team?mode=rw")).unwrap(), true);
}

#[test]
fn a_server_that_wants_folders_first_passes_the_suite() {
    let web = Web::start().needs_folders();
    suite::passes(&open_remote(&web.url("/team?mode=rw")).unwrap(), true);
}

#[test]
fn a_login_is_sent() {
    let web = Web::start().with_login();
    let denied = open_remote(&web.url("/x?mode=rw")).unwrap();
    assert!(denied.read_small(&["a".to_owned()], 9).pop().unwrap().is_err());
    let url = web.url("/x?mode=rw").replace("http://", "http://me:secret@");
    let remote = open_remote(&url).unwrap();
    remote.write("a", b"1".to_vec()).unwrap();
    assert_eq!(remote.read_small(&["a".to_owned()], 9), [Ok(Some(b"1".to_vec()))]);
    assert!(!remote.name().contains("secret") && !format!("{remote:?}").contains("secret"));
}

#[test]
fn what_is_only_read_is_not_written() {
    let web = Web::start();
    let remote = open_remote(&web.url("/x")).unwrap();
    assert!(!remote.is_writable());
    assert_eq!(remote.write("a", b"1".to_vec()), Err(RemoteError::ReadOnly));
    assert_eq!(remote.list("x"), Err(RemoteError::CannotList));
    assert!(web.requests().is_empty());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}?mode=ro", folder.path().display());
    assert_eq!(open_remote(&url).unwrap().write("a", vec![]), Err(RemoteError::ReadOnly));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("mount");
    let remote = open_remote(&format!("file://{}", missing.display())).unwrap();
    let Err(RemoteError::Failed(text)) = remote.length("a") else { panic!() };
    assert!(text.contains("mount is not there"), "{text}");
    assert!(!missing.exists());
    // It is used as soon as it is there.
    std::fs::create_dir(&missing).unwrap();
    assert_eq!(remote.length("a"), Ok(None));
}

/// Reads a file of a megabyte through a server with a fault.
fn read_with(fault: Option<Fault>) -> (Result<Option<Vec<u8>>, String>, Duration) {
    let web = Web::start();
    let content = suite::noise(1_000_000);
    web.put("/x/large", content);
    let remote = short(&web.url("/x"));
    if let Some(fault) = fault {
        web.fail("large", fault);
    }
    let began = Instant::now();
    let read = remote.read("large", 1_000_000).map_err(|error| error.to_string());
    let read = read.and_then(|body| {
        let Some(mut body) = body else { return Ok(None) };
        let mut content = Vec::new();
        match body.read_to_end(&mut content) {
            Ok(_) => Ok(Some(content)),
            Err(error) => Err(error.to_string()),
        }
    });
    (read, began.elapsed())
}

#[test]
fn each_fault_of_the_network_is_an_error_within_the_limit() {
    let (whole, _) = read_with(None);
    assert_eq!(whole.unwrap().unwrap().len(), 1_000_000);
    for (fault, says) in [
        (Fault::Status(500), "it fails"),
        (Fault::Status(403), "it refuses access"),
        (Fault::Reset(400_000), "read data from http response"),
        (Fault::Cut(400_000), "read data from http response"),
        (Fault::Drip, "it did not answer within 1.1s"),
        (Fault::Hang, "it did not answer within 1.1s"),
    ] {
        let (read, took) = read_with(Some(fault));
        let said = read.expect_err(&format!("{fault:?}"));
        assert!(said.contains(says), "{fault:?}: {said}");
        assert!(took < Duration::from_secs(2), "{fault:?} took {took:?}");
        assert!(!said.contains("http://"), "{said}");
    }
    // These are no errors of the connection: whoever reads them has to verify them.
    for fault in [Fault::Shorter(400_000), Fault::WrongByte] {
        let (read, _) = read_with(Some(fault));
        assert_ne!(read.unwrap().unwrap(), suite::noise(1_000_000), "{fault:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_within_the_limit() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // The second address belongs to a network for documentation, which nobody routes.
    for host in [free.to_string(), "192.0.2.1".to_owned(), "no-such-host.invalid".to_owned()] {
        let remote = short(&format!("http://{host}/x?mode=rw"));
        for name in ["read", "write", "length", "list"] {
            let began = Instant::now();
            let error = match name {
                "read" => remote.read_small(&["a".to_owned()], 9).pop().unwrap().err(),
                "write" => remote.write("a", b"1".to_vec()).err(),
                "length" => remote.length("a").err(),
                _ => remote.list("a").err(),
            };
            assert!(error.is_some(), "{name} of {host}");
            assert!(began.elapsed() < Duration::from_secs(5), "{name} of {host}: {error:?}");
        }
    }
}

#[test]
fn many_small_files_take_one_round_trip() {
    let web = Web::start();
    (0..20).for_each(|number| web.put(&format!("/x/{number}"), format!("{number}")));
    let remote = short(&web.url("/x"));
    let paths: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let found = remote.read_small(&paths, 9);
    for (number, found) in found.into_iter().enumerate() {
        assert_eq!(found, Ok(Some(number.to_string().into_bytes())));
    }
    let asked = web.requests();
    assert_eq!(asked.len(), 20, "{asked:?}");
    assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
}

#[test]
fn a_thread_of_another_asynchronous_program_may_ask() {
    let web = Web::start();
    web.put("/x/a", "1");
    let remote = short(&web.url("/x"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(async { remote.read_small(&["a".to_owned()], 9) });
    assert_eq!(found, [Ok(Some(b"1".to_vec()))]);
}
