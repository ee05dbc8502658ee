//! Do real servers pass the suite? `cargo xtask test --remote` installs them and runs this; a plain
//! `cargo test` leaves it out. Each test starts its server on a free port, and ends it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use preheat_cache::RemoteError;
use preheat_remote::{RemoteLimits, open_remote, open_remote_within};
use support::suite;

/// A server that ends with this value.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server with the arguments that `command` adds for a port and a folder, and waits
    /// until it listens.
    fn start(program: &Path, command: impl FnOnce(&mut Command, u16, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut start = Command::new(program);
        command(&mut start, port, folder.path());
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = start.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let server = Self { child, port, folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_mins(1), "{} listens", program.display());
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn url(&self, scheme: &str, rest: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{rest}", self.port)
    }

    /// Sends a request without a content, and returns the first line of the answer.
    fn ask(&self, method: &str, path: &str) -> String {
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        server.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = server.read_to_string(&mut answer);
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that a variable names. `cargo xtask test --remote` sets all of them.
fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test --remote`"))
        .into()
}

#[test]
fn s3_passes_the_suite() {
    let server = Server::start(&program("PREHEAT_TEST_MOTO"), |command, port, _| {
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    });
    assert!(server.ask("PUT", "/bucket").contains("200"));
    let endpoint = server.url("http", "");
    let remote = |bucket: &str| {
        open_remote(&format!("s3://{bucket}/team/a?endpoint={endpoint}&region=us-east-1")).unwrap()
    };
    suite::passes(&remote("bucket"), true);
    // A bucket that is not there is no miss: its name is probably misspelt.
    let missing = remote("missing");
    for error in [missing.length("a").err(), missing.write("a", vec![1]).err()] {
        assert!(matches!(error, None | Some(RemoteError::Failed(_))), "{error:?}");
    }
    let read = missing.read_small(&["a".to_owned()], 9).pop().unwrap();
    let Err(RemoteError::Failed(text)) = read else { panic!("{read:?}") };
    assert!(text.contains("NoSuchBucket"), "{text}");
}

#[test]
fn redis_passes_the_suite() {
    let server = Server::start(&program("PREHEAT_TEST_REDIS"), |command, port, folder| {
        command.args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"]);
        command.args(["--requirepass", "secret"]).arg("--dir").arg(folder);
    });
    let url = server.url("redis", "/3/team").replace("redis://", "redis://:secret@");
    // The library gives up on a command that takes half a second, and 20 MB may take that long.
    suite::passes_up_to(&open_remote(&url).unwrap(), false, 1 << 20);
    let wrong = open_remote(&url.replace("secret", "wrong")).unwrap();
    let refused = wrong.length("a").unwrap_err().to_string();
    assert!(!refused.contains("wrong") && !wrong.name().contains("secret"), "{refused}");
}

fn nginx(more: &str, modules: &str) -> Server {
    Server::start(&program("PREHEAT_TEST_NGINX"), |command, port, folder| {
        std::fs::create_dir(folder.join("files")).unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        // A server that was started by root would serve as somebody who may not enter the folder.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let text = format!(
            "{modules} {user} daemon off; master_process off; pid {}; error_log {};
             events {{ worker_connections 64; }}
             http {{
               access_log off; client_max_body_size 0; client_body_temp_path {};
               proxy_temp_path {}; fastcgi_temp_path {}; uwsgi_temp_path {}; scgi_temp_path {};
               server {{
                 listen 127.0.0.1:{port};
                 location / {{
                   root {}; dav_methods PUT DELETE MKCOL; create_full_put_path on; {more}
                 }}
               }}
             }}",
            at("pid"),
            at("error.log"),
            at("body"),
            at("proxy"),
            at("fastcgi"),
            at("uwsgi"),
            at("scgi"),
            at("files")
        );
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        command.arg("-c").arg(config).arg("-e").arg(folder.join("error.log"));
    })
}

#[test]
fn nginx_with_its_own_dav_module_passes_the_suite() {
    let server = nginx("", "");
    suite::passes(&open_remote(&server.url("http", "/team?mode=rw")).unwrap(), None);
    // Whoever only reads needs no module at all.
    let reader = open_remote(&server.url("http", "/team")).unwrap();
    let path = "preheat-remote-v1/suite/a".to_owned();
    assert_eq!(reader.read_small(&[path], 9), [Ok(Some(b"new".to_vec()))]);
    assert!(server.folder.path().join("files/team/preheat-remote-v1/suite/a").is_file());
}

#[test]
fn nginx_with_listings_passes_the_suite() {
    let module = program("PREHEAT_TEST_NGINX_DAV_EXT").display().to_string();
    let server = nginx("dav_ext_methods PROPFIND OPTIONS;", &format!("load_module {module};"));
    suite::passes(&open_remote(&server.url("http", "/team?mode=rw")).unwrap(), true);
}

/// A proxy between a client and a server that lets some bytes of each answer through, and then
/// resets the connection.
fn cutting_proxy(to: u16, bytes: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to))) else {
                continue;
            };
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut into));
            std::thread::spawn(move || {
                let mut client = client;
                let _ = std::io::copy(&mut server.take(bytes as u64), &mut client);
                let _ = rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO));
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

#[test]
fn a_connection_to_s3_that_breaks_is_an_error_within_the_limit() {
    let server = Server::start(&program("PREHEAT_TEST_MOTO"), |command, port, _| {
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    });
    assert!(server.ask("PUT", "/bucket").contains("200"));
    let at = |port: u16| {
        let url = format!("s3://bucket/x?endpoint=http://127.0.0.1:{port}");
        open_remote_within(&url.parse().unwrap(), RemoteLimits::default())
    };
    at(server.port).write("large", suite::noise(3_000_000)).unwrap();
    let began = Instant::now();
    let mut content = Vec::new();
    let broken = at(cutting_proxy(server.port, 1_000_000));
    let read = broken.read("large", 3_000_000).unwrap().unwrap().read_to_end(&mut content);
    assert!(read.is_err() && content.len() < 3_000_000, "{read:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}
