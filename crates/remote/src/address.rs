//! Which remote does a URL name? The scheme says the protocol, and the query has options.
//!
//! | URL | what | written by default |
//! |---|---|---|
//! | `file:///folder` | a folder, such as a mounted NFS export | yes |
//! | `http://host/path`, `https://…` | a web server; with `mode=rw`, a WebDAV server | no |
//! | `s3://bucket/prefix` | S3 and everything that speaks its protocol | yes |
//! | `gs://bucket/prefix` | Google Cloud Storage | yes |
//! | `az://container/prefix` | Azure Blob Storage | yes |
//! | `redis://host:port/db/prefix`, `rediss://…` | Redis | yes |

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use preheat_io::printable::printable;
use reqwest::Url;

/// The URL of a remote, understood. Neither its `Display` nor its `Debug` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteAddress {
    pub(crate) protocol: Protocol,
    pub(crate) writable: bool,
    pub(crate) login: Option<Login>,
    name: String,
}

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Option<String>,
}

/// A protocol, with the place that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Protocol {
    Folder(PathBuf),
    /// The server, with its scheme and port, and the path on it.
    Web {
        server: String,
        root: String,
    },
    S3 {
        bucket: String,
        root: String,
        endpoint: Option<String>,
        region: Option<String>,
    },
    Gcs {
        bucket: String,
        root: String,
    },
    Azure {
        container: String,
        root: String,
    },
    Redis {
        server: String,
        database: i64,
        root: String,
    },
}

/// Why a URL names no remote. The URL itself is shown without its password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteUrlError {
    /// It is not a URL.
    #[error("`{url}` is no URL: {reason}")]
    NotAUrl {
        /// The text, up to an `@`.
        url: String,
        /// Why.
        reason: String,
    },
    /// It has a scheme of which no protocol is known.
    #[error(
        "`{scheme}://` is no protocol of a remote: there are file, http, https, s3, gs, az, redis \
         and rediss"
    )]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// It lacks the host, the bucket, the container or the folder.
    #[error("`{url}` names no {what}")]
    Incomplete {
        /// The URL.
        url: String,
        /// What is missing.
        what: &'static str,
    },
    /// It has an option that the protocol does not have.
    #[error("`{url}` has an option `{option}`: there are {known}")]
    Option {
        /// The URL.
        url: String,
        /// The option, with its value.
        option: String,
        /// The options of the protocol.
        known: &'static str,
    },
}

/// The options of every protocol.
const OPTIONS: &str = "mode=ro and mode=rw";
/// The options of `s3://`.
const S3_OPTIONS: &str = "mode=ro, mode=rw, endpoint=URL and region=NAME";

impl FromStr for RemoteAddress {
    type Err = RemoteUrlError;

    fn from_str(text: &str) -> Result<Self, RemoteUrlError> {
        let url = Url::parse(text).map_err(|error| RemoteUrlError::NotAUrl {
            url: without_login(text),
            reason: error.to_string(),
        })?;
        let name = name_of(&url);
        let mut mode = None;
        let (mut endpoint, mut region) = (None, None);
        let is_s3 = url.scheme() == "s3";
        for (option, value) in url.query_pairs() {
            match (&*option, &*value) {
                ("mode", "ro") => mode = Some(false),
                ("mode", "rw") => mode = Some(true),
                ("endpoint", value) if is_s3 => endpoint = Some(value.to_owned()),
                ("region", value) if is_s3 => region = Some(value.to_owned()),
                _ => {
                    return Err(RemoteUrlError::Option {
                        url: name,
                        option: printable(&format!("{option}={value}")).to_string(),
                        known: if is_s3 { S3_OPTIONS } else { OPTIONS },
                    });
                }
            }
        }
        let missing = |what| RemoteUrlError::Incomplete { url: name.clone(), what };
        let host = |what| {
            let host = url.host_str().filter(|host| !host.is_empty());
            host.map(str::to_owned).ok_or_else(|| missing(what))
        };
        let root = decoded(url.path());
        let protocol = match url.scheme() {
            "file" => {
                let folder = url.to_file_path().map_err(|()| missing("absolute folder"))?;
                Protocol::Folder(folder)
            }
            "http" | "https" => {
                let (host, port) = (host("host")?, port(&url));
                Protocol::Web { server: format!("{}://{host}{port}", url.scheme()), root }
            }
            "s3" => Protocol::S3 { bucket: host("bucket")?, root, endpoint, region },
            "gs" => Protocol::Gcs { bucket: host("bucket")?, root },
            "az" => Protocol::Azure { container: host("container")?, root },
            "redis" | "rediss" => {
                let (host, port) = (host("host")?, port(&url));
                let (first, rest) = root
                    .trim_start_matches('/')
                    .split_once('/')
                    .unwrap_or((&root[1.min(root.len())..], ""));
                let (database, root) = match first.parse() {
                    Ok(database) => (database, format!("/{rest}")),
                    Err(_) => (0, root.clone()),
                };
                let server = format!("{}://{host}{port}", url.scheme());
                Protocol::Redis { server, database, root }
            }
            scheme => return Err(RemoteUrlError::Scheme { scheme: scheme.to_owned() }),
        };
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| Login {
            user: decoded(url.username()),
            password: url.password().map(decoded),
        });
        let is_web = matches!(protocol, Protocol::Web { .. });
        Ok(Self { protocol, writable: mode.unwrap_or(!is_web), login, name })
    }
}

