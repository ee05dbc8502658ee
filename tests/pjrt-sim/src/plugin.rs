//! How did the environment set up the plugin of this process, and what does the plugin record about
//! the handles that callers hold?
//!
//! Every handle that a caller holds is one of the real plugin's handles. What a pose adds is kept
//! in a map, by the handle's address. So the functions that are not overridden, including those of
//! extensions, work with every handle.
#![expect(unsafe_code, reason = "calls the real plugin and builds arrays of C structs")]

use std::collections::HashMap;
use std::ptr;
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use preheat_pjrt::sys::{
    Api, Args, Client, ClientCreateArgs, ClientDevicesArgs, ClientTopologyDescriptionArgs,
    DeviceDescription, DeviceDescriptionIdArgs, DeviceGetDescriptionArgs, ErrorCode, Event,
    LoadedExecutable, NamedValue, NamedValueType, NamedValueUnion, TopologyDescription,
    TopologyDescriptionGetDeviceDescriptionsArgs,
};

use crate::Table;
use crate::config::{Config, ConfigError, PREFIX};
use crate::fault::Stage;
use crate::forward::{Raised, Real, UnknownFunction};
use crate::log::{Log, Origin};
use crate::pose::{self, Attribute, Topology, Value};
use crate::{abi_version, identity, work};

/// The parsed environment and the open log.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub config: Config,
    pub stage: Stage,
    /// What a live client of this process poses as.
    pub pose: Option<&'static Guise>,
}

impl Plugin {
    /// The memory limit of each device; `None` if there is no pose, or if the pose has no limit.
    pub fn memory_limit(&self) -> Option<i64> {
        self.pose?.topology.devices.first()?.memory_limit()
    }
}

static PLUGIN: OnceLock<Result<Plugin, String>> = OnceLock::new();

/// The plugin of this process.
///
/// # Errors
/// The reason why it cannot work.
pub(crate) fn plugin() -> Result<&'static Plugin, Raised> {
    match PLUGIN.get() {
        Some(Ok(plugin)) => Ok(plugin),
        Some(Err(reason)) => {
            Err(Raised::ours(ErrorCode::INVALID_ARGUMENT, format!("pjrt-sim: {reason}")))
        }
        None => {
            Err(Raised::ours(ErrorCode::FAILED_PRECONDITION, "pjrt-sim: GetPjrtApi was not called"))
        }
    }
}

/// Reads the environment once and makes the function table.
pub(crate) fn table() -> *const Api {
    static TABLE: OnceLock<usize> = OnceLock::new();
    let address = TABLE.get_or_init(|| {
        let table = match make_table() {
            Ok(table) => table,
            Err(reason) => {
                let _ = PLUGIN.set(Err(reason));
                let mut table = Table::new(None);
                work::override_initialize(&mut table);
                table
            }
        };
        table.leak() as usize
    });
    *address as *const Api
}

fn make_table() -> Result<Table, String> {
    let config = Config::read(std::env::vars_os()).map_err(|error| error.to_string())?;
    let real =
        Real::open(&config.plugin, None).map_err(|error| format!("{PREFIX}PLUGIN: {error}"))?;
    let log = Log::open(config.log.as_deref()).map_err(|error| format!("{PREFIX}LOG: {error}"))?;
    let mut table = Table::new(Some(real));
    work::override_all(&mut table);
    identity::override_all(&mut table, config.pose.is_some());
    table.extend(|next| abi_version::extension(&config, next));
    shape(&mut table, &config).map_err(|error| error.to_string())?;
    let pose = config.pose.as_deref().and_then(pose::find);
    let pose = pose.map(|captured| Guise::of(&pose::overridden(captured, &config.overrides)));
    let error_code = config.error_code.map_or(ErrorCode::INTERNAL, ErrorCode);
    let stage = Stage { rules: config.rules.clone(), error_code, log };
    let _ = PLUGIN.set(Ok(Plugin { config, stage, pose }));
    Ok(table)
}

