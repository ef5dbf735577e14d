//! One error type for everything that can be wrong with what a user passes in.

use std::path::PathBuf;

/// The result of anything that looks at a user's input.
pub type Result<T> = std::result::Result<T, Error>;

/// What was wrong, in the words a user needs: the argument, what was expected, what came.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument has a value that cannot be used.
    #[error("`{argument}`: expected {expected}; received {received}")]
    Value {
        /// The name that the user wrote.
        argument: String,
        /// What it has to be.
        expected: String,
        /// What it was.
        received: String,
    },
    /// An argument has a type that cannot be used.
    #[error("`{argument}`: expected {expected}; received {received}")]
    Type {
        /// The name that the user wrote.
        argument: String,
        /// What it has to be.
        expected: String,
        /// What it was.
        received: String,
    },
    /// A file is not what it should be: truncated, corrupt, or of another kind.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A device failed, or is not there.
    #[error("device {device}: {reason}")]
    Device {
        /// Its name.
        device: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
}

impl Error {
    /// A [`Error::Value`] from anything that prints.
    pub fn value(argument: impl Into<String>, expected: impl Into<String>, received: impl Into<String>) -> Self {
        Self::Value { argument: argument.into(), expected: expected.into(), received: received.into() }
    }

    /// A [`Error::Type`] from anything that prints.
    pub fn type_(argument: impl Into<String>, expected: impl Into<String>, received: impl Into<String>) -> Self {
        Self::Type { argument: argument.into(), expected: expected.into(), received: received.into() }
    }
}
