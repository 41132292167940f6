//! Execution providers: the parts of ONNX Runtime that run a graph on one kind of hardware, by the names that settings and
//! manifests give them (`written.rs`: how they are read). Pure: `onnx/providers.rs` finds and uses them.

mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The provider that every ONNX Runtime has.
pub const CPU: &str = "cpu";
/// The most providers in a list.
const MOST: usize = 8;
/// The most options of a provider.
const MOST_OPTIONS: usize = 32;
/// The longest name, and the longest value of an option, in bytes.
const LONGEST: usize = 4096;
/// The option that makes a provider required.
const REQUIRED: &str = "required";
/// The option with the file, or the folder, of a plugin's library.
const LIBRARY: &str = "library";
/// The options that a manifest may give: no path, since a folder of a stranger must not load a library nor write files.
const OF_MANIFESTS: [&str; 2] = ["device", "precision"];

/// One provider of a list, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// `cpu`, `openvino`, `cuda`, `tensorrt`, `nv_tensorrt_rtx`, or the name that a plugin gives itself.
    pub name: String,
    /// Whether a model is refused where the provider can't run it. Where nothing is said, the last of a list is required.
    required: Option<bool>,
    /// Where a plugin's library is; absent for those of ONNX Runtime's library, or beside it.
    pub library: Option<PathBuf>,
    /// Options: `device`, `precision` and `cache` mean the same to all, others are the provider's own.
    pub options: BTreeMap<String, String>,
}

impl Provider {
    fn named(name: &str) -> Result<Self, String> {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_letter) {
            let name: String = name.chars().take(64).collect();
            return Err(format!(
                "`{}` is no execution provider: write cpu, openvino, cuda or tensorrt",
                name.escape_debug()
            ));
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            required: None,
            library: None,
            options: BTreeMap::new(),
        })
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let name = &self.name;
        let no = |problem: String| Err(format!("{name}: {problem}"));
        if key.is_empty() || key.len() > 128 || value.len() > LONGEST || key.contains('\0') || value.contains('\0') {
            return no(format!("an option is a name and a value of at most {LONGEST} bytes"));
        }
        if self.options.len() >= MOST_OPTIONS {
            return no(format!("the most options are {MOST_OPTIONS}"));
        }
        match key {
            REQUIRED => match value {
                "" | "true" => self.required = Some(true),
                "false" => self.required = Some(false),
                other => {
                    return no(format!(
                        "{REQUIRED} is `{}`, it must be true or false",
                        other.escape_debug()
                    ));
                }
            },
            LIBRARY => self.library = Some(PathBuf::from(value)),
            key => {
                if self.options.insert(key.to_owned(), value.to_owned()).is_some() {
                    return no(format!("{key} is there twice"));
                }
            }
        }
        Ok(())
    }

    /// Whether it is ONNX Runtime's own for processors.
    pub fn is_cpu(&self) -> bool {
        self.name == CPU
    }
}

/// Providers in the order in which they may take the parts of a graph; what none of them takes, the processor runs.
///
/// Written `tensorrt,cuda(device=1),cpu`; in a file it may be a list of such strings or of tables with `name`. Empty for a
/// model that runs on the processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderList(Vec<Provider>);

impl ProviderList {
    fn new(providers: Vec<Provider>) -> Result<Self, String> {
        if providers.is_empty() {
            return Err("an execution provider is missing; the usual one is cpu".into());
        }
        if providers.len() > MOST {
            let found = providers.len();
            return Err(format!("these are {found} execution providers, the most is {MOST}"));
        }
        for (at, provider) in providers.iter().enumerate() {
            let name = &provider.name;
            if providers[..at].iter().any(|other| other.name == *name) {
                return Err(format!("{name} is there twice"));
            }
            if provider.is_cpu() && (!provider.options.is_empty() || provider.library.is_some()) {
                return Err(format!("{name} has no options"));
            }
            if provider.is_cpu() && at + 1 < providers.len() {
                return Err(format!("{name} takes all that is left, so it must be the last"));
            }
        }
        Ok(Self(providers))
    }

