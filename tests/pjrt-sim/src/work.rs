//! Which calls are logged, and which can a fault strike? This file overrides most of them: clients,
//! compiles, executables, executions, transfers and events.
#![expect(unsafe_code, reason = "reads and answers C structs")]

use std::time::{Duration, Instant};

use preheat_pjrt::sys::{
    Args, AsyncHostToDeviceTransferManagerTransferDataArgs, BufferCopyRawToHostArgs,
    BufferDeleteArgs, BufferDestroyArgs, BufferOnDeviceSizeInBytesArgs, BufferReadyEventArgs,
    BufferToHostBufferArgs, ClientBufferFromHostBufferArgs, ClientCompileArgs, ClientCreateArgs,
    ClientDestroyArgs, ClientDevicesArgs, CompileArgs, ErrorCode, EventAwaitArgs, EventDestroyArgs,
    EventIsReadyArgs, ExecutableDeserializeAndLoadArgs, ExecutableDestroyArgs,
    ExecutableSerializeArgs, HostBufferSemantics, LoadedExecutable, LoadedExecutableDeleteArgs,
    LoadedExecutableDestroyArgs, LoadedExecutableExecuteArgs, LoadedExecutableGetExecutableArgs,
    NamedValue, PluginInitializeArgs, Program, SerializedExecutable,
};

use crate::abi_version;
use crate::fault::Place;
use crate::forward::{Incoming, Override, Raised, bytes};
use crate::log::{Event, Origin, Outcome};
use crate::plugin::{Guise, Plugin, device_count, handles, is_device_count, null, plugin};
use crate::{Simulated, Table};

/// Puts the overrides of this file into the table.
pub(crate) fn override_all(table: &mut Table) {
    override_initialize(table);
    table.set::<ClientCreateArgs>();
    table.set::<ClientCompileArgs>();
    table.set::<CompileArgs>();
    table.set::<ExecutableSerializeArgs>();
    table.set::<ExecutableDeserializeAndLoadArgs>();
    table.set::<LoadedExecutableGetExecutableArgs>();
    table.set::<LoadedExecutableExecuteArgs>();
    table.set::<LoadedExecutableDeleteArgs>();
    table.set::<LoadedExecutableDestroyArgs>();
    table.set::<ExecutableDestroyArgs>();
    table.set::<ClientBufferFromHostBufferArgs>();
    table.set::<BufferDestroyArgs>();
    table.set::<BufferDeleteArgs>();
    table.set::<AsyncHostToDeviceTransferManagerTransferDataArgs>();
    table.set::<BufferToHostBufferArgs>();
    table.set::<BufferCopyRawToHostArgs>();
    table.set::<BufferReadyEventArgs>();
    table.set::<EventAwaitArgs>();
    table.set::<EventIsReadyArgs>();
    table.set::<EventDestroyArgs>();
}

/// Overrides initialisation alone. A plugin whose environment is wrong needs only this function,
/// which returns the error.
pub(crate) fn override_initialize(table: &mut Table) {
    table.set::<PluginInitializeArgs>();
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

impl Override<Simulated> for PluginInitializeArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        plugin()?.stage.perform(Place::Initialize, |_| Event::Initialize, |_| call.forward())
    }
}

impl Override<Simulated> for ClientCreateArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let event =
            |devices: Option<&usize>| Event::Client { devices: devices.copied().unwrap_or(0) };
        let created =
            plugin.stage.perform(Place::Client, event, |_| create_client(plugin, &mut call));
        created.map(drop)
    }
}

