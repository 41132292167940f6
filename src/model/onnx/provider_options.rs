//! The options of execution providers: `device`, `precision` and `cache`, which mean the same to all, in each provider's own
//! words. Pure.

use crate::model::providers::Provider;

/// The options of a provider, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub native: Vec<(String, String)>,
    /// Whether it computes on the processors of this machine.
    pub on_processor: bool,
    /// The kind of device that a plugin is to use: CPU, GPU or NPU.
    pub kind: Option<String>,
    /// Which of these devices.
    pub index: Option<usize>,
    /// The option with the device, of a provider of ONNX Runtime's own library. A plugin is given the device itself.
    device: Option<(&'static str, String)>,
    /// The option with the number of threads, where it has one and nobody set it.
    threads: Option<&'static str>,
}

impl Options {
    /// With the device among them.
    pub fn with_device(&self) -> Self {
        let mut options = self.clone();
        let device = options.device.take();
        options
            .native
            .extend(device.map(|(key, value)| (key.to_owned(), value)));
        options
    }

    /// With the number of threads of a run.
    pub fn with_threads(&self, threads: usize) -> Self {
        let mut options = self.clone();
        if let Some(key) = options.threads.take() {
            options.native.push((key.to_owned(), threads.to_string()));
        }
        options
    }
}

/// OpenVINO ties the threads of each session to the first cores, so that several sessions would share these and leave the others
/// idle.
const UNPINNED: &str = r#"{"CPU":{"ENABLE_CPU_PINNING":"NO"}}"#;

/// The most devices that are told apart.
const MOST_DEVICES: usize = 256;

/// A provider's options in its own words. The error is a part of a line.
pub(super) fn options_of(provider: &Provider) -> Result<Options, String> {
    let mut options = Options::default();
    let mut device = None;
    for (key, value) in &provider.options {
        let own = match key.as_str() {
            "device" => {
                device = Some(value.as_str());
                continue;
            }
            "precision" => precision(&provider.name, value)?,
            "cache" => cache(&provider.name, value)?,
            _ => vec![(key.as_str(), value.clone())],
        };
        options
            .native
            .extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
    }
    match provider.name.as_str() {
        "openvino" => {
            let device = device.unwrap_or("CPU");
            options.on_processor = device.to_ascii_uppercase().starts_with("CPU");
            options.device = Some(("device_type", device.to_owned()));
            place(&mut options, device)?;
            let is_set = provider.options.contains_key("num_of_threads");
            options.threads = (options.on_processor && !is_set).then_some("num_of_threads");
            if options.on_processor && !provider.options.contains_key("load_config") {
                options.native.push(("load_config".to_owned(), UNPINNED.to_owned()));
            }
        }
        "cuda" | "tensorrt" | "nv_tensorrt_rtx" => {
            if let Some(device) = device {
                let number: usize = device.parse().map_err(|_| not_a_number(device))?;
                if number >= MOST_DEVICES {
                    return Err(not_a_number(device));
                }
                options.index = Some(number);
                options.device = Some(("device_id", number.to_string()));
            }
        }
        _ => {
            if let Some(device) = device {
                place(&mut options, device)?;
            }
            options.on_processor = options.kind.as_deref() == Some("CPU");
        }
    }
    Ok(options)
}

fn not_a_number(device: &str) -> String {
    let device = device.escape_debug();
    format!(
        "device is `{device}`, it must be a number from 0 to {}",
        MOST_DEVICES - 1
    )
}

/// The kind and the number of a device as OpenVINO writes them: `CPU`, `GPU.1`. Other words are for the provider alone.
fn place(options: &mut Options, device: &str) -> Result<(), String> {
    let upper = device.to_ascii_uppercase();
    let (kind, number) = match upper.split_once('.') {
        Some((kind, number)) => (kind, Some(number)),
        None => (upper.as_str(), None),
    };
    if !["CPU", "GPU", "NPU"].contains(&kind) {
        return Ok(());
    }
    options.kind = Some(kind.to_owned());
    options.index = match number.map(str::parse::<usize>) {
        None => None,
        Some(Ok(number)) if number < MOST_DEVICES => Some(number),
        Some(_) => {
            return Err(format!(
                "device is `{}`, it must be as GPU or GPU.1",
                device.escape_debug()
            ));
        }
    };
    Ok(())
}