    pub fn all(&self) -> &[Provider] {
        &self.0
    }

    /// Whether the processor runs everything.
    pub fn is_cpu(&self) -> bool {
        self.0.iter().all(Provider::is_cpu)
    }

    /// Whether a model is refused where this one of the list can't run it.
    pub fn is_required(&self, at: usize) -> bool {
        self.0[at].required.unwrap_or(at + 1 == self.0.len())
    }

    /// The list without the first that may be left out, and that one; `None` if all are required.
    pub fn without_first_optional(&self) -> Option<(Self, Provider)> {
        let at = (0..self.0.len()).find(|&at| !self.0[at].is_cpu() && !self.is_required(at))?;
        Some(self.without(at))
    }

    /// The list without one, and that one. Those that stay are as required as before.
    pub fn without(&self, at: usize) -> (Self, Provider) {
        let mut rest = self.clone();
        for at in 0..rest.0.len() {
            rest.0[at].required = Some(self.is_required(at));
        }
        let left_out = rest.0.remove(at);
        (rest, left_out)
    }

    /// Checks that a manifest may ask for it. The error is a part of a line.
    pub fn check_of_manifest(&self) -> Result<(), String> {
        for provider in &self.0 {
            let (name, options) = (&provider.name, &provider.options);
            let other = options.keys().find(|key| !OF_MANIFESTS.contains(&key.as_str()));
            let other = other.map(String::as_str).or(provider.library.as_ref().map(|_| LIBRARY));
            if let Some(key) = other {
                return Err(format!(
                    "{name}: {} is for the server's settings; a manifest may say {}, {REQUIRED}",
                    key.escape_debug(),
                    OF_MANIFESTS.join(", ")
                ));
            }
        }
        Ok(())
    }
}

/// What runs a part of a model, and how many nodes of its graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// As in [`Provider::name`]; `native` for a model that runs without ONNX Runtime.
    pub provider: String,
    /// How many nodes of the graph it runs; absent where the processor runs all.
    pub nodes: Option<usize>,
}

impl Assigned {
    /// Everything runs in one place.
    pub fn all(provider: &str) -> Vec<Self> {
        let provider = provider.to_owned();
        vec![Self { provider, nodes: None }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> ProviderList {
        text.parse().expect(text)
    }

    #[test]
    fn the_last_is_required_unless_something_else_is_said() {
        let all = |text: &str| {
            (0..list(text).all().len())
                .map(|at| list(text).is_required(at))
                .collect::<Vec<_>>()
        };
        assert_eq!(all("tensorrt,cuda,cpu"), [false, false, true]);
        assert_eq!(all("openvino"), [true]);
        assert_eq!(all("openvino(required),cpu"), [true, true]);
        assert_eq!(all("openvino(required=false)"), [false]);
        let (rest, left_out) = list("tensorrt,cuda,cpu").without_first_optional().expect("two may go");
        assert_eq!((left_out.name.as_str(), rest.is_required(0)), ("tensorrt", false));
        let (rest, _) = rest.without_first_optional().expect("one may go");
        assert!(rest.is_cpu() && rest.without_first_optional().is_none());
        assert!(list("tensorrt(required),cuda").without_first_optional().is_none());
        // What is left when the last optional one goes is the processor.
        assert!(
            list("openvino(required=false)")
                .without_first_optional()
                .expect("may go")
                .0
                .is_cpu()
        );
    }

    #[test]
    fn a_manifest_gives_no_paths() {
        assert!(
            list("openvino(device=CPU,precision=FP32,required)")
                .check_of_manifest()
                .is_ok()
        );
        for text in [
            "openvino(library=/tmp/a.so)",
            "openvino(cache=/tmp)",
            "openvino(load_config=/tmp/a)",
        ] {
            let problem = list(text).check_of_manifest().expect_err(text);
            assert!(problem.contains("is for the server's settings"), "{problem}");
        }
    }
}
