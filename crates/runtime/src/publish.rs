//! How does a running process tell a monitoring system what the cache does?
//!
//! A [`Publisher`] keeps a text file up to date, which the textfile collector of `node_exporter`
//! reads, or answers `GET /metrics` over HTTP, or both. The server has a single page, which needs
//! no input and contains no secret (only the names of models). So a few lines of code over the
//! standard library are enough. The server has limits: one connection at a time, a short head, two
//! seconds for a client to send it, and no connection is kept open.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use preheat_io::result_file::{Existing, Output};

use super::cache::Cache;
use super::error::Error;
use super::exposition::{PROMETHEUS_MEDIA_TYPE, prometheus};

/// How often the file is written: as often as Prometheus usually reads it.
const EVERY: Duration = Duration::from_secs(15);
/// The greatest age of a page. A client that asks more often gets the same page again, so that no
/// client can keep the index busy.
const FRESH: Duration = Duration::from_secs(1);
/// How long a client may take to send the head of its request, and how long it may take to read the
/// answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest head of a request that is read.
const HEAD_BYTES: usize = 8 << 10;

/// Where the statistics are published.
#[derive(Debug, Clone, Default)]
pub struct PublishTo {
    /// A file in the text format of Prometheus, which is replaced in one step each time.
    pub file: Option<PathBuf>,
    /// An address on which `GET /metrics` is answered.
    pub listen: Option<SocketAddr>,
}

/// Publishes the statistics of a cache until this value is dropped. The drop writes the file once
/// more.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    cache: Cache,
    file: Option<PathBuf>,
    page: Mutex<Option<(Instant, String)>>,
    stopped: AtomicBool,
    stops: (Mutex<()>, Condvar),
}

impl Publisher {
    /// Begins to publish. The file is written and the address is opened before this returns, so
    /// that a mistake shows at once.
    ///
    /// # Errors
    /// If the file cannot be written, the address cannot be used, or no thread can be started.
    pub fn start(cache: Cache, to: PublishTo) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            cache,
            file: to.file,
            page: Mutex::default(),
            stopped: AtomicBool::new(false),
            stops: Default::default(),
        });
        let mut publisher = Self { shared, address: None, threads: Vec::new() };
        if let Some(path) = &publisher.shared.file {
            publisher.shared.write(path)?;
            publisher.spawn("preheat-metrics-file", Shared::keep_file)?;
        }
        if let Some(address) = to.listen {
            let listener = TcpListener::bind(address)?;
            publisher.address = Some(listener.local_addr()?);
            publisher.spawn("preheat-metrics", move |shared| shared.serve(&listener))?;
        }
        Ok(publisher)
    }

    /// The address on which the page is served. If the given port was 0, it contains the port that
    /// the system chose.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || work(&shared))?);
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let (lock, stops) = &self.shared.stops;
        drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
        stops.notify_all();
        if let Some(mut address) = self.address {
            // The server is blocked until a client connects, so this thread connects to it.
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                });
            }
            let _ = TcpStream::connect_timeout(&address, PATIENCE);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to do.
            let _ = thread.join();
        }
        if let Some(path) = &self.shared.file {
            self.shared.write_or_warn(path);
        }
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn statistics(&self) -> Result<String, Error> {
        Ok(prometheus(&self.cache.statistics()?))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let page = self.statistics().map_err(io::Error::other)?;
        let mut file = Output::create(path, Existing::Replace)?;
        file.write_all(page.as_bytes())?;
        file.finish()
    }

    fn write_or_warn(&self, path: &Path) {
        if let Err(error) = self.write(path) {
            tracing::warn!("the metrics file {} is not up to date: {error}", path.display());
        }
    }

    fn keep_file(&self) {
        let Some(path) = &self.file else { return };
        let (lock, stops) = &self.stops;
        let mut waiting = lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_stopped() {
            let waited = stops.wait_timeout(waiting, EVERY);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            waiting = guard;
            if timeout.timed_out() && !self.is_stopped() {
                self.write_or_warn(path);
            }
        }
    }

    fn serve(&self, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_stopped() {
                return;
            }
            let answered = client.and_then(|client| self.answer(client));
            if let Err(error) = answered {
                tracing::debug!(%error, "a client of the metrics got no answer");
                // A process that has no free file descriptors would otherwise try again at once,
                // for ever.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn answer(&self, mut client: TcpStream) -> io::Result<()> {
        let head = read_head(&mut client)?;
        let (status, media, body) = match Asked::of(&head) {
            Asked::Metrics { .. } => match self.page() {
                Ok(page) => ("200 OK", PROMETHEUS_MEDIA_TYPE, page),
                Err(error) => ("503 Service Unavailable", "text/plain", format!("{error}\n")),
            },
            Asked::Elsewhere => ("404 Not Found", "text/plain", "see /metrics\n".to_owned()),
            Asked::Otherwise => {
                ("405 Method Not Allowed", "text/plain", "only GET and HEAD\n".to_owned())
            }
            Asked::Nonsense => ("400 Bad Request", "text/plain", String::new()),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: \
             {length}\r\nConnection: close\r\n\r\n"
        );
        let mut answer = answer.into_bytes();
        if Asked::of(&head) != (Asked::Metrics { only_head: true }) {
            answer.extend(body.as_bytes());
        }
        write_answer(&mut client, &answer)
    }

    fn page(&self) -> Result<String, Error> {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        match &*page {
            Some((made, text)) if made.elapsed() < FRESH => Ok(text.clone()),
            _ => {
                let text = self.statistics()?;
                *page = Some((Instant::now(), text.clone()));
                Ok(text)
            }
        }
    }
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Metrics { only_head: bool },
    Elsewhere,
    Otherwise,
    Nonsense,
}

