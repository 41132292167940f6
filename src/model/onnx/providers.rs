//! Finds the execution providers of a list, in ONNX Runtime's library or in a plugin's, and has sessions use them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::device::Device;
use ort::environment::Environment;
use ort::ep::{
    ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProvider, ExecutionProviderDispatch, NVRTX, OpenVINO,
    TensorRT,
};
use ort::memory::DeviceType;
use ort::session::builder::SessionBuilder;

use super::environment::Runtime;
use super::provider_options::{Options, options_of};
use crate::model::providers::{CPU, Provider, ProviderList};

/// A provider that is known by name.
struct Known {
    /// As settings name it.
    name: &'static str,
    /// As ONNX Runtime names it.
    own: &'static str,
    /// The library of its plugin, without what the system puts before and behind it.
    plugin: Option<&'static str>,
    /// Its form in ONNX Runtime's own library, if it has one.
    built_in: Option<BuiltIn>,
}

/// A provider of ONNX Runtime's own library.
#[derive(Clone, Copy)]
struct BuiltIn {
    /// Whether the library was built with it.
    is_there: fn() -> bool,
    build: fn(&Options) -> ExecutionProviderDispatch,
}

impl Known {
    fn is_built_in(&self) -> bool {
        self.built_in.is_some_and(|built_in| (built_in.is_there)())
    }
}

const KNOWN: [Known; 5] = [
    Known {
        name: "openvino",
        own: OpenVINO::NAME,
        plugin: Some("onnxruntime_providers_openvino_plugin"),
        built_in: Some(built_in::<OpenVINO>()),
    },
    Known {
        name: "cuda",
        own: CUDA::NAME,
        plugin: None,
        built_in: Some(built_in::<CUDA>()),
    },
    Known {
        name: "tensorrt",
        own: TensorRT::NAME,
        plugin: None,
        built_in: Some(built_in::<TensorRT>()),
    },
    Known {
        name: "nv_tensorrt_rtx",
        own: NVRTX::NAME,
        plugin: Some("onnxruntime_providers_nv_tensorrt_rtx"),
        built_in: Some(built_in::<NVRTX>()),
    },
    Known {
        name: "webgpu",
        own: "WebGpuExecutionProvider",
        plugin: Some("onnxruntime_providers_webgpu"),
        built_in: None,
    },
];

const fn built_in<P>() -> BuiltIn
where
    P: ExecutionProvider + ArbitrarilyConfigurableExecutionProvider + Default + Into<ExecutionProviderDispatch>,
{
    BuiltIn {
        is_there: || P::is_available().unwrap_or(false),
        build: configured::<P>,
    }
}

fn configured<P>(options: &Options) -> ExecutionProviderDispatch
where
    P: ExecutionProvider + ArbitrarilyConfigurableExecutionProvider + Default + Into<ExecutionProviderDispatch>,
{
    let set = |provider: P, (key, value): &(String, String)| provider.with_arbitrary_config(key, value);
    let provider = options.native.iter().fold(P::default(), set);
    provider.into().error_on_failure()
}

/// The name that settings have for a provider of ONNX Runtime's.
pub(super) fn name_of(own: &str) -> String {
    let known = KNOWN.iter().find(|known| known.own == own);
    match known {
        Some(known) => known.name.to_owned(),
        None if own == "CPUExecutionProvider" => CPU.to_owned(),
        None => own.trim_end_matches("ExecutionProvider").to_ascii_lowercase(),
    }
}

/// The providers of a model's sessions, all found; none where the processor runs everything. Cheap to clone.
#[derive(Clone, Default)]
pub struct Providers(Arc<[Found]>);

struct Found {
    name: String,
    door: Door,
    options: Options,
}

impl Found {
    fn own_device_is_cuda(&self) -> bool {
        ["cuda", "tensorrt", "nv_tensorrt_rtx"].contains(&self.name.as_str())
    }
}

/// How a provider comes into a session.
enum Door {
    BuiltIn(BuiltIn),
    /// By its devices, once its library is registered. ONNX Runtime's own name of it.
    Plugin(String),
}

