//! A small web server for tests, in this process: it keeps files in memory, understands as much of
//! WebDAV as an upload needs, notes every request, and can fail in several ways.

#![allow(dead_code, reason = "each program of tests uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server answers with this status.
    Status(u16),
    /// The connection ends with a reset after this many bytes of the content.
    Reset(usize),
    /// The server says the whole length, sends this many bytes, and closes in good order.
    Cut(usize),
    /// The server says that the content is only this long.
    Shorter(usize),
    /// The server sends a byte every 100 ms.
    Drip,
    /// The server never answers.
    Hang,
    /// One byte in the middle of the content is wrong.
    WrongByte,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    /// Whether a file can be written only into a folder that is there, as WebDAV asks for.
    needs_folders: bool,
    requests: Vec<String>,
    /// The faults, by a part of the path.
    faults: Vec<(String, Fault)>,
    /// The value of the Authorization header that is asked for.
    login: Option<String>,
}

/// A server that runs until it is dropped.
#[derive(Debug, Clone)]
pub struct Web {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

impl Web {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let web = Self { state: Arc::default(), address };
        let serving = web.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (serving, Ok(client)) = (serving.clone(), client) else { continue };
                std::thread::spawn(move || {
                    let _ = serving.serve(client);
                });
            }
        });
        web
    }

    /// The URL of a path on it, with options.
    pub fn url(&self, rest: &str) -> String {
        format!("http://{}{rest}", self.address)
    }

    pub fn needs_folders(self) -> Self {
        self.state.lock().unwrap().needs_folders = true;
        self
    }

    /// Asks for the user `me` with the password `secret`.
    pub fn with_login(self) -> Self {
        self.state.lock().unwrap().login = Some("Basic bWU6c2VjcmV0".to_owned());
        self
    }

    /// Lets requests fail whose path contains the text. Later faults replace earlier ones.
    pub fn fail(&self, path: &str, fault: Fault) {
        self.state.lock().unwrap().faults = vec![(path.to_owned(), fault)];
    }

    pub fn works_again(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// The requests since the last call, as `GET /path`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The files by their paths.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.lock().unwrap().files.clone()
    }

    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().files.insert(path.to_owned(), content.into());
    }

    pub fn remove(&self, path: &str) {
        self.state.lock().unwrap().files.remove(path);
    }

    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        while let Some(request) = Request::read(&mut client)? {
            if !self.answer(&mut client, &request)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Answers one request; returns whether the connection goes on.
    fn answer(&self, client: &mut TcpStream, request: &Request) -> std::io::Result<bool> {
        let Request { method, path, content, .. } = request;
        let (fault, login) = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(format!("{method} {path}"));
            let fault = state.faults.iter().find(|(part, _)| path.contains(part));
            (fault.map(|(_, fault)| *fault), state.login.clone())
        };
        if login.is_some() && login != request.authorization {
            return send(client, 401, b"", None).map(|()| true);
        }
        let (status, body) = match (fault, method.as_str()) {
            (Some(Fault::Status(status)), _) => (status, b"it fails".to_vec()),
            (Some(Fault::Hang), _) => {
                std::thread::sleep(Duration::from_mins(1));
                return Ok(false);
            }
            (_, "GET" | "HEAD") => match self.state.lock().unwrap().files.get(path) {
                Some(content) => (200, content.clone()),
                None => (404, Vec::new()),
            },
            (_, "PUT") => (self.write(path, content.clone()), Vec::new()),
            (_, "MKCOL") => (self.make_folder(path), Vec::new()),
            (_, "PROPFIND") => self.find(path, &request.depth),
            _ => (405, Vec::new()),
        };
        if method == "HEAD" {
            let head = head(status, body.len());
            return client.write_all(head.as_bytes()).map(|()| true);
        }
        send(client, status, &body, fault.filter(|_| method == "GET")).map(|()| fault.is_none())
    }

    fn write(&self, path: &str, content: Vec<u8>) -> u16 {
        let mut state = self.state.lock().unwrap();
        let parent = path.rsplit_once('/').map(|(parent, _)| format!("{parent}/"));
        if state.needs_folders && parent.is_some_and(|parent| !state.folders.contains(&parent)) {
            return 409;
        }
        state.files.insert(path.to_owned(), content);
        201
    }

    fn make_folder(&self, path: &str) -> u16 {
        let mut state = self.state.lock().unwrap();
        let path = format!("{}/", path.trim_end_matches('/'));
        let parent = path.trim_end_matches('/').rsplit_once('/');
        let parent = parent.map(|(parent, _)| format!("{parent}/")).unwrap_or_default();
        if parent != "/" && !state.folders.contains(&parent) {
            return 409;
        }
        if state.folders.insert(path) { 201 } else { 405 }
    }

    fn find(&self, path: &str, depth: &str) -> (u16, Vec<u8>) {
        let state = self.state.lock().unwrap();
        let folder = format!("{}/", path.trim_end_matches('/'));
        let is_folder = path == "/"
            || state.folders.contains(&folder)
            || state.files.keys().any(|file| file.starts_with(&folder));
        if !is_folder {
            return match state.files.get(path) {
                Some(content) => (207, multistatus(&[(path.to_owned(), Some(content.len()))])),
                None => (404, Vec::new()),
            };
        }
        let mut found = vec![(folder.clone(), None)];
        if depth == "1" {
            let mut below = BTreeMap::new();
            for (file, content) in &state.files {
                let Some(rest) = file.strip_prefix(&folder) else { continue };
                match rest.split_once('/') {
                    Some((name, _)) => below.insert(format!("{folder}{name}/"), None),
                    None => below.insert(file.clone(), Some(content.len())),
                };
            }
            found.extend(below);
        }
        (207, multistatus(&found))
    }
}

