//! Why could a tokenizer not be opened, or a text not be encoded?

use std::io;
use std::path::PathBuf;

/// Why a tokenizer could not be opened, or a text could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// There is no folder of that name.
    #[error("there is no folder {}: is the model fully downloaded?", folder.display())]
    NoFolder {
        /// The tokenizer's folder.
        folder: PathBuf,
    },
    /// A file is missing that the tokenizer needs.
    #[error("there is no {}, and no tokenizer.json in its place: is the model fully downloaded?", path.display())]
    NoFile {
        /// The missing file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file's contents are not what its name says.
    #[error("{} is broken: {why}; is it fully downloaded?", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The vocabulary lacks a special token.
    #[error("{} lacks the {role} token `{token}`: is it the vocabulary of this model?", path.display())]
    NoToken {
        /// The vocabulary.
        path: PathBuf,
        /// What the token is for.
        role: &'static str,
        /// The token.
        token: String,
    },
    /// The text could not be encoded.
    #[error("the text cannot be turned into tokens: {why}")]
    Encode {
        /// What went wrong.
        why: String,
    },
}