/// Creates a client with as many devices as the pose has, and returns how many it has.
fn create_client(
    plugin: &'static Plugin,
    call: &mut Incoming<'_, ClientCreateArgs>,
) -> Result<usize, Raised> {
    let real = call.real()?;
    match plugin.pose {
        None => call.forward()?,
        Some(pose) => {
            let processes = pose.topology.processes();
            if processes > 1 {
                let message = format!(
                    "pjrt-sim: {} spans {processes} hosts; a live client has one",
                    pose.topology.name
                );
                return Err(Raised::ours(ErrorCode::UNAVAILABLE, message));
            }
            let (given, count) = (call.args().create_options, call.args().num_options);
            // SAFETY: PJRT's header requires the caller to pass an array of `count` options.
            let given_options = (0..count).map(|index| unsafe { given.add(index).read() });
            let mut options: Vec<NamedValue> =
                given_options.filter(|option| !is_device_count(option)).collect();
            options.push(device_count(pose));
            {
                // SAFETY: the options outlive the call below, and the caller's own options are
                // restored after it.
                let args = unsafe { call.args_mut() };
                (args.create_options, args.num_options) = (options.as_ptr(), options.len());
            }
            let created = call.forward();
            // SAFETY: these are the caller's own.
            let args = unsafe { call.args_mut() };
            (args.create_options, args.num_options) = (given, count);
            created?;
            let client = args.client;
            if let Err(raised) = handles().disguise(real, client, pose) {
                // SAFETY: the client was made above, and the caller never receives it.
                let _ = unsafe { real.call(&mut ClientDestroyArgs { client, ..Args::new() }) };
                return Err(raised);
            }
        }
    }
    let mut devices = ClientDevicesArgs { client: call.args().client, ..Args::new() };
    // SAFETY: the client was just made.
    unsafe { real.call(&mut devices) }?;
    Ok(devices.num_devices)
}

/// The arguments of a compile, in the form that the log uses.
struct Request {
    format: String,
    program_blake3: String,
    program_bytes: usize,
    options_blake3: String,
    client_less: bool,
}

impl Request {
    /// # Safety
    ///
    /// `program` and `options` are the arguments of a compile that has not returned.
    unsafe fn of(program: *const Program, options: &[u8], client_less: bool) -> Self {
        // SAFETY: PJRT's header requires the caller of a compile to pass a valid program.
        let program = unsafe { &*program };
        // SAFETY: as above.
        let (code, format) = unsafe {
            (bytes(program.code, program.code_size), bytes(program.format, program.format_size))
        };
        Self {
            format: String::from_utf8_lossy(format).into_owned(),
            program_blake3: digest(code),
            program_bytes: code.len(),
            options_blake3: digest(options),
            client_less,
        }
    }

    fn event(&self, executable: Option<&u64>) -> Event {
        Event::Compile {
            format: self.format.clone(),
            program_blake3: self.program_blake3.clone(),
            program_bytes: self.program_bytes,
            options_blake3: self.options_blake3.clone(),
            client_less: self.client_less,
            executable: executable.copied(),
        }
    }
}

impl Override<Simulated> for ClientCompileArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let args = call.args();
        // SAFETY: both are the arguments of this compile.
        let request = unsafe {
            Request::of(args.program, bytes(args.compile_options, args.compile_options_size), false)
        };
        let compiled = plugin.stage.perform(
            Place::Compile,
            |executable| request.event(executable),
            |_| {
                call.forward()?;
                Ok(handles().number_executable(call.args().executable, plugin.pose, null()))
            },
        );
        compiled.map(drop)
    }
}

impl Override<Simulated> for CompileArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let args = call.args();
        // SAFETY: both are the arguments of this compile.
        let request = unsafe {
            Request::of(args.program, bytes(args.compile_options, args.compile_options_size), true)
        };
        let compiled = plugin.stage.perform(
            Place::Compile,
            |executable| request.event(executable),
            |_| compile_ahead(&mut call),
        );
        compiled.map(drop)
    }
}

/// Compiles without a client. For a posed topology, uses the client that the topology belongs to;
/// otherwise leaves the call to the real plugin.
fn compile_ahead(call: &mut Incoming<'_, CompileArgs>) -> Result<u64, Raised> {
    let real = call.real()?;
    let (guise, client) = {
        let handles = handles();
        (handles.topology(call.args().topology), handles.client_of(call.args().topology))
    };
    let (Some(guise), Some(client)) = (guise, client) else {
        call.forward()?;
        return Ok(handles().number_executable(call.args().executable, None, null()));
    };
    let args = call.args();
    let mut compile = ClientCompileArgs {
        client,
        program: args.program,
        compile_options: args.compile_options,
        compile_options_size: args.compile_options_size,
        ..Args::new()
    };
    // SAFETY: a topology does not outlive the client that it belongs to or that serves it; the
    // caller vouches for the rest.
    unsafe { real.call(&mut compile) }?;
    let mut unloaded =
        LoadedExecutableGetExecutableArgs { loaded_executable: compile.executable, ..Args::new() };
    // SAFETY: the executable was just compiled.
    if let Err(raised) = unsafe { real.call(&mut unloaded) } {
        destroy_loaded(real, compile.executable);
        return Err(raised);
    }
    // SAFETY: only the result of the call is filled in.
    unsafe { call.args_mut() }.executable = unloaded.executable;
    Ok(handles().number_executable(unloaded.executable, Some(guise), compile.executable))
}