struct Request {
    method: String,
    path: String,
    depth: String,
    authorization: Option<String>,
    content: Vec<u8>,
}

impl Request {
    /// The next request of a connection; `None` at its end.
    fn read(client: &mut TcpStream) -> std::io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if client.read(&mut byte)? == 0 {
                return Ok(None);
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let mut content = vec![0; length.unwrap_or(0)];
        client.read_exact(&mut content)?;
        Ok(Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            depth: headers.get("depth").cloned().unwrap_or_default(),
            authorization: headers.get("authorization").cloned(),
            content,
        }))
    }
}

fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n")
}

fn send(
    client: &mut TcpStream,
    status: u16,
    body: &[u8],
    fault: Option<Fault>,
) -> std::io::Result<()> {
    let mut body = body.to_vec();
    let said = match fault {
        Some(Fault::Shorter(bytes)) => {
            body.truncate(bytes);
            body.len()
        }
        _ => body.len(),
    };
    client.write_all(head(status, said).as_bytes())?;
    match fault {
        Some(Fault::Reset(bytes)) => {
            client.write_all(&body[..bytes.min(body.len())])?;
            client.flush()?;
            // Data that the client sent and nobody read would turn the close into a reset; there
            // is none, so the reset is asked for.
            rustix::net::sockopt::set_socket_linger(&*client, Some(Duration::ZERO))?;
        }
        Some(Fault::Cut(bytes)) => client.write_all(&body[..bytes.min(body.len())])?,
        Some(Fault::Drip) => {
            for byte in body {
                client.write_all(&[byte])?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Some(Fault::WrongByte) => {
            let middle = body.len() / 2;
            if let Some(byte) = body.get_mut(middle) {
                *byte ^= 1;
            }
            client.write_all(&body)?;
        }
        _ => client.write_all(&body)?,
    }
    Ok(())
}

/// The answer to PROPFIND: paths, with the lengths of files.
fn multistatus(found: &[(String, Option<usize>)]) -> Vec<u8> {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:multistatus xmlns:D=\"DAV:\">".to_owned();
    for (path, length) in found {
        let kind = match length {
            Some(length) => {
                format!("<D:resourcetype/><D:getcontentlength>{length}</D:getcontentlength>")
            }
            None => "<D:resourcetype><D:collection/></D:resourcetype>".to_owned(),
        };
        let modified = "<D:getlastmodified>Tue, 01 May 2018 22:39:47 GMT</D:getlastmodified>";
        let status = "<D:status>HTTP/1.1 200 OK</D:status>";
        text.extend(["<D:response><D:href>", path, "</D:href><D:propstat><D:prop>", &kind]);
        text.extend([modified, "</D:prop>", status, "</D:propstat></D:response>"]);
    }
    (text + "</D:multistatus>").into_bytes()
}