/// Changes the function table as the environment says: functions that are unimplemented or absent,
/// the end of the table, and its version.
fn shape(table: &mut Table, config: &Config) -> Result<(), ConfigError> {
    let unknown = |variable: &str| {
        let variable = format!("{PREFIX}{variable}");
        move |error: UnknownFunction| ConfigError {
            variable,
            value: error.0.clone(),
            reason: error.to_string(),
        }
    };
    config
        .unimplemented
        .iter()
        .try_for_each(|name| table.unimplement(name))
        .map_err(unknown("UNIMPLEMENTED"))?;
    config.absent.iter().try_for_each(|name| table.remove(name)).map_err(unknown("ABSENT"))?;
    config
        .table_end
        .iter()
        .try_for_each(|name| table.end_after(name))
        .map_err(unknown("TABLE_END"))?;
    if let Some((major, minor)) = config.api_version {
        table.claim_version(major, minor);
    }
    Ok(())
}

/// The TPU topology that a client or a named topology poses as. Its data have the form in which
/// callers receive them, and live as long as the process.
#[derive(Debug)]
pub(crate) struct Guise {
    pub topology: &'static Topology,
    pub serialized: Vec<u8>,
    pub attributes: Attributes,
    /// The attributes of each device, in the order of `topology.devices`.
    device_attributes: Vec<Attributes>,
}

impl Guise {
    pub fn of(topology: &Topology) -> &'static Self {
        let topology: &'static Topology = Box::leak(Box::new(topology.clone()));
        Box::leak(Box::new(Self {
            topology,
            serialized: topology.serialized_bytes(),
            attributes: Attributes::of(&topology.attributes),
            device_attributes: topology
                .devices
                .iter()
                .map(|device| Attributes::of(&device.attributes))
                .collect(),
        }))
    }

    /// The device with this id and its attributes.
    pub fn device(&'static self, id: i32) -> Option<(&'static pose::Device, &'static Attributes)> {
        self.topology
            .devices
            .iter()
            .zip(&self.device_attributes)
            .find(|(device, _)| device.id == id)
    }

    /// The mark on an executable that was compiled for this platform.
    pub fn stamp(&self) -> String {
        let kind = self.topology.devices.first().map_or("", |device| device.kind.as_str());
        let version = self.topology.platform_version.replace('\n', " ");
        let devices = self.topology.devices.len();
        format!(
            "{} {kind}, {version}, {devices} devices, {}",
            self.topology.platform_name, self.topology.serialized
        )
    }
}

/// An array of named values for callers.
#[derive(Debug)]
pub(crate) struct Attributes(Box<[Named]>);

/// A named value whose pointers refer to data that lives as long as the process.
#[repr(transparent)]
struct Named(NamedValue);

// SAFETY: the pointers refer to data that is never freed and never written to.
unsafe impl Send for Named {}
// SAFETY: as above.
unsafe impl Sync for Named {}

impl std::fmt::Debug for Named {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Named").finish_non_exhaustive()
    }
}

impl Attributes {
    fn of(attributes: &'static [Attribute]) -> Self {
        Self(
            attributes
                .iter()
                .map(|attribute| Named(named(&attribute.name, &attribute.value)))
                .collect(),
        )
    }

    pub fn as_ptr(&self) -> *const NamedValue {
        // `Named` is `repr(transparent)`.
        self.0.as_ptr().cast()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn named(name: &str, value: &Value) -> NamedValue {
    let (r#type, value, value_size) = match value {
        Value::Integer(int64_value) => {
            (NamedValueType::INT64, NamedValueUnion { int64_value: *int64_value }, 1)
        }
        Value::Integers(list) => (
            NamedValueType::INT64_LIST,
            NamedValueUnion { int64_array_value: list.as_ptr() },
            list.len(),
        ),
        Value::Text(text) => (
            NamedValueType::STRING,
            NamedValueUnion { string_value: text.as_ptr().cast() },
            text.len(),
        ),
        Value::Float(float_value) => {
            (NamedValueType::FLOAT, NamedValueUnion { float_value: *float_value }, 1)
        }
        Value::Bool(bool_value) => {
            (NamedValueType::BOOL, NamedValueUnion { bool_value: *bool_value }, 1)
        }
    };
    NamedValue {
        name: name.as_ptr().cast(),
        name_size: name.len(),
        r#type,
        value,
        value_size,
        ..Args::new()
    }
}

/// An executable, loaded or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownExecutable {
    /// Its number in the log.
    pub id: u64,
    /// What it was compiled for; `None` without a pose.
    pub guise: Option<&'static Guise>,
    /// If the executable was compiled ahead of time, the address of the loaded executable that
    /// keeps it alive.
    pub loaded: usize,
}

/// What the plugin records about handles, by address.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// Topologies made by name. They and the clients that serve them are never freed.
    named: HashMap<String, usize>,
    /// The client of each topology.
    clients: HashMap<usize, usize>,
    topologies: HashMap<usize, &'static Guise>,
    descriptions: HashMap<usize, &'static Guise>,
    executables: HashMap<usize, KnownExecutable>,
    last_executable: u64,
    events: HashMap<usize, Origin>,
    /// Bytes of each buffer that was filled from the host, and of each executable that was
    /// deserialised. An entry stays until its handle is freed.
    memory: HashMap<usize, usize>,
}

