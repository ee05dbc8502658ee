//! How does a program look after a cache?

/// A cache can be opened alone: no device is chosen, and no plugin is loaded.
///
/// ```
/// use preheat::{Cache, Runtime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let cache: Cache = Runtime::builder().cache_dir(folder.path()).open_cache()?;
/// for record in cache.records()? {
///     println!("{}", record.graph_key);
/// }
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::Cache;

/// This has the place of a cache and the space that it takes, as the file system reports them.
///
/// ```
/// use preheat::{CacheInfo, Runtime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let info: CacheInfo = Runtime::builder().cache_dir(folder.path()).open_cache()?.info()?;
/// println!("{} of {} bytes in {}", info.object_bytes, info.max_bytes, info.dir.display());
/// # assert_eq!(info.objects, 0);
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::CacheInfo;

/// A rule says which entries are removed. Pinned entries stay.
///
/// ```
/// use preheat::{PruneRule, Runtime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let cache = Runtime::builder().cache_dir(folder.path()).open_cache()?;
/// let rule = PruneRule { max_bytes: Some(10 << 30), dry_run: true, ..PruneRule::default() };
/// let pruned = cache.prune(rule)?;
/// assert!(pruned.entries.is_empty());
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::PruneRule;

/// A remote is a cache that many machines share: a bucket, a web server, a folder. What it has is
/// fetched before anything is compiled, and what is compiled is uploaded in the background.
///
/// ```
/// use preheat::{Runtime, open_remote};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("file://{}", folder.path().display());
/// // For example "s3://bucket/prefix", or "https://cache.example/preheat", which is only read.
/// let remote = open_remote(&url)?;
/// let builder = Runtime::builder().cache_dir(folder.path().join("cache")).cache_remote(remote);
/// for exchanged in builder.open_cache()?.pull(|_| true, || true)? {
///     println!("{} objects from {}", exchanged.objects, exchanged.remote);
/// }
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "remote")]
pub use preheat_remote::open_remote;
