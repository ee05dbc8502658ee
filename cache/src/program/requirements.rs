//! On how many devices does a program have to run, and what else does it require of them?
//!
//! A plugin does not read what a module declares. It compiles for as many replicas and partitions
//! as the compile options say. If these say one, the plugin drops shardings and collective
//! operations. So the program has to be read before its compile options are made.
//!
//! | form | replicas and partitions | devices that are named | layouts | transfers |
//! |---|---|---|---|---|
//! | text | `mhlo.num_replicas`, `mhlo.num_partitions` | groups of collectives, shardings, Shardy's meshes | `mhlo.layout_mode` | names of operations |
//! | bytecode | the same | the same, Shardy's meshes only if they are text | the same | the same |
//! | `HloModuleProto` | `device_assignment` | the same | `arg_layout_modes`, `out_layout_modes` | opcodes |
//!
//! A part that is not understood counts as a need for more than one device. At worst, such a
//! program is refused with an error that says so.

use memchr::memmem;

use super::bytecode::{Bytecode, Operation};
use super::{Program, ProgramFormat, bytecode, text};

mod hlo;

/// What a program requires of the devices that run it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirements {
    /// Copies of the program that run side by side; 1 if the program declares none.
    pub replicas: u32,
    /// Parts that each copy is split into; 1 if the program declares none.
    pub partitions: u32,
    /// The part of the program that needs the most devices, and how many it needs; `None` if no
    /// part needs more than one.
    pub named: Option<NamedDevices>,
    /// Whether the program's partitioning is given by Shardy's attributes instead of the older
    /// annotations of GSPMD.
    pub uses_shardy: bool,
    /// The name of an operation that waits for the host to send or receive something while the
    /// program runs.
    pub host_transfer: Option<&'static str>,
    /// A layout of an input or an output that is not row-major.
    pub layout: Option<String>,
}

/// The devices that some part of a program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedDevices {
    /// The program needs at least this many devices; 2 if this release cannot read their number.
    pub at_least: u64,
    /// What names the devices, such as `replica_groups`.
    pub by: &'static str,
}

/// The reasons why a program's requirements cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequirementsError {
    /// The program does not follow its format, or follows a newer version of it.
    #[error("the {0} cannot be read: it is damaged, or newer than this release of preheat")]
    Unreadable(&'static str),
    /// A number of replicas or partitions is not valid.
    #[error(
        "`{0}` must be a whole number from 1 to 65536, written literally in the module's attributes"
    )]
    NotACount(&'static str),
}

/// More replicas or partitions than this are not accepted; no machine has as many.
const MOST_DEVICES: u64 = 1 << 16;

const REPLICAS: &str = "mhlo.num_replicas";
const PARTITIONS: &str = "mhlo.num_partitions";
const SHARDINGS: [&str; 2] = ["mhlo.sharding", "mhlo.spmd_output_sharding"];
const LAYOUT: &str = "mhlo.layout_mode";
const GROUPS: [&str; 2] = ["replica_groups", "source_target_pairs"];
const SHARDING: &str = "a sharding";
const MESH: &str = "a mesh of Shardy's";

/// Operations over several devices, as StableHLO spells them, without their dialect's name.
const COLLECTIVES: [&str; 7] = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "collective_broadcast",
    "collective_permute",
    "cross-replica-sum",
    "reduce_scatter",
];

/// Operations that wait for the host, or for a device that no attribute names.
const TRANSFERS: [&str; 4] = ["infeed", "outfeed", "send", "recv"];

/// What a program for one device requires.
const ONE_DEVICE: Requirements = Requirements {
    replicas: 1,
    partitions: 1,
    named: None,
    uses_shardy: false,
    host_transfer: None,
    layout: None,
};

impl Requirements {
    /// The number of devices that the program is written for.
    pub fn devices(&self) -> u64 {
        u64::from(self.replicas) * u64::from(self.partitions)
    }

    /// Reads the requirements of a program.
    pub(super) fn of(program: &Program) -> Result<Self, RequirementsError> {
        let bytes = program.bytes();
        let mut findings = Findings::default();
        match program.format() {
            ProgramFormat::Graph => return Ok(ONE_DEVICE),
            ProgramFormat::Hlo => {
                hlo::read(bytes, &mut findings)
                    .ok_or(RequirementsError::Unreadable("serialised HloModuleProto"))?;
            }
            ProgramFormat::Mlir if bytes.starts_with(bytecode::MAGIC) => {
                of_bytecode(bytes, &mut findings)
                    .ok_or(RequirementsError::Unreadable("MLIR bytecode"))?;
            }
            ProgramFormat::Mlir => of_text(bytes, &mut findings),
        }
        findings.done()
    }
}