/// Locks and returns the process's table of handles.
pub(crate) fn handles() -> MutexGuard<'static, Handles> {
    static HANDLES: LazyLock<Mutex<Handles>> = LazyLock::new(Mutex::default);
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handles {
    /// Records a new executable under a new number.
    pub fn number_executable<T>(
        &mut self,
        handle: *mut T,
        guise: Option<&'static Guise>,
        loaded: *mut LoadedExecutable,
    ) -> u64 {
        self.last_executable += 1;
        let known = KnownExecutable { id: self.last_executable, guise, loaded: loaded as usize };
        self.executables.insert(handle as usize, known);
        known.id
    }

    /// Records another handle of a known executable.
    pub fn alias_executable<T, U>(&mut self, handle: *mut T, of: *mut U) {
        if let Some(known) = self.executables.get(&(of as usize)).copied() {
            self.executables.insert(handle as usize, KnownExecutable { loaded: 0, ..known });
        }
    }

    pub fn executable<T>(&self, handle: *const T) -> Option<KnownExecutable> {
        self.executables.get(&(handle as usize)).copied()
    }

    pub fn forget_executable<T>(&mut self, handle: *const T) -> Option<KnownExecutable> {
        self.executables.remove(&(handle as usize))
    }

    pub fn remember_event(&mut self, event: *mut Event, origin: Origin) {
        if !event.is_null() {
            self.events.insert(event as usize, origin);
        }
    }

    pub fn forget_event(&mut self, event: *mut Event) {
        self.events.remove(&(event as usize));
    }

    pub fn origin(&self, event: *mut Event) -> Origin {
        self.events.get(&(event as usize)).copied().unwrap_or(Origin::Other)
    }

    /// Counts `bytes` of the device's memory as taken by this buffer or executable. Returns
    /// `false`, and counts nothing, if the sum would exceed `limit`.
    pub fn take_memory<T>(&mut self, handle: *mut T, bytes: usize, limit: Option<i64>) -> bool {
        self.memory.insert(handle as usize, bytes);
        let fits = limit.is_none_or(|limit| self.bytes_in_use() <= limit);
        if !fits {
            self.give_memory_back(handle);
        }
        fits
    }

    /// Counts what a buffer or executable took as free again.
    pub fn give_memory_back<T>(&mut self, handle: *mut T) {
        self.memory.remove(&(handle as usize));
    }

    /// Bytes of the device's memory that are taken.
    pub fn bytes_in_use(&self) -> i64 {
        i64::try_from(self.memory.values().sum::<usize>()).unwrap_or(i64::MAX)
    }

    /// What a topology poses as.
    pub fn topology(&self, topology: *const TopologyDescription) -> Option<&'static Guise> {
        self.topologies.get(&(topology as usize)).copied()
    }

    /// Whether the topology was made by name; such a topology is never freed.
    pub fn is_named(&self, topology: *const TopologyDescription) -> bool {
        self.named.values().any(|named| *named == topology as usize)
    }

    /// The client that a posed topology belongs to, or the hidden client that serves it.
    pub fn client_of(&self, topology: *const TopologyDescription) -> Option<*mut Client> {
        self.clients.get(&(topology as usize)).map(|client| *client as *mut Client)
    }

    /// Makes a client's topology and the descriptions of its devices pose as `guise`.
    pub fn disguise(
        &mut self,
        real: &'static Real,
        client: *mut Client,
        guise: &'static Guise,
    ) -> Result<usize, Raised> {
        let mut topology = ClientTopologyDescriptionArgs { client, ..Args::new() };
        // SAFETY: the client lives; so do its topology and its devices, which are used below.
        unsafe { real.call(&mut topology) }?;
        self.topologies.insert(topology.topology as usize, guise);
        self.clients.insert(topology.topology as usize, client as usize);
        let mut list = TopologyDescriptionGetDeviceDescriptionsArgs {
            topology: topology.topology,
            ..Args::new()
        };
        // SAFETY: as above.
        unsafe { real.call(&mut list) }?;
        for index in 0..list.num_descriptions {
            // SAFETY: the plugin returned an array of this length.
            let description = unsafe { list.descriptions.add(index).read() };
            self.descriptions.insert(description as usize, guise);
        }
        let mut devices = ClientDevicesArgs { client, ..Args::new() };
        // SAFETY: as above.
        unsafe { real.call(&mut devices) }?;
        for index in 0..devices.num_devices {
            // SAFETY: the plugin returned an array of this length.
            let device = unsafe { devices.devices.add(index).read() };
            let mut description = DeviceGetDescriptionArgs { device, ..Args::new() };
            // SAFETY: as above.
            unsafe { real.call(&mut description) }?;
            self.descriptions.insert(description.device_description as usize, guise);
        }
        Ok(topology.topology as usize)
    }

    /// The topology that poses as `guise`. There is one for each name; the first call for a name
    /// creates it, together with a client.
    pub fn named_topology(
        &mut self,
        real: &'static Real,
        guise: &'static Guise,
    ) -> Result<*mut TopologyDescription, Raised> {
        if let Some(topology) = self.named.get(&guise.topology.name) {
            return Ok(*topology as *mut TopologyDescription);
        }
        let options = [device_count(guise)];
        let mut create = ClientCreateArgs {
            create_options: options.as_ptr(),
            num_options: options.len(),
            ..Args::new()
        };
        // SAFETY: the option lives until the end of this function.
        unsafe { real.call(&mut create) }?;
        let topology = self.disguise(real, create.client, guise)?;
        self.named.insert(guise.topology.name.clone(), topology);
        Ok(topology as *mut TopologyDescription)
    }

    /// The posed device that a device description stands for, with its attributes; `None` if the
    /// description does not pose.
    pub fn device(
        &self,
        real: &'static Real,
        device_description: *mut DeviceDescription,
    ) -> Result<Option<(&'static pose::Device, &'static Attributes)>, Raised> {
        let Some(guise) = self.descriptions.get(&(device_description as usize)) else {
            return Ok(None);
        };
        let mut id = DeviceDescriptionIdArgs { device_description, ..Args::new() };
        // SAFETY: an address in the map is that of a description whose client was not freed;
        // otherwise the caller broke the header's rules.
        unsafe { real.call(&mut id) }?;
        Ok(guise.device(id.id))
    }
}

