//! How does a blocking reader get the content of a file piece by piece? A task reads pieces from
//! the connection and hands them over through a channel. It reads only a few pieces ahead, so that
//! a large object is not held in memory.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use futures_core::Stream as _;
use opendal::{Buffer, Operator};
use preheat_cache::RemoteError;
use tokio::sync::Semaphore;

use crate::fault::{failed, fault};
use crate::worker::handle;

/// How many pieces are read ahead. A piece is what the connection gives at once: at most some
/// hundred kilobytes.
const AHEAD: usize = 16;
/// How much longer than the limit the channel is waited for.
const GRACE: Duration = Duration::from_secs(2);

type Piece = Result<Option<Vec<u8>>, RemoteError>;

/// The content of a file.
pub(crate) struct Body {
    pieces: Receiver<Piece>,
    room: Arc<Semaphore>,
    piece: VecDeque<u8>,
    until: Instant,
    limit: Duration,
    ended: bool,
}

/// Begins to read a file. The first piece is waited for; `None` if the file is not there. At most
/// `bytes` and one piece more are read.
pub(crate) fn begin(
    operator: Operator,
    path: String,
    bytes: u64,
    limit: Duration,
) -> Result<Option<Body>, RemoteError> {
    let (send, pieces) = channel();
    let room = Arc::new(Semaphore::new(AHEAD));
    let until = Instant::now() + limit;
    let free = Arc::clone(&room);
    handle()?.spawn(async move {
        let work = read(operator, path, bytes, &free, |piece| send.send(Ok(piece)).is_ok());
        let outcome = tokio::time::timeout(limit, work).await;
        match outcome.unwrap_or(Err(Some(RemoteError::Slow(limit)))) {
            Ok(()) => _ = send.send(Ok(None)),
            Err(Some(error)) => _ = send.send(Err(error)),
            // The file is not there: the channel closes without a piece.
            Err(None) => {}
        }
    });
    let mut body = Body { pieces, room, piece: VecDeque::new(), until, limit, ended: false };
    match body.next() {
        Ok(Some(piece)) => {
            body.piece = piece.into();
            Ok(Some(body))
        }
        Ok(None) => {
            body.ended = true;
            Ok(Some(body))
        }
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

/// Reads pieces until `give` says that nobody wants them. The error is `None` if the file is not
/// there.
async fn read(
    operator: Operator,
    path: String,
    bytes: u64,
    room: &Semaphore,
    mut give: impl FnMut(Option<Vec<u8>>) -> bool,
) -> Result<(), Option<RemoteError>> {
    let reader = operator.reader(&path).await.map_err(|error| fault(&error))?;
    let mut stream = reader.into_stream(..).await.map_err(|error| fault(&error))?;
    let (mut given_bytes, mut is_first) = (0, true);
    while given_bytes <= bytes {
        let next = std::future::poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await;
        let piece: Buffer = match next {
            None => break,
            Some(Ok(piece)) => piece,
            // Only the first request can say that there is no file.
            Some(Err(error)) if is_first => return Err(fault(&error)),
            Some(Err(error)) => return Err(Some(failed(&error))),
        };
        is_first = false;
        given_bytes += piece.len() as u64;
        // The semaphore is never closed.
        if let Ok(place) = room.acquire().await {
            place.forget();
        }
        if !give(Some(piece.to_vec())) {
            break;
        }
    }
    Ok(())
}

/// Reads a whole small file; `None` if it is not there.
pub(crate) async fn read_whole(
    operator: Operator,
    path: String,
    limit_bytes: u64,
) -> Result<Option<Vec<u8>>, RemoteError> {
    let room = Semaphore::new(Semaphore::MAX_PERMITS);
    let mut content = Vec::new();
    let read = read(operator, path, limit_bytes, &room, |piece| {
        content.extend(piece.unwrap_or_default());
        true
    });
    match read.await {
        Ok(()) if content.len() as u64 > limit_bytes => {
            Err(RemoteError::Failed(format!("a file is longer than {limit_bytes} bytes")))
        }
        Ok(()) => Ok(Some(content)),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

impl Body {
    /// The next piece; `None` at the end. The error is `None` if the channel closed without one.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Option<RemoteError>> {
        let left = self.until.saturating_duration_since(Instant::now()).saturating_add(GRACE);
        match self.pieces.recv_timeout(left) {
            Ok(piece) => {
                self.room.add_permits(1);
                piece.map_err(Some)
            }
            Err(RecvTimeoutError::Timeout) => Err(Some(RemoteError::Slow(self.limit))),
            Err(RecvTimeoutError::Disconnected) => Err(None),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.next() {
                Ok(Some(piece)) => self.piece = piece.into(),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    let given_up = || RemoteError::Failed("the request was given up".to_owned());
                    return Err(io::Error::other(error.unwrap_or_else(given_up)));
                }
            }
        }
        self.piece.read(buffer)
    }
}