/// A provider of a list that can't be used.
pub struct Missing {
    /// Its place in the list.
    pub at: usize,
    /// A part of a line.
    pub problem: String,
}

impl Providers {
    /// Finds every provider of a list. A plugin's library is loaded at its first use, and stays.
    pub fn find(runtime: &'static Runtime, list: &ProviderList) -> Result<Self, Missing> {
        let wanted = list.all().iter().enumerate().filter(|(_, provider)| !provider.is_cpu());
        let found = wanted.map(|(at, provider)| find(runtime, provider).map_err(|problem| Missing { at, problem }));
        Ok(Self(found.collect::<Result<Vec<_>, _>>()?.into()))
    }

    /// Whether ONNX Runtime's own provider for processors runs everything.
    pub fn is_cpu(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of them compute on the processors of this machine.
    pub fn compute_here(&self) -> bool {
        self.0.iter().all(|found| found.options.on_processor)
    }

    /// The devices that their sessions hold memory on, as far as ONNX Runtime counts it there: the processor's, and cards of
    /// NVIDIA.
    pub fn devices(&self) -> impl Iterator<Item = String> {
        let cards = self.0.iter().filter(|found| found.own_device_is_cuda());
        let mut cards: Vec<String> = cards
            .map(|found| format!("cuda:{}", found.options.index.unwrap_or(0)))
            .collect();
        cards.sort();
        cards.dedup();
        std::iter::once(CPU.to_owned()).chain(cards)
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|found| found.name.as_str()).collect()
    }

    /// Has a session use them, with so many threads where they compute on the processor.
    pub(super) fn apply(
        &self,
        environment: &Environment,
        mut builder: SessionBuilder,
        threads: usize,
    ) -> Result<SessionBuilder, ort::Error> {
        if self.is_cpu() {
            return Ok(builder);
        }
        builder = builder.with_config_entry("session.record_ep_graph_assignment_info", "1")?;
        for found in self.0.iter() {
            let options = found.options.with_threads(threads);
            builder = match &found.door {
                Door::BuiltIn(built_in) => {
                    builder.with_execution_providers([(built_in.build)(&options.with_device())])?
                }
                Door::Plugin(own) => {
                    let prefixed = |(key, value): &(String, String)| (format!("{own}.{key}"), value.clone());
                    let prefixed: Vec<_> = options.native.iter().map(prefixed).collect();
                    let devices = devices(environment, own, &options).into_iter().take(1);
                    builder.with_devices(devices, Some(&prefixed))?
                }
            };
        }
        Ok(builder)
    }
}

fn find(runtime: &'static Runtime, provider: &Provider) -> Result<Found, String> {
    let name = provider.name.clone();
    let options = options_of(provider)?;
    let known = KNOWN.iter().find(|known| known.name == name);
    let library = match (&provider.library, known) {
        (Some(library), known) => Some(named_library(library, known)?),
        (None, known) => {
            if let Some(built_in) = known
                .and_then(|known| known.built_in)
                .filter(|built_in| (built_in.is_there)())
            {
                let door = Door::BuiltIn(built_in);
                return Ok(Found { name, door, options });
            }
            known.and_then(|known| beside(runtime, known))
        }
    };
    let Some(library) = library else {
        return Err(nowhere(runtime, known));
    };
    runtime.plugins.register(&runtime.environment, &library)?;
    let own = own_name(&runtime.environment, &name, known, &library)?;
    if devices(&runtime.environment, &own, &options).is_empty() {
        return Err(no_device(&runtime.environment, &own, &options, &library));
    }
    let door = Door::Plugin(own);
    Ok(Found { name, door, options })
}

/// The file of a plugin: as it is named, or in the folder that is named.
fn named_library(named: &Path, known: Option<&Known>) -> Result<PathBuf, String> {
    let plugin = known.and_then(|known| known.plugin);
    let file = match plugin {
        Some(plugin) if named.is_dir() => named.join(file_name(plugin)),
        _ => named.to_owned(),
    };
    if file.is_file() {
        // The system's loader would look elsewhere for a bare name.
        return std::path::absolute(&file).map_err(|error| error.to_string());
    }
    Err(format!("library: {} is no file", file.display()))
}

