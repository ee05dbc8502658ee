//! Where does asynchronous work run? On one thread of its own, which is started when the first
//! remote is asked, and lives as long as the process.
//!
//! Callers wait on an ordinary channel. So they may be threads of another asynchronous program, in
//! which a runtime could neither be entered nor dropped.

use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use preheat_cache::RemoteError;
use tokio::runtime::{Builder, Handle};

/// How much longer than its limit a request is waited for, in case the thread itself is held up.
const GRACE: Duration = Duration::from_secs(2);

/// The thread, and the process that started it: after a fork, the child has no such thread.
static THREAD: OnceLock<RwLock<Option<(u32, Handle)>>> = OnceLock::new();

/// The handle of the thread's runtime. The thread is started if this process has none.
pub(crate) fn handle() -> Result<Handle, RemoteError> {
    let place = THREAD.get_or_init(RwLock::default);
    let process = std::process::id();
    let ours = |known: &Option<(u32, Handle)>| {
        known.as_ref().filter(|(owner, _)| *owner == process).map(|(_, handle)| handle.clone())
    };
    if let Some(handle) = ours(&place.read().unwrap_or_else(PoisonError::into_inner)) {
        return Ok(handle);
    }
    let mut known = place.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = ours(&known) {
        return Ok(handle);
    }
    let failed = |error: std::io::Error| RemoteError::Failed(format!("no thread for it: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    let work = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("preheat-remote".to_owned()).spawn(work).map_err(failed)?;
    // The old handle belongs to a thread of the parent. Dropping it would touch that runtime.
    std::mem::forget(known.replace((process, handle.clone())));
    Ok(handle)
}

/// Waits for a request, until it is over its limit.
pub(crate) fn wait<T: Send + 'static>(
    limit: Duration,
    request: impl Future<Output = Result<T, RemoteError>> + Send + 'static,
) -> Result<T, RemoteError> {
    let (send, receive) = sync_channel(1);
    handle()?.spawn(async move {
        let answer = tokio::time::timeout(limit, request).await;
        // Nobody waits any more if the grace is over, too.
        let _ = send.send(answer.unwrap_or(Err(RemoteError::Slow(limit))));
    });
    match receive.recv_timeout(limit.saturating_add(GRACE)) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => Err(RemoteError::Slow(limit)),
        Err(RecvTimeoutError::Disconnected) => {
            Err(RemoteError::Failed("the request was given up".to_owned()))
        }
    }
}
