//! How does a remote answer the cache? Each call of the trait becomes a request of the library,
//! within its time limit.

use std::fmt;
use std::io::Read;
use std::sync::OnceLock;

use opendal::ErrorKind;
use preheat_cache::{RemoteError, RemoteStorage};

use crate::RemoteLimits;
use crate::address::RemoteAddress;
use crate::body::{begin, read_whole};
use crate::fault::{failed, fault};
use crate::service::Operators;
use crate::worker::wait;

/// A longer file is uploaded in parts of [`PART_BYTES`], if the protocol has parts.
const WHOLE_BYTES: usize = 16 << 20;
const PART_BYTES: usize = 8 << 20;
/// How many parts are uploaded at the same time.
const PARTS_AT_ONCE: usize = 4;

pub(crate) struct Storage {
    address: RemoteAddress,
    limits: RemoteLimits,
    /// Made when they are first needed, and again as long as that fails.
    operators: OnceLock<Operators>,
}

impl Storage {
    pub(crate) fn new(address: RemoteAddress, limits: RemoteLimits) -> Self {
        Self { address, limits, operators: OnceLock::new() }
    }

    fn operators(&self) -> Result<&Operators, RemoteError> {
        if let Some(made) = self.operators.get() {
            return Ok(made);
        }
        let made = Operators::of(&self.address, self.limits)?;
        Ok(self.operators.get_or_init(|| made))
    }
}

impl RemoteStorage for Storage {
    fn name(&self) -> &str {
        self.address.name()
    }

    fn is_writable(&self) -> bool {
        self.address.is_writable()
    }

    fn read_small(
        &self,
        paths: &[String],
        limit_bytes: u64,
    ) -> Vec<Result<Option<Vec<u8>>, RemoteError>> {
        let failed = |error: RemoteError| paths.iter().map(|_| Err(error.clone())).collect();
        let operator = match self.operators() {
            Ok(operators) => operators.reads.clone(),
            Err(error) => return failed(error),
        };
        let limit = self.limits.answer;
        let asked: Vec<String> = paths.to_vec();
        let all = async move {
            let each = asked.into_iter().map(|path| {
                let read = read_whole(operator.clone(), path, limit_bytes);
                tokio::spawn(async move {
                    let answer = tokio::time::timeout(limit, read).await;
                    answer.unwrap_or(Err(RemoteError::Slow(limit)))
                })
            });
            // All of them run from here on; they are waited for one after the other.
            let running: Vec<_> = each.collect();
            let mut answers = Vec::with_capacity(running.len());
            for one in running {
                let given_up = |_| Err(RemoteError::Failed("a request was given up".to_owned()));
                answers.push(one.await.unwrap_or_else(given_up));
            }
            Ok(answers)
        };
        // Each has its own limit, and all run at the same time.
        wait(limit.saturating_mul(2), all).unwrap_or_else(failed)
    }

    fn read(&self, path: &str, bytes: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let operator = self.operators()?.reads.clone();
        let body = begin(operator, path.to_owned(), bytes, self.limits.of_bytes(bytes))?;
        Ok(body.map(|body| Box::new(body) as Box<dyn Read + Send>))
    }

    fn length(&self, path: &str) -> Result<Option<u64>, RemoteError> {
        let (operator, path) = (self.operators()?.reads.clone(), path.to_owned());
        wait(self.limits.answer, async move {
            match operator.stat(&path).await {
                Ok(found) => Ok(Some(found.content_length())),
                Err(error) => fault(&error).map_or(Ok(None), Err),
            }
        })
    }

    fn write(&self, path: &str, content: Vec<u8>) -> Result<(), RemoteError> {
        let operators = self.operators()?;
        let Some(operator) = operators.writes.clone() else { return Err(RemoteError::ReadOnly) };
        let with_folders = operators.writes_with_folders.clone();
        let limit = self.limits.of_bytes(content.len() as u64);
        let path = path.to_owned();
        let content = opendal::Buffer::from(content);
        wait(limit, async move {
            let in_parts =
                content.len() > WHOLE_BYTES && operator.info().capability().write_can_multi;
            if in_parts {
                let parts = operator.write_with(&path, content).chunk(PART_BYTES);
                let written = parts.concurrent(PARTS_AT_ONCE).await;
                return written.map(drop).map_err(|error| failed(&error));
            }
            match (operator.write(&path, content.clone()).await, with_folders) {
                (Ok(_), _) => Ok(()),
                // Servers differ in what they answer if a folder is missing.
                (Err(error), Some(operator)) if error.kind() != ErrorKind::PermissionDenied => {
                    let written = operator.write(&path, content).await;
                    written.map(drop).map_err(|error| failed(&error))
                }
                (Err(error), _) => Err(failed(&error)),
            }
        })
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, RemoteError> {
        let Some(operator) = self.operators()?.lists.clone() else {
            return Err(RemoteError::CannotList);
        };
        let folder = format!("{}/", folder.trim_end_matches('/'));
        // A long folder takes several requests.
        wait(self.limits.answer.saturating_mul(4), async move {
            let entries = match operator.list(&folder).await {
                Ok(entries) => entries,
                Err(error) => return fault(&error).map_or(Ok(Vec::new()), Err),
            };
            let within = entries.iter().filter_map(|entry| {
                let name = entry.path().strip_prefix(&folder)?.trim_end_matches('/');
                (!name.is_empty()).then(|| name.to_owned())
            });
            Ok(within.collect())
        })
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage").field(&self.address).finish()
    }
}