impl RemoteAddress {
    /// Its name in messages and statistics: the URL without password, user and options.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may be written.
    pub fn is_writable(&self) -> bool {
        self.writable
    }
}

fn port(url: &Url) -> String {
    url.port().map(|port| format!(":{port}")).unwrap_or_default()
}

/// The URL without its login and its options.
fn name_of(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for URLs that cannot have a login.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    printable(url.as_str().trim_end_matches('/')).to_string()
}

/// A text that may be a URL with a login, without everything up to the login's end.
fn without_login(text: &str) -> String {
    let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    printable(shown.split(['?', '#']).next().unwrap_or_default()).to_string()
}

/// A part of a URL with its percent codes resolved.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let byte = code
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteAddress")
            .field("name", &self.name)
            .field("writable", &self.writable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> RemoteAddress {
        url.parse().unwrap()
    }

    #[test]
    fn each_protocol_has_its_scheme_and_its_default_mode() {
        let folder = address("file:///mnt/team%20cache");
        assert_eq!(folder.protocol, Protocol::Folder("/mnt/team cache".into()));
        assert!(folder.writable);
        let web = address("https://cache.example:8443/preheat/");
        let server = "https://cache.example:8443".to_owned();
        assert_eq!(web.protocol, Protocol::Web { server, root: "/preheat/".into() });
        assert!(!web.writable, "a web server is only read unless somebody says otherwise");
        assert!(address("http://cache/x?mode=rw").writable);
        assert!(!address("s3://bucket/x?mode=ro").writable);
        let s3 = address("s3://bucket/a/b?endpoint=http://127.0.0.1:9000&region=eu-1");
        let Protocol::S3 { bucket, root, endpoint, region } = s3.protocol else { panic!() };
        assert_eq!((&*bucket, &*root), ("bucket", "/a/b"));
        assert_eq!(
            (endpoint.as_deref(), region.as_deref()),
            (Some("http://127.0.0.1:9000"), Some("eu-1"))
        );
        let gcs = Protocol::Gcs { bucket: "b".into(), root: "/p".into() };
        assert_eq!(address("gs://b/p").protocol, gcs);
        let azure = Protocol::Azure { container: "c".into(), root: "/p".into() };
        assert_eq!(address("az://c/p").protocol, azure);
        for (url, database, root) in [
            ("redis://host:6380/2/team", 2, "/team"),
            ("redis://host:6380/team/x", 0, "/team/x"),
            ("redis://host:6380", 0, ""),
            ("redis://host:6380/3", 3, "/"),
        ] {
            let server = "redis://host:6380".to_owned();
            let root = root.to_owned();
            assert_eq!(address(url).protocol, Protocol::Redis { server, database, root }, "{url}");
        }
    }

    #[test]
    fn no_message_shows_a_password_or_an_option() {
        let secret = address("https://me:sec%2Fret@cache/x?mode=rw");
        let login = secret.login.clone().unwrap();
        assert_eq!((&*login.user, login.password.as_deref()), ("me", Some("sec/ret")));
        assert_eq!(secret.name(), "https://cache/x");
        let wrong = ["https://me:sec%2Fret@cache/x?mode=secret", "https://me:sec%2Fret@ca che/x"];
        for wrong in wrong {
            let said = wrong.parse::<RemoteAddress>().unwrap_err().to_string();
            assert!(!said.contains("sec%2F") && !said.contains("me:"), "{said}");
        }
        assert!(!format!("{secret} {secret:?}").contains("sec"));
    }

    #[test]
    fn what_is_no_remote_says_why() {
        for (url, says) in [
            ("cache", "`cache` is no URL: relative URL without a base"),
            ("ftp://host/x", "`ftp://` is no protocol of a remote"),
            ("s3:///x", "names no bucket"),
            ("file://host/x", "names no absolute folder"),
            ("s3://b?mode=write", "an option `mode=write`: there are mode=ro, mode=rw, endpoint"),
            ("gs://b?region=x", "an option `region=x`: there are mode=ro and mode=rw"),
        ] {
            let said = url.parse::<RemoteAddress>().unwrap_err().to_string();
            assert!(said.contains(says), "{url}: {said}");
        }
    }
}