/// XLA:CPU's create option for the number of devices.
pub(crate) const DEVICE_COUNT: &str = "cpu_device_count";

/// The create option that gives a client as many devices as `guise` has.
pub(crate) fn device_count(guise: &Guise) -> NamedValue {
    let devices = i64::try_from(guise.topology.devices.len()).unwrap_or(i64::MAX);
    named(DEVICE_COUNT, &Value::Integer(devices))
}

/// The guise for a topology name: this process's pose if it has that name, otherwise the captured
/// topology.
pub(crate) fn guise_named(plugin: &'static Plugin, name: &str) -> Option<&'static Guise> {
    static GUISES: LazyLock<Mutex<HashMap<String, &'static Guise>>> = LazyLock::new(Mutex::default);
    let captured = pose::find(name)?;
    if let Some(pose) = plugin.pose.filter(|pose| pose.topology.name == captured.name) {
        return Some(pose);
    }
    let mut guises = GUISES.lock().unwrap_or_else(PoisonError::into_inner);
    Some(*guises.entry(captured.name.clone()).or_insert_with(|| Guise::of(captured)))
}

/// Whether an option that a caller gave is the number of devices.
pub(crate) fn is_device_count(option: &NamedValue) -> bool {
    // SAFETY: PJRT's header requires the caller to pass options with valid names.
    let name = unsafe { crate::forward::bytes(option.name, option.name_size) };
    name == DEVICE_COUNT.as_bytes()
}

/// A null pointer, for an executable that no loaded executable keeps alive.
pub(crate) fn null<T>() -> *mut T {
    ptr::null_mut()
}
