//! What is said of an error of the library? Its own text may contain the URL of a request, and with
//! it a signature or a token. So only the kind, the short message and the innermost cause are kept.

use std::error::Error as _;

use opendal::{Error, ErrorKind};
use preheat_cache::RemoteError;
use preheat_io::printable::printable;

/// The longest text of a server that is repeated.
const SAID_CHARACTERS: usize = 200;

/// An error for the caller; `None` if the file is not there.
pub(crate) fn fault(error: &Error) -> Option<RemoteError> {
    match error.kind() {
        ErrorKind::NotFound => None,
        ErrorKind::PermissionDenied => Some(RemoteError::Denied(text(error))),
        ErrorKind::Unsupported => Some(RemoteError::CannotList),
        _ => Some(RemoteError::Failed(text(error))),
    }
}

/// The same for a request whose file must be there.
pub(crate) fn failed(error: &Error) -> RemoteError {
    fault(error).unwrap_or_else(|| RemoteError::Failed(text(error)))
}

fn text(error: &Error) -> String {
    let mut innermost = error.source();
    while let Some(cause) = innermost.and_then(std::error::Error::source) {
        innermost = Some(cause);
    }
    let message = error.message();
    let said = match innermost {
        Some(cause) => format!("{message}: {cause}"),
        None => message.to_owned(),
    };
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&line.chars().take(SAID_CHARACTERS).collect::<String>()).to_string()
}
