//! How a list of execution providers is written: in a flag, and in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{LIBRARY, Provider, ProviderList, REQUIRED};

impl FromStr for ProviderList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = split(text)?;
        Self::new(parts.into_iter().map(one).collect::<Result<_, _>>()?)
    }
}

/// One provider as it is written: `name` or `name(key=value,other="with, comma",required)`.
fn one(text: &str) -> Result<Provider, String> {
    let (name, options) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(|| "a `)` is missing".to_owned())?;
            (name, Some(inner))
        }
    };
    let mut provider = Provider::named(name.trim())?;
    for option in options.map(split).transpose()?.unwrap_or_default() {
        if option.is_empty() {
            continue;
        }
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let (key, value) = (key.trim(), value.trim());
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        if value.is_empty() && key != REQUIRED {
            return Err(format!("{}: {} has no value", provider.name, key.escape_debug()));
        }
        provider.set(key, quoted.unwrap_or(value))?;
    }
    Ok(provider)
}

/// The parts between commas that are neither in brackets nor in quotation marks.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut open, mut quoted) = (Vec::new(), 0, 0_u32, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'(' if !quoted => open += 1,
            b')' if !quoted => open = open.checked_sub(1).ok_or("a `(` is missing")?,
            b',' if !quoted && open == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted || open > 0 {
        return Err(format!("a `{}` is missing", if quoted { '"' } else { ')' }));
    }
    parts.push(text[start..].trim());
    Ok(parts)
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        let library = self.library.as_ref().map(|path| (LIBRARY, path.display().to_string()));
        let options = self.options.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let plain = |value: &str| !value.contains([',', '(', ')', ' ', '=']) && !value.is_empty();
        let written = options.chain(library).map(|(key, value)| {
            if plain(&value) {
                format!("{key}={value}")
            } else {
                format!("{key}=\"{value}\"")
            }
        });
        let required = self.required.map(|required| format!("{REQUIRED}={required}"));
        let all: Vec<String> = written.chain(required).collect();
        if all.is_empty() {
            return Ok(());
        }
        write!(formatter, "({})", all.join(","))
    }
}

impl fmt::Display for ProviderList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, provider) in self.0.iter().enumerate() {
            if at > 0 {
                formatter.write_str(",")?;
            }
            provider.fmt(formatter)?;
        }
        Ok(())
    }
}

impl Serialize for ProviderList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProviderList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = ProviderList;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an execution provider or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ProviderList, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ProviderList, A::Error> {
        let mut providers = Vec::new();
        while let Some(item) = items.next_element::<Written>()? {
            providers.push(item.provider().map_err(de::Error::custom)?);
        }
        ProviderList::new(providers).map_err(de::Error::custom)
    }
}

/// One provider in a file's list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Table(BTreeMap<String, toml::Value>),
}

impl Written {
    fn provider(self) -> Result<Provider, String> {
        let table = match self {
            Self::Text(text) => return one(text.trim()),
            Self::Table(table) => table,
        };
        let name = table.get("name").and_then(toml::Value::as_str);
        let mut provider = Provider::named(name.ok_or("an execution provider needs a `name`")?)?;
        for (key, value) in table.iter().filter(|(key, _)| *key != "name") {
            let value = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Boolean(_) | toml::Value::Integer(_) | toml::Value::Float(_) => value.to_string(),
                _ => {
                    return Err(format!(
                        "{}: {key} must be a text, a number, true or false",
                        provider.name
                    ));
                }
            };
            provider.set(key, &value)?;
        }
        Ok(provider)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LONGEST, MOST_OPTIONS};
    use super::*;

    fn list(text: &str) -> ProviderList {
        text.parse().expect(text)
    }

    #[test]
    fn a_list_is_read_as_it_is_written() {
        let text = r#"tensorrt(cache="/var/cache/a b",precision=fp16),cuda(device=1,required=true),cpu"#;
        let read = list(text);
        assert_eq!(read.to_string(), text);
        assert_eq!(read.all()[0].options["cache"], "/var/cache/a b");
        assert_eq!(read.all()[1].options["device"], "1");
        let spaced = list(" OpenVINO ( device = \"HETERO:NPU,GPU\" , library=/opt/ov ) , cpu ");
        let openvino = &spaced.all()[0];
        assert_eq!(
            (&*openvino.name, &*openvino.options["device"]),
            ("openvino", "HETERO:NPU,GPU")
        );
        assert_eq!(openvino.library.as_deref(), Some(std::path::Path::new("/opt/ov")));
        assert_eq!(list(&spaced.to_string()), spaced);
    }

    #[test]
    fn a_file_may_have_tables() {
        #[derive(Deserialize)]
        struct File {
            a: ProviderList,
        }
        let file: File =
            toml::from_str("a = [{ name = \"cuda\", device = 1, required = true }, \"cpu\"]").expect("legal");
        assert_eq!(file.a.to_string(), "cuda(device=1,required=true),cpu");
        let problem = |text: &str| {
            toml::from_str::<File>(text)
                .map(|file| file.a)
                .expect_err(text)
                .to_string()
        };
        assert!(problem("a = [{ device = 1 }]").contains("needs a `name`"));
        assert!(problem("a = [{ name = \"cuda\", device = [1] }]").contains("cuda: device must be a text"));
        assert!(problem("a = []").contains("is missing"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, problem) in [
            ("", "`` is no execution provider"),
            ("cpu,cuda", "cpu takes all that is left, so it must be the last"),
            ("cuda,cuda", "cuda is there twice"),
            ("cpu(device=1)", "cpu has no options"),
            ("cuda(device=1", "a `)` is missing"),
            ("cuda)", "a `(` is missing"),
            ("cuda(device=\"1)", "a `\"` is missing"),
            ("cuda(device)", "cuda: device has no value"),
            ("cuda(device=1,device=2)", "cuda: device is there twice"),
            ("cuda(required=maybe)", "required is `maybe`"),
            ("c-u", "`c-u` is no execution provider"),
            ("a,b,c,d,e,f,g,h,i", "these are 9 execution providers, the most is 8"),
        ] {
            let found = text.parse::<ProviderList>().expect_err(text);
            assert!(found.contains(problem), "{text}: {found}");
        }
        let long = format!("cuda(a={})", "x".repeat(LONGEST + 1));
        assert!(long.parse::<ProviderList>().is_err());
        let many: Vec<String> = (0..=MOST_OPTIONS).map(|at| format!("o{at}=1")).collect();
        assert!(format!("cuda({})", many.join(",")).parse::<ProviderList>().is_err());
    }
}