fn precision(name: &str, value: &str) -> Result<Vec<(&'static str, String)>, String> {
    let upper = value.to_ascii_uppercase();
    let on = || "1".to_owned();
    let one_of = |words: &[&str]| {
        let value = value.escape_debug();
        Err(format!(
            "precision is `{value}`, it must be one of {}",
            words.join(", ")
        ))
    };
    match (name, upper.as_str()) {
        ("openvino", "FP32" | "FP16" | "ACCURACY") => Ok(vec![("precision", upper)]),
        ("openvino", _) => one_of(&["FP32", "FP16", "ACCURACY"]),
        ("tensorrt", "FP32") => Ok(vec![]),
        ("tensorrt", "FP16") => Ok(vec![("trt_fp16_enable", on())]),
        ("tensorrt", "BF16") => Ok(vec![("trt_bf16_enable", on())]),
        ("tensorrt", "INT8") => Ok(vec![("trt_int8_enable", on())]),
        ("tensorrt", _) => one_of(&["FP32", "FP16", "BF16", "INT8"]),
        ("cuda" | "nv_tensorrt_rtx", _) => {
            Err("precision: it computes in the types of the file; bring a file in FP16".into())
        }
        _ => Ok(vec![("precision", value.to_owned())]),
    }
}

fn cache(name: &str, folder: &str) -> Result<Vec<(&'static str, String)>, String> {
    let (on, folder) = (|| "1".to_owned(), folder.to_owned());
    match name {
        "openvino" => Ok(vec![("cache_dir", folder)]),
        "tensorrt" => Ok(vec![
            ("trt_engine_cache_enable", on()),
            ("trt_engine_cache_path", folder.clone()),
            ("trt_timing_cache_enable", on()),
            ("trt_timing_cache_path", folder),
        ]),
        "nv_tensorrt_rtx" => Ok(vec![("nv_runtime_cache_path", folder)]),
        "cuda" => Err("cache: it compiles nothing that could be kept".into()),
        _ => Ok(vec![("cache", folder)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::providers::ProviderList;

    fn of(text: &str) -> Result<Options, String> {
        let list: ProviderList = text.parse().expect(text);
        options_of(&list.all()[0])
    }

    fn native(text: &str, threads: usize) -> Vec<String> {
        let options = of(text).expect(text).with_device().with_threads(threads);
        options
            .native
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }

    #[test]
    fn each_provider_has_words_of_its_own() {
        let unpinned = format!("load_config={UNPINNED}");
        assert_eq!(
            native("openvino", 2),
            [&unpinned, "device_type=CPU", "num_of_threads=2"]
        );
        let cached = native("openvino(cache=/c,device=GPU.1,precision=fp16)", 2);
        assert_eq!(cached, ["cache_dir=/c", "precision=FP16", "device_type=GPU.1"]);
        assert_eq!(
            native("openvino(num_of_threads=4)", 2),
            ["num_of_threads=4", &unpinned, "device_type=CPU"]
        );
        // A plugin is given the device itself.
        let plugin = of("openvino(library=/l,device=GPU)").expect("legal");
        assert!(plugin.native.is_empty(), "{plugin:?}");
        assert_eq!(
            native("cuda(device=1,gpu_mem_limit=1)", 2),
            ["gpu_mem_limit=1", "device_id=1"]
        );
        let built = native("tensorrt(cache=/c,precision=fp16)", 1);
        assert!(
            built.contains(&"trt_engine_cache_path=/c".to_owned()) && built.contains(&"trt_fp16_enable=1".to_owned())
        );
        assert_eq!(native("other(device=x,key=1)", 1), ["key=1"]);
    }

    #[test]
    fn where_it_computes_is_known() {
        let here = |text: &str| of(text).expect(text).on_processor;
        assert!(here("openvino") && here("openvino(device=cpu)") && here("other(device=CPU)"));
        assert!(!here("openvino(device=GPU)") && !here("cuda") && !here("other"));
        let gpu = of("openvino(device=GPU.1)").expect("legal");
        assert_eq!((gpu.kind.as_deref(), gpu.index), (Some("GPU"), Some(1)));
    }

    #[test]
    fn what_a_provider_does_not_have_is_named_with_what_it_has() {
        for (text, problem) in [
            ("cuda(device=a)", "device is `a`, it must be a number from 0 to 255"),
            ("cuda(device=256)", "device is `256`, it must be a number from 0 to 255"),
            ("openvino(device=GPU.x)", "device is `GPU.x`"),
            (
                "openvino(precision=int4)",
                "precision is `int4`, it must be one of FP32, FP16, ACCURACY",
            ),
            ("tensorrt(precision=int4)", "must be one of FP32, FP16, BF16, INT8"),
            (
                "cuda(precision=fp16)",
                "precision: it computes in the types of the file",
            ),
            ("cuda(cache=/c)", "cache: it compiles nothing"),
        ] {
            let found = of(text).expect_err(text);
            assert!(found.contains(problem), "{text}: {found}");
        }
    }
}