fn destroy_loaded(real: &'static crate::forward::Real, executable: *mut LoadedExecutable) {
    // SAFETY: every caller owns the executable and drops its last handle of it here.
    let _ = unsafe { real.call(&mut LoadedExecutableDestroyArgs { executable, ..Args::new() }) };
}

impl Override<Simulated> for LoadedExecutableGetExecutableArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        call.forward()?;
        handles().alias_executable(call.args().executable, call.args().loaded_executable);
        Ok(())
    }
}

impl Override<Simulated> for ExecutableDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let known = handles().forget_executable(call.args().executable);
        call.forward()?;
        if let Some(known) = known.filter(|known| known.loaded != 0) {
            destroy_loaded(call.real()?, known.loaded as *mut LoadedExecutable);
        }
        Ok(())
    }
}

impl Override<Simulated> for LoadedExecutableDeleteArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let executable = handles().executable(call.args().executable).map(|known| known.id);
        call.forward()?;
        plugin()?.stage.log.write(Event::Unload { executable }, Outcome::Ok, Duration::ZERO);
        Ok(())
    }
}

impl Override<Simulated> for LoadedExecutableDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let executable = {
            let mut handles = handles();
            handles.give_memory_back(call.args().executable);
            handles.forget_executable(call.args().executable).map(|known| known.id)
        };
        call.forward()?;
        plugin()?.stage.log.write(Event::Unload { executable }, Outcome::Ok, Duration::ZERO);
        Ok(())
    }
}

/// The start of a serialised executable under a pose. After it come the stamp's size in four bytes,
/// the stamp, and the executable.
const STAMPED: &[u8; 8] = b"PJRTSIM1";

/// What an executable was compiled for, and, on a second line, its ABI version if there is one.
fn stamp(plugin: &Plugin, guise: &Guise) -> String {
    let version = abi_version::version_for(&plugin.config, Some(guise));
    std::iter::once(guise.stamp()).chain(version).collect::<Vec<_>>().join("\n")
}

fn stamped(plugin: &Plugin, guise: &Guise, executable: &[u8]) -> Vec<u8> {
    let stamp = stamp(plugin, guise);
    let size = u32::try_from(stamp.len()).unwrap_or(u32::MAX).to_le_bytes();
    [STAMPED.as_slice(), size.as_slice(), stamp.as_bytes(), executable].concat()
}

/// The executable behind the stamp, if the stamp is the one that this platform writes, or if the
/// runtime accepts its ABI version.
fn unstamped<'a>(plugin: &Plugin, guise: &Guise, bytes: &'a [u8]) -> Result<&'a [u8], Raised> {
    let parts = bytes.strip_prefix(STAMPED).and_then(|rest| {
        let (size, rest) = rest.split_at_checked(4)?;
        rest.split_at_checked(u32::from_le_bytes(size.try_into().ok()?) as usize)
    });
    let Some((stamp, executable)) = parts else {
        return Err(Raised::ours(
            ErrorCode::INVALID_ARGUMENT,
            "pjrt-sim: these bytes are no executable of a posed TPU",
        ));
    };
    let (stamp, own) = (String::from_utf8_lossy(stamp), self::stamp(plugin, guise));
    let version = |stamp: &str| stamp.split_once('\n').map(|(_, version)| version.to_owned());
    let refusal = match (version(&own), version(&stamp)) {
        (Some(runtime), Some(executable)) => {
            abi_version::refusal(&plugin.config, &runtime, &executable)
        }
        _ => (stamp != own).then(|| format!("pjrt-sim: compiled for `{stamp}`, this is `{own}`")),
    };
    refusal.map_or(Ok(executable), |refusal| {
        Err(Raised::ours(ErrorCode::FAILED_PRECONDITION, refusal))
    })
}

/// Frees the bytes that the override of [`ExecutableSerializeArgs`] returns.
unsafe extern "C" fn free_executable(serialized: *mut SerializedExecutable) {
    // SAFETY: the caller passes back, once, the pointer that `serve` below made.
    drop(unsafe { Box::from_raw(serialized.cast::<Vec<u8>>()) });
}

