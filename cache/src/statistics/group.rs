//! Which requests are counted together, and how can a request end?

use serde::{Deserialize, Serialize};

use crate::hash::{Digest, FramedHasher};

/// The version of the digest that names a group in the store.
const GROUP_TAG: &str = "preheat-request-group-v1";

/// The model and the size of the group in which requests are counted when there are too many
/// groups.
const OTHER: &str = "other";

/// What requests are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Somebody waits for the result.
    Serving,
    /// The result is wanted later.
    Warming,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestOutcome {
    /// It was served, and nothing had to be compiled for it.
    ServedWarm,
    /// It was served after at least one compile: a compile of its own, or one in another thread or
    /// process that it waited for.
    ServedAfterCompile,
    /// It was refused, because it would have needed a compile.
    Refused,
    /// It failed.
    Failed,
    /// It was cancelled, or its process ended before the request did.
    Interrupted,
}

/// The requests that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestGroup {
    /// What they were made for.
    pub purpose: Purpose,
    /// The model, or the program's name.
    pub model_id: String,
    /// The padded size of a picture in pixels, such as `512x512`, or the shape of a program's
    /// input.
    pub size: String,
    /// The device, by its name on the command line.
    pub device: String,
}

impl RequestGroup {
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = FramedHasher::new(GROUP_TAG);
        let purpose = match self.purpose {
            Purpose::Serving => 0,
            Purpose::Warming => 1,
        };
        hasher.integer(purpose).text(&self.model_id).text(&self.size).text(&self.device).finish()
    }

    /// The group in which these requests are counted if there are too many groups.
    pub(crate) fn other(&self) -> Self {
        Self {
            purpose: self.purpose,
            model_id: OTHER.to_owned(),
            size: OTHER.to_owned(),
            device: self.device.clone(),
        }
    }
}