fn file_name(library: &str) -> String {
    format!(
        "{}{library}{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    )
}

/// A plugin's library beside ONNX Runtime's or beside the program.
fn beside(runtime: &Runtime, known: &Known) -> Option<PathBuf> {
    let file = file_name(known.plugin?);
    let program = std::env::current_exe().ok();
    let folders = [Some(runtime.library.as_path()), program.as_deref()];
    let files = folders
        .into_iter()
        .flatten()
        .filter_map(|path| Some(path.parent()?.join(&file)));
    files.into_iter().find(|file| file.is_file())
}

/// What to say of a provider that is neither built in nor beside the library.
fn nowhere(runtime: &Runtime, known: Option<&Known>) -> String {
    let (version, library) = (&runtime.version, runtime.library.display());
    let has: Vec<&str> = KNOWN
        .iter()
        .filter(|known| known.is_built_in())
        .map(|known| known.name)
        .collect();
    let has = if has.is_empty() {
        String::new()
    } else {
        format!("{}, ", has.join(", "))
    };
    let built = format!("ONNX Runtime {version} at {library} has {has}cpu");
    match known {
        None => format!("{built}: name the library of its plugin, library=FILE"),
        Some(Known { plugin: None, .. }) => {
            format!("{built}: it needs another build of ONNX Runtime, such as that of the package onnxruntime-gpu")
        }
        Some(Known {
            plugin: Some(plugin), ..
        }) => {
            format!(
                "{built}, and {} is not beside it: name it, library=FILE",
                file_name(plugin)
            )
        }
    }
}

/// ONNX Runtime's name of the provider in a library that was registered.
fn own_name(environment: &Environment, name: &str, known: Option<&Known>, library: &Path) -> Result<String, String> {
    if let Some(known) = known {
        return Ok(known.own.to_owned());
    }
    let names = || environment.devices().filter_map(|device| device.ep().ok());
    let alike = |own: &&str| name_of(own) == name || own.eq_ignore_ascii_case(name);
    names().find(alike).map(str::to_owned).ok_or_else(|| {
        format!(
            "{} has no execution provider of this name with a device on this machine",
            library.display()
        )
    })
}

/// The devices of a provider that fit its options.
fn devices<'e>(environment: &'e Environment, own: &str, options: &Options) -> Vec<Device<'e>> {
    let of_it = environment
        .devices()
        .filter(|device| device.ep().is_ok_and(|ep| ep == own));
    let kind = options.kind.as_deref();
    let fitting = of_it.filter(|device| kind.is_none_or(|kind| kind == word(device.hardware_device().ty())));
    fitting.skip(options.index.unwrap_or(0)).collect()
}

fn word(kind: DeviceType) -> &'static str {
    match kind {
        DeviceType::GPU => "GPU",
        DeviceType::NPU => "NPU",
        _ => "CPU",
    }
}

/// What to say of a provider without a device that fits.
fn no_device(environment: &Environment, own: &str, options: &Options, library: &Path) -> String {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for device in environment
        .devices()
        .filter(|device| device.ep().is_ok_and(|ep| ep == own || name_of(ep) == CPU))
    {
        let hardware = device.hardware_device();
        known.insert(format!("{} {}", hardware.vendor().unwrap_or("?"), word(hardware.ty())));
    }
    let wanted = match (&options.kind, options.index) {
        (Some(kind), Some(index)) => format!("{kind}.{index}"),
        (Some(kind), None) => kind.clone(),
        (None, Some(index)) => format!("device {index}"),
        (None, None) => "device".to_owned(),
    };
    let known: Vec<String> = known.into_iter().collect();
    format!(
        "{} finds no {wanted} on this machine that it can use; there is {}",
        library.display(),
        known.join(", ")
    )
}