impl Override<Simulated> for ExecutableSerializeArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let known = handles().executable(call.args().executable);
        let serialized = plugin.stage.perform(
            Place::Serialize,
            |serialized: Option<&(usize, String, Option<Vec<u8>>)>| Event::Serialize {
                executable: known.map(|known| known.id),
                blake3: serialized.map(|(_, digest, _)| digest.clone()),
                bytes: serialized.map_or(0, |(size, _, _)| *size),
            },
            |_| {
                call.forward()?;
                let args = call.args();
                // SAFETY: the call above returned this many bytes.
                let real = unsafe { bytes(args.serialized_bytes, args.serialized_bytes_size) };
                let Some(guise) = known.and_then(|known| known.guise) else {
                    return Ok((real.len(), digest(real), None));
                };
                let stamped = stamped(plugin, guise, real);
                if let Some(free) = args.serialized_executable_deleter {
                    // SAFETY: the plugin requires exactly this call when the bytes are no longer
                    // used.
                    unsafe { free(args.serialized_executable) };
                }
                Ok((stamped.len(), digest(&stamped), Some(stamped)))
            },
        )?;
        if let Some(stamped) = serialized.2 {
            call.answer(|args| {
                let stamped = Box::new(stamped);
                (args.serialized_bytes, args.serialized_bytes_size) =
                    (stamped.as_ptr().cast(), stamped.len());
                args.serialized_executable = Box::into_raw(stamped).cast();
                args.serialized_executable_deleter = Some(free_executable);
            });
        }
        Ok(())
    }
}

impl Override<Simulated> for ExecutableDeserializeAndLoadArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let (pointer, size) =
            (call.args().serialized_executable, call.args().serialized_executable_size);
        // SAFETY: PJRT's header requires the caller to pass this many bytes.
        let given = unsafe { bytes(pointer, size) };
        let blake3 = digest(given);
        let loaded = plugin.stage.perform(
            Place::Deserialize,
            |executable: Option<&u64>| Event::Deserialize {
                blake3: blake3.clone(),
                bytes: given.len(),
                executable: executable.copied(),
            },
            |corrupt| {
                let plain = plugin.pose.map_or(Ok(given), |pose| unstamped(plugin, pose, given))?;
                let damaged = corrupt.then(|| damaged(plain));
                let plain = damaged.as_deref().unwrap_or(plain);
                {
                    // SAFETY: the bytes outlive the call below, and the caller's own bytes are
                    // restored after it.
                    let args = unsafe { call.args_mut() };
                    (args.serialized_executable, args.serialized_executable_size) =
                        (plain.as_ptr().cast(), plain.len());
                }
                let loaded = call.forward();
                // SAFETY: these are the caller's own.
                let args = unsafe { call.args_mut() };
                (args.serialized_executable, args.serialized_executable_size) = (pointer, size);
                loaded?;
                let executable = args.loaded_executable;
                if !handles().take_memory(executable, given.len(), plugin.memory_limit()) {
                    destroy_loaded(call.real()?, executable);
                    return Err(no_memory(given.len()));
                }
                Ok(handles().number_executable(executable, plugin.pose, null()))
            },
        );
        loaded.map(drop)
    }
}

/// A copy in which bits of every 97th byte are flipped, beginning with the first byte.
fn damaged(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .enumerate()
        .map(|(index, byte)| if index % 97 == 0 { byte ^ 0x55 } else { *byte })
        .collect()
}

impl Override<Simulated> for LoadedExecutableExecuteArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let executable = handles().executable(call.args().executable).map(|known| known.id);
        let (arguments, devices) = (call.args().num_args, call.args().num_devices);
        let event = |_: Option<&()>| Event::Execute { executable, arguments, devices };
        plugin.stage.perform(Place::Execute, event, |_| call.forward())?;
        let events = call.args().device_complete_events;
        if !events.is_null() {
            let mut handles = handles();
            for index in 0..devices {
                // SAFETY: if the array is given, PJRT's header requires one event per device in it,
                // and the call filled it in.
                handles.remember_event(unsafe { events.add(index).read() }, Origin::Execute);
            }
        }
        Ok(())
    }
}