impl Asked {
    fn of(head: &[u8]) -> Self {
        let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
        let Ok(line) = std::str::from_utf8(line) else { return Self::Nonsense };
        let words: Vec<&str> = line.split(' ').collect();
        let &[method, target, version] = words.as_slice() else { return Self::Nonsense };
        if !version.starts_with("HTTP/1.") {
            return Self::Nonsense;
        }
        if !matches!(method, "GET" | "HEAD") {
            return Self::Otherwise;
        }
        match target.split('?').next() {
            Some("/metrics") => Self::Metrics { only_head: method == "HEAD" },
            _ => Self::Elsewhere,
        }
    }
}

/// Reads the head of a request, within the limits.
fn read_head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut some = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > HEAD_BYTES {
            return Err(io::ErrorKind::TimedOut.into());
        }
        client.set_read_timeout(Some(left))?;
        let read = client.read(&mut some)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&some[..read]);
    }
    Ok(head)
}

/// Writes the answer. A client that reads it more slowly than it may is left, because the others
/// wait for it.
fn write_answer(client: &mut TcpStream, mut answer: &[u8]) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !answer.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        client.set_write_timeout(Some(left))?;
        match client.write(answer) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => answer = &answer[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    client.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_page_is_served() {
        let metrics = |only_head| Asked::Metrics { only_head };
        for (head, asked) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", metrics(false)),
            ("GET /metrics?a=b HTTP/1.0\r\n\r\n", metrics(false)),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", metrics(true)),
            ("GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("GET /metrics/../x HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("POST /metrics HTTP/1.1\r\n\r\n", Asked::Otherwise),
            ("GET  /metrics HTTP/1.1\r\n\r\n", Asked::Nonsense),
            ("GET /metrics\r\n\r\n", Asked::Nonsense),
            ("\r\n\r\n", Asked::Nonsense),
        ] {
            assert_eq!(Asked::of(head.as_bytes()), asked, "{head:?}");
        }
        assert_eq!(Asked::of(b"\xff\xfe"), Asked::Nonsense);
    }

    #[test]
    fn a_client_that_reads_a_byte_now_and_then_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut client, _) = listener.accept().unwrap();
        let slow = std::thread::spawn(move || {
            let mut byte = [0];
            while reader.read(&mut byte).is_ok_and(|read| read == 1) {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let error = write_answer(&mut client, &vec![b'.'; 64 << 20]).unwrap_err();
        let is_late = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
        assert!(is_late, "{error}");
        // Linux keeps what it has taken for the reader, and the reader would take days for it.
        drop((client, slow));
    }
}