/// What was found in the program so far.
#[derive(Default)]
pub(super) struct Findings {
    replicas: Option<u64>,
    partitions: Option<u64>,
    named: Option<NamedDevices>,
    uses_shardy: bool,
    host_transfer: Option<&'static str>,
    layout: Option<String>,
}

impl Findings {
    /// Notes a declared number of replicas; the largest one counts. Pass `None` if the number could
    /// not be read.
    pub(super) fn replicas(&mut self, count: Option<u64>) {
        self.replicas = self.replicas.max(Some(count.unwrap_or(u64::MAX)));
    }

    /// Notes a declared number of partitions, as [`Self::replicas`] does for replicas.
    pub(super) fn partitions(&mut self, count: Option<u64>) {
        self.partitions = self.partitions.max(Some(count.unwrap_or(u64::MAX)));
    }

    /// Notes that a part of the program needs at least this many devices.
    pub(super) fn named(&mut self, at_least: u64, by: &'static str) {
        if at_least > self.named.map_or(1, |named| named.at_least) {
            self.named = Some(NamedDevices { at_least, by });
        }
    }

    /// Notes the device numbers of a collective operation. Pass `None` if they could not be read. A
    /// negative number marks a gap in a group.
    pub(super) fn group(&mut self, ids: Option<impl IntoIterator<Item = i64>>, by: &'static str) {
        let highest =
            ids.map_or(Some(1), |ids| ids.into_iter().max()).and_then(|id| u64::try_from(id).ok());
        self.named(highest.map_or(0, |id| id.saturating_add(1)), by);
    }

    /// Notes an operation by its name, without its dialect's name.
    pub(super) fn operation(&mut self, name: &str) {
        if let Some(transfer) = TRANSFERS.into_iter().find(|transfer| *transfer == name) {
            self.host_transfer = Some(transfer);
        }
    }

    /// Notes the layout of an input or an output. Pass `None` if it could not be read.
    pub(super) fn layout(&mut self, layout: Option<&[u8]>) {
        match layout {
            Some(b"" | b"default") => {}
            Some(layout) => self.layout = Some(String::from_utf8_lossy(layout).into_owned()),
            None => self.layout = Some("one that is not understood".to_owned()),
        }
    }

    /// Notes that Shardy's attributes are there.
    pub(super) fn shardy(&mut self) {
        self.uses_shardy = true;
    }

    /// Notes a sharding that is given as a string. The string is a text in braces, or a serialised
    /// `OpSharding`, as TensorFlow writes it.
    fn sharding(&mut self, sharding: Option<&[u8]>) {
        let is_text = sharding.is_some_and(|sharding| sharding.starts_with(b"{"));
        // Shardings in text are found by `shardings`, wherever they are.
        if !is_text && sharding.and_then(|sharding| hlo::sharding(sharding, self)).is_none() {
            self.named(2, SHARDING);
        }
    }

    /// Notes shardings and meshes that are written as text anywhere in `bytes`, except at places
    /// where `is_left_out` is true.
    pub(super) fn shardings(&mut self, bytes: &[u8], is_left_out: impl Fn(usize) -> bool) {
        for at in memmem::find_iter(bytes, b"devices=[").filter(|at| !is_left_out(*at)) {
            self.named(product(&bytes[at + 9..], b']'), SHARDING);
        }
        for at in memmem::find_iter(bytes, b"maximal device=").filter(|at| !is_left_out(*at)) {
            self.named(digits(&bytes[at + 15..]).map_or(2, |id| id.saturating_add(1)), SHARDING);
        }
        for at in memmem::find_iter(bytes, b"sdy.mesh").filter(|at| !is_left_out(*at)) {
            // The text is `sdy.mesh @mesh = <["x"=2, "y"=4]>`, or `#sdy.mesh<["x"=2]>` in the place
            // of an attribute.
            let rest = &bytes[at..bytes.len().min(at + 4096)];
            if let Some(axes) = memmem::find(rest, b"<[") {
                self.named(product(&rest[axes + 2..], b']'), MESH);
            }
        }
    }

    fn done(self) -> Result<Requirements, RequirementsError> {
        let count = |declared: Option<u64>, name| {
            let count =
                Some(declared.unwrap_or(1)).filter(|count| (1..=MOST_DEVICES).contains(count));
            count
                .and_then(|count| u32::try_from(count).ok())
                .ok_or(RequirementsError::NotACount(name))
        };
        Ok(Requirements {
            replicas: count(self.replicas, REPLICAS)?,
            partitions: count(self.partitions, PARTITIONS)?,
            named: self.named,
            uses_shardy: self.uses_shardy,
            host_transfer: self.host_transfer,
            layout: self.layout,
        })
    }
}