impl Override<Simulated> for ClientBufferFromHostBufferArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let real = call.real()?;
        let event =
            |bytes: Option<&usize>| Event::HostToDevice { bytes: bytes.copied().unwrap_or(0) };
        plugin.stage.perform(Place::HostToDevice, event, |_| {
            let semantics = call.args().host_buffer_semantics;
            let zero_copy =
                [HostBufferSemantics::IMMUTABLE_ZERO_COPY, HostBufferSemantics::MUTABLE_ZERO_COPY];
            if plugin.pose.is_some() && zero_copy.contains(&semantics) {
                // SAFETY: these semantics require less than what the caller guarantees.
                unsafe { call.args_mut() }.host_buffer_semantics =
                    HostBufferSemantics::IMMUTABLE_UNTIL_TRANSFER_COMPLETES;
            }
            let made = call.forward();
            // SAFETY: this is the value that the caller gave.
            unsafe { call.args_mut() }.host_buffer_semantics = semantics;
            made?;
            handles().remember_event(call.args().done_with_host_buffer, Origin::HostToDevice);
            let mut size =
                BufferOnDeviceSizeInBytesArgs { buffer: call.args().buffer, ..Args::new() };
            // SAFETY: the buffer was just made. A plugin that cannot tell its size leaves the size
            // at 0.
            let _ = unsafe { real.call(&mut size) };
            let (buffer, bytes) = (call.args().buffer, size.on_device_size_in_bytes);
            if handles().take_memory(buffer, bytes, plugin.memory_limit()) {
                return Ok(bytes);
            }
            // SAFETY: the buffer was just made, and the caller gets an error in place of it.
            let _ = unsafe { real.call(&mut BufferDestroyArgs { buffer, ..Args::new() }) };
            Err(no_memory(bytes))
        })?;
        Ok(())
    }
}

/// The error of a device that has too little memory left.
fn no_memory(bytes: usize) -> Raised {
    let in_use = handles().bytes_in_use();
    let message = format!("pjrt-sim: no memory for {bytes} bytes beside the {in_use} in use");
    Raised::ours(ErrorCode::RESOURCE_EXHAUSTED, message)
}

impl Override<Simulated> for BufferDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        handles().give_memory_back(call.args().buffer);
        call.forward()
    }
}

impl Override<Simulated> for BufferDeleteArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        handles().give_memory_back(call.args().buffer);
        call.forward()
    }
}

impl Override<Simulated> for AsyncHostToDeviceTransferManagerTransferDataArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let bytes = usize::try_from(call.args().transfer_size).unwrap_or(0);
        let event = |_: Option<&()>| Event::HostToDevice { bytes };
        plugin()?.stage.perform(Place::HostToDevice, event, |_| call.forward())?;
        handles().remember_event(call.args().done_with_h2d_transfer, Origin::HostToDevice);
        Ok(())
    }
}

impl Override<Simulated> for BufferToHostBufferArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        if call.args().dst.is_null() {
            // Without a destination, the caller only gets the size.
            return call.forward();
        }
        let bytes = call.args().dst_size;
        let event = |_: Option<&()>| Event::DeviceToHost { bytes };
        plugin()?.stage.perform(Place::DeviceToHost, event, |_| call.forward())?;
        handles().remember_event(call.args().event, Origin::DeviceToHost);
        Ok(())
    }
}

impl Override<Simulated> for BufferCopyRawToHostArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let bytes = usize::try_from(call.args().transfer_size).unwrap_or(0);
        let event = |_: Option<&()>| Event::DeviceToHost { bytes };
        plugin()?.stage.perform(Place::DeviceToHost, event, |_| call.forward())?;
        handles().remember_event(call.args().event, Origin::DeviceToHost);
        Ok(())
    }
}

impl Override<Simulated> for BufferReadyEventArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        call.forward()?;
        handles().remember_event(call.args().event, Origin::BufferReady);
        Ok(())
    }
}

impl Override<Simulated> for EventAwaitArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let begun = Instant::now();
        let of = handles().origin(call.args().event);
        let waited = call.forward();
        let outcome = match &waited {
            Ok(()) => Outcome::Ok,
            Err(raised) => {
                let (code, message) = raised.describe();
                Outcome::Error { code: code.0, message, injected: false }
            }
        };
        plugin()?.stage.log.write(Event::Await { of }, outcome, begun.elapsed());
        waited
    }
}

impl Override<Simulated> for EventIsReadyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let of = handles().origin(call.args().event);
        call.forward()?;
        let ready = call.args().is_ready;
        plugin()?.stage.log.write(Event::Poll { of, ready }, Outcome::Ok, Duration::ZERO);
        Ok(())
    }
}

impl Override<Simulated> for EventDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        handles().forget_event(call.args().event);
        call.forward()
    }
}
