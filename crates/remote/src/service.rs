//! Which service of the library speaks a protocol, and where do credentials come from? From the
//! usual places of each store: its environment variables, its files, and the metadata server of a
//! virtual machine. Only a login in a URL is passed on from here.

use std::path::Path;
use std::time::Duration;

use opendal::{HttpTransporter, OperationContext, Operator, services};
use opendal_http_transport_reqwest::ReqwestTransport;
use preheat_cache::RemoteError;

use crate::RemoteLimits;
use crate::address::{Login, Protocol, RemoteAddress};

/// The region that is signed for if neither the URL nor the environment names one. Stores that are
/// not Amazon's accept any.
const REGION: &str = "us-east-1";
/// The folder, in the root of a remote, in which a file is written before it gets its name.
const UNFINISHED: &str = ".preheat-unfinished";
/// How old an unfinished file is when nobody writes to it any more.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// The operators of one remote.
#[derive(Debug, Clone)]
pub(crate) struct Operators {
    pub(crate) reads: Operator,
    /// `None` if the remote is only read.
    pub(crate) writes: Option<Operator>,
    /// Writes after it made the folders of a path, which some WebDAV servers require.
    pub(crate) writes_with_folders: Option<Operator>,
    /// `None` if the protocol cannot list files.
    pub(crate) lists: Option<Operator>,
}

impl Operators {
    pub(crate) fn of(address: &RemoteAddress, limits: RemoteLimits) -> Result<Self, RemoteError> {
        let context = context(limits)?;
        let made = |operator: opendal::Result<Operator>| {
            operator
                .map(|operator| operator.with_context(context.clone()))
                .map_err(|error| RemoteError::Failed(error.message().to_owned()))
        };
        let (login, writable) = (address.login.as_ref(), address.writable);
        if let Protocol::Web { server, root } = &address.protocol {
            let writes = |without_folders| {
                made(Operator::new(web_dav(server, root, login, without_folders)))
            };
            return Ok(Self {
                reads: made(Operator::new(web(server, root, login)))?,
                writes: writable.then(|| writes(true)).transpose()?,
                writes_with_folders: writable.then(|| writes(false)).transpose()?,
                lists: writable.then(|| writes(true)).transpose()?,
            });
        }
        let operator = made(match &address.protocol {
            Protocol::Web { server, root } => Operator::new(web(server, root, login)),
            Protocol::Folder(folder) => {
                // The library would make the folder, even where a mount is missing.
                if !folder.is_dir() {
                    let text = format!("the folder {} is not there", folder.display());
                    return Err(RemoteError::Failed(text));
                }
                let root = folder.to_string_lossy();
                let service = services::Fs::default().root(&root);
                if writable {
                    let unfinished = folder.join(UNFINISHED);
                    remove_abandoned(&unfinished);
                    Operator::new(service.atomic_write_dir(&unfinished.to_string_lossy()))
                } else {
                    Operator::new(service)
                }
            }
            Protocol::S3 { bucket, root, endpoint, region } => {
                Operator::new(s3(bucket, root, endpoint.as_deref(), region.as_deref()))
            }
            Protocol::Gcs { bucket, root } => {
                let service = services::Gcs::default().bucket(bucket).root(root);
                match std::env::var("STORAGE_EMULATOR_HOST") {
                    Ok(emulator) => Operator::new(service.endpoint(&emulator).skip_signature()),
                    Err(_) => Operator::new(service),
                }
            }
            Protocol::Azure { container, root } => Operator::new(azure(container, root)?),
            Protocol::Redis { server, database, root } => {
                let service = services::Redis::default().endpoint(server).db(*database);
                let mut service = service.root(root);
                if let Some(Login { user, password }) = login {
                    service = service.username(user).password(password.as_deref().unwrap_or(""));
                }
                Operator::new(service)
            }
        })?;
        let lists = operator.info().capability().list.then(|| operator.clone());
        let writes = writable.then(|| operator.clone());
        Ok(Self { reads: operator, writes, writes_with_folders: None, lists })
    }
}

/// Removes files that a process left when it was killed while it wrote them. The clock of a file
/// server may differ from this machine's, so they have to be a day old.
fn remove_abandoned(unfinished: &Path) {
    for entry in std::fs::read_dir(unfinished).into_iter().flatten().flatten() {
        let modified = entry.metadata().ok().filter(std::fs::Metadata::is_file);
        let modified = modified.and_then(|file| file.modified().ok());
        let age = modified.and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED_AFTER)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "an abandoned file stays");
        }
    }
}

/// The HTTP client of a remote.
fn context(limits: RemoteLimits) -> Result<OperationContext, RemoteError> {
    // Without this, a program that links a second provider of rustls would make it panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(limits.connect)
        .user_agent(concat!("preheat/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| RemoteError::Failed(format!("no HTTP client: {error}")))?;
    let transport = HttpTransporter::new(ReqwestTransport::new(client));
    Ok(OperationContext::new().with_http_transport(transport))
}

fn web(server: &str, root: &str, login: Option<&Login>) -> services::Http {
    let service = services::Http::default().endpoint(server).root(root);
    match login {
        Some(Login { user, password }) => {
            service.username(user).password(password.as_deref().unwrap_or(""))
        }
        None => service,
    }
}

fn web_dav(
    server: &str,
    root: &str,
    login: Option<&Login>,
    without_folders: bool,
) -> services::Webdav {
    let service = services::Webdav::default().endpoint(server).root(root);
    let service = service.disable_create_dir(without_folders);
    match login {
        Some(Login { user, password }) => {
            service.username(user).password(password.as_deref().unwrap_or(""))
        }
        None => service,
    }
}

fn s3(bucket: &str, root: &str, endpoint: Option<&str>, region: Option<&str>) -> services::S3 {
    let mut service = services::S3::default().bucket(bucket).root(root);
    if let Some(endpoint) = endpoint {
        service = service.endpoint(endpoint);
    }
    let named =
        ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| std::env::var_os(name).is_some());
    match region {
        Some(region) => service.region(region),
        None if named => service,
        None => service.region(REGION),
    }
}

fn azure(container: &str, root: &str) -> Result<services::Azblob, RemoteError> {
    let failed = |text: &str| RemoteError::Failed(text.to_owned());
    let service = if let Ok(text) = std::env::var("AZURE_STORAGE_CONNECTION_STRING") {
        services::Azblob::from_connection_string(&text)
            .map_err(|_| failed("AZURE_STORAGE_CONNECTION_STRING cannot be understood"))?
    } else {
        let name = ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"];
        let name = name.iter().find_map(|name| std::env::var(name).ok()).ok_or_else(|| {
            failed("set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT")
        })?;
        let service = services::Azblob::default().account_name(&name);
        let service = service.endpoint(&format!("https://{name}.blob.core.windows.net"));
        match std::env::var("AZURE_STORAGE_KEY") {
            Ok(key) => service.account_key(&key),
            Err(_) => service,
        }
    };
    Ok(service.container(container).root(root))
}