fn of_text(bytes: &[u8], findings: &mut Findings) {
    let is_left_out = |at: usize| text::is_in_comment(bytes, at);
    let values = |name: &str| -> Vec<&[u8]> {
        let found = memmem::find_iter(bytes, name.as_bytes()).filter(|at| !is_left_out(*at));
        found.filter_map(|at| text::value(bytes, at, name.len())).collect()
    };
    for value in values(REPLICAS) {
        findings.replicas(digits(value));
    }
    for value in values(PARTITIONS) {
        findings.partitions(digits(value));
    }
    for name in GROUPS {
        for value in values(name) {
            findings.group(text::integers(value), name);
        }
    }
    for value in values(LAYOUT) {
        findings.layout(text::string(value).as_deref());
    }
    for value in SHARDINGS.into_iter().flat_map(values) {
        findings.sharding(text::string(value).as_deref());
    }
    for (dialect, transfer) in
        [b"stablehlo.".as_slice(), b"mhlo."].into_iter().flat_map(|d| TRANSFERS.map(|t| (d, t)))
    {
        let name = [dialect, transfer.as_bytes()].concat();
        if memmem::find_iter(bytes, &name)
            .any(|at| !is_left_out(at) && text::is_whole_word(bytes, at, name.len()))
        {
            findings.operation(transfer);
        }
    }
    findings.shardings(bytes, is_left_out);
    // Locations and comments are not part of the key, so their words must not change what is
    // compiled.
    if memmem::find_iter(bytes, b"sdy.mesh").any(|at| text::is_code(bytes, at)) {
        findings.shardy();
    }
}

fn of_bytecode(bytes: &[u8], findings: &mut Findings) -> Option<()> {
    let file = Bytecode::read(bytes)?;
    for (name, value) in file.entries() {
        let count = || file.integer(value).and_then(|count| u64::try_from(count).ok());
        match name {
            REPLICAS => findings.replicas(count()),
            PARTITIONS => findings.partitions(count()),
            LAYOUT => findings.layout(file.string(value)),
            _ if SHARDINGS.contains(&name) => findings.sharding(file.string(value)),
            _ => {}
        }
    }
    for string in &file.strings {
        findings.shardings(string, |_| false);
    }
    if findings.partitions.is_none()
        && file.operations.iter().any(|operation| operation.dialect == "sdy")
    {
        findings.named(2, MESH);
    }
    let names_meshes = |string: &&[u8]| memmem::find(string, b"xla.sdy.meshes").is_some();
    if file.operations.iter().any(|operation| operation.dialect == "sdy")
        || file.strings.iter().any(names_meshes)
    {
        findings.shardy();
    }
    for operation in &file.operations {
        findings.operation(without_version(operation.name));
    }
    let is_collective = |name| COLLECTIVES.contains(&without_version(name));
    if file.operations.iter().any(|operation| is_collective(operation.name)) {
        file.visit(&mut |operation| {
            if is_collective(operation.name.name) {
                findings.group(group(&file, operation), "a collective operation");
            }
        })?;
    }
    Some(())
}

/// The device numbers of a collective operation: they are its only attribute that is an array of
/// numbers.
fn group(file: &Bytecode<'_>, operation: &Operation<'_>) -> Option<Vec<i64>> {
    let entries =
        operation.attributes.and_then(|attributes| file.dictionary(attributes)).unwrap_or_default();
    // Other dialects than VHLO each write the properties of an operation in their own way.
    let properties =
        operation.properties.iter().flatten().filter(|_| operation.name.dialect == "vhlo");
    let mut values = entries.iter().map(|(_, value)| value).chain(properties);
    values.find_map(|value| file.integers(*value))
}

/// The name of one of VHLO's operations without the version at its end, such as `_v1`.
fn without_version(name: &str) -> &str {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    stem.strip_suffix("_v").unwrap_or(name)
}

/// The whole number that a text starts with.
fn digits(text: &[u8]) -> Option<u64> {
    let end = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// The product of the numbers up to `end`. Each number is the last part of an item, and commas
/// separate the items; an item without a number counts as 2.
fn product(text: &[u8], end: u8) -> u64 {
    let list = text.split(|byte| *byte == end).next().unwrap_or_default();
    let mut product = 1_u64;
    for item in list.split(|byte| *byte == b',').filter(|item| !item.trim_ascii().is_empty()) {
        let item = item.trim_ascii();
        let start = item.len() - item.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        product = product.saturating_mul(digits(&item[start..]).unwrap_or(2));
    }
    product
}
