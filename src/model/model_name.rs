//! How callers name a model: `name`, or `name@version`. The one place that parses it.

use std::fmt;

use super::manifest::is_name;

/// A model, or one version of it, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    pub name: String,
    /// The version, if one was named.
    pub version: Option<String>,
}

impl ModelName {
    /// Parses `name` or `name@version`; `None` if the text is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => (name, Some(version)),
        };
        let named = is_name(name) && version.is_none_or(is_name);
        named.then(|| Self {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(formatter, "@{version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_carry_a_version() {
        let plain = ModelName::parse("a-b").expect("a name");
        assert_eq!((plain.name.as_str(), plain.version.as_deref()), ("a-b", None));
        assert_eq!(plain.to_string(), "a-b");
        let with = ModelName::parse("a@10").expect("a version");
        assert_eq!((with.name.as_str(), with.version.as_deref()), ("a", Some("10")));
        assert_eq!(with.to_string(), "a@10");
        for wrong in ["", "@", "a@", "@1", "a@1@2", "A", "../a", "a@../1"] {
            assert_eq!(ModelName::parse(wrong), None, "{wrong}");
        }
    }
}
