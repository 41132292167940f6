//! Place: what the setting `models` names where it is no folder.

use std::fmt;
use std::path::Path;

/// The end of the error where the program can't fetch models.
pub const NO_FEATURE: &str = "this program was built without the feature `object-store`, so models must be a folder; build it with --features object-store";
/// The problem of an address that servers can't share a file at.
pub const NOT_SHARED: &str =
    "servers share a file on a volume, or an object: s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH";
/// The longest that the text of a place may be.
const LONGEST: usize = 1024;
/// What a place begins with.
const SCHEMES: &str = "s3://, gs://, az://, hf://, https:// or http://";
/// The revision of a repository at Hugging Face where none is named.
const MAIN: &str = "main";

/// Where models lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub kind: Kind,
    /// The SHA-256 that the list of its files must have, or the commit.
    pub pin: Option<String>,
    /// As the settings have it, without the pin.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A prefix in a bucket, or in a container; the prefix has no slash at its ends and may be empty.
    Cloud {
        cloud: Cloud,
        bucket: String,
        prefix: String,
    },
    /// The address of a folder of a web server, without a slash at its end.
    Web { address: String },
    /// A folder of a repository at Hugging Face; the folder may be empty.
    Hub {
        repository: String,
        revision: String,
        folder: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    S3,
    Google,
    Azure,
}

impl Place {
    /// Reads the setting. `None` if it names a folder. The error does not repeat what may be secret.
    pub fn of(models: &Path) -> Result<Option<Self>, String> {
        let Some(text) = models.to_str() else { return Ok(None) };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(None);
        };
        if text.len() > LONGEST
            || text
                .chars()
                .any(|value| value.is_control() || value == ' ' || value == '\\')
        {
            return Err(format!(
                "an address has at most {LONGEST} bytes, and no spaces, control characters or backslashes"
            ));
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if scheme != "hf" && authority.contains('@') {
            return Err(format!(
                "the address ({scheme}://…) holds a user or a password; credentials are read from the environment"
            ));
        }
        if rest.contains('?') {
            return Err(format!(
                "the address ({scheme}://…) holds a query (`?`); credentials are read from the environment"
            ));
        }
        let (body, pin) = pinned(rest)?;
        let address = format!("{scheme}://{body}");
        let told = |problem: String| format!("{address}: {problem}");
        let (kind, commit) = match scheme {
            "s3" => (cloud(Cloud::S3, body).map_err(told)?, None),
            "gs" => (cloud(Cloud::Google, body).map_err(told)?, None),
            "az" => (cloud(Cloud::Azure, body).map_err(told)?, None),
            "hf" if pin.is_some() => return Err(told("write the commit after `@`, in place of `#sha256=`".into())),
            "hf" => hub(body).map_err(told)?,
            "https" => (web(&address).map_err(told)?, None),
            "http" if pin.is_some() || is_loopback(authority) => (web(&address).map_err(told)?, None),
            "http" => {
                return Err(told(
                    "over http:// anybody on the way can change the models: use https://, or add #sha256=… (the SHA-256 of its \
                     SHA256SUMS)"
                        .into(),
                ));
            }
            _ => return Err(format!("{scheme}:// is none of {SCHEMES}")),
        };
        let text = match &kind {
            Kind::Hub { .. } if commit.is_some() => {
                body.replacen(&format!("@{}", commit.as_deref().unwrap_or_default()), "", 1)
            }
            _ => body.to_owned(),
        };
        Ok(Some(Self {
            kind,
            pin: pin.or(commit),
            text: format!("{scheme}://{}", text.trim_end_matches('/')),
        }))
    }

    /// The place without its pin: what one folder of the cache is for.
    pub fn unpinned(&self) -> &str {
        &self.text
    }

    /// The place at one of its revisions, to be written into the settings.
    pub fn at(&self, revision: &str) -> String {
        match &self.kind {
            Kind::Hub { repository, folder, .. } => {
                let folder = if folder.is_empty() {
                    String::new()
                } else {
                    format!("/{folder}")
                };
                format!("hf://{repository}@{revision}{folder}")
            }
            Kind::Cloud { .. } | Kind::Web { .. } => format!("{}#sha256={revision}", self.text),
        }
    }

    /// The last part of its name.
    pub fn last_part(&self) -> &str {
        match &self.kind {
            Kind::Hub { repository, folder, .. } if folder.is_empty() => repository,
            _ => &self.text,
        }
        .rsplit('/')
        .next()
        .unwrap_or_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pin {
            Some(pin) => out.write_str(&self.at(pin)),
            None => out.write_str(&self.text),
        }
    }
}

/// What stands before `#sha256=`, and the digest after it.
fn pinned(rest: &str) -> Result<(&str, Option<String>), String> {
    let Some((body, fragment)) = rest.split_once('#') else {
        return Ok((rest, None));
    };
    let digest = fragment.strip_prefix("sha256=").filter(|digest| is_hex(digest, 64));
    match digest {
        Some(digest) => Ok((body, Some(digest.to_ascii_lowercase()))),
        None => Err("what follows `#` in the address must be sha256= and 64 hexadecimal digits".into()),
    }
}

fn cloud(cloud: Cloud, body: &str) -> Result<Kind, String> {
    let (bucket, prefix) = body.split_once('/').unwrap_or((body, ""));
    let plain = |value: char| value.is_ascii_alphanumeric() || "-_.".contains(value);
    if bucket.is_empty() || !bucket.chars().all(plain) {
        return Err("a bucket or a container must be named after `://`".into());
    }
    let prefix = prefix.trim_end_matches('/');
    check_parts(prefix)?;
    Ok(Kind::Cloud {
        cloud,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

fn web(address: &str) -> Result<Kind, String> {
    let (_, rest) = address.split_once("://").unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() {
        return Err("a host must be named after `://`".into());
    }
    check_parts(path.trim_end_matches('/'))?;
    Ok(Kind::Web {
        address: address.trim_end_matches('/').to_owned(),
    })
}

/// `owner/name@revision/folder`, and the commit if the revision is one.
fn hub(body: &str) -> Result<(Kind, Option<String>), String> {
    let shape = || "write hf://OWNER/NAME@REVISION, and /FOLDER after it for one of its folders".to_owned();
    let mut parts = body.trim_end_matches('/').splitn(3, '/');
    let (owner, name) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(shape)?);
    let (name, revision) = name.split_once('@').unwrap_or((name, MAIN));
    let plain = |value: char| value.is_ascii_alphanumeric() || "-_.".contains(value);
    let is_part =
        |part: &str| !part.is_empty() && part.len() <= 96 && !part.starts_with('.') && part.chars().all(plain);
    if ![owner, name, revision].into_iter().all(is_part) {
        return Err(shape());
    }
    let folder = parts.next().unwrap_or_default();
    check_parts(folder)?;
    let commit = is_hex(revision, 40).then(|| revision.to_ascii_lowercase());
    let kind = Kind::Hub {
        repository: format!("{owner}/{name}"),
        revision: commit.clone().unwrap_or_else(|| revision.to_owned()),
        folder: folder.to_owned(),
    };
    Ok((kind, commit))
}

/// Each part of a path is a name: not empty, not `.` and not `..`, and no `%` hides one of these.
fn check_parts(path: &str) -> Result<(), String> {
    let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('%');
    match path.split('/').find(|part| !path.is_empty() && odd(part)) {
        Some(part) => Err(format!("`{part}` is no part of a path here")),
        None => Ok(()),
    }
}

/// Whether a host, which may have a port, is this machine.
pub fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Place>, String> {
        Place::of(Path::new(text))
    }

    fn place(text: &str) -> Place {
        of(text).expect(text).expect(text)
    }

    #[test]
    fn a_folder_is_no_place() {
        for folder in ["models", "/srv/models", "./s3:/x", "a:b"] {
            assert_eq!(of(folder), Ok(None), "{folder}");
        }
    }

    #[test]
    fn each_kind_is_read_and_written_back() {
        let commit = "0123456789012345678901234567890123456789";
        let digest = "a".repeat(64);
        for text in [
            "s3://bucket",
            "s3://bucket/a/b",
            "gs://bucket/a",
            "az://container/a",
            "https://host:8443/models",
            "http://127.0.0.1:1/m",
            "http://[::1]:1/m",
            &format!("http://host/m#sha256={digest}"),
            &format!("s3://bucket/a#sha256={digest}"),
            &format!("hf://owner/name@{commit}"),
            &format!("hf://owner/name@{commit}/onnx"),
            "hf://owner/name@v1.0",
            "hf://owner/name",
        ] {
            assert_eq!(place(text).to_string(), text);
        }
        let pinned = place(&format!("hf://owner/name@{commit}/sub/onnx"));
        assert_eq!(
            (pinned.pin.as_deref(), pinned.unpinned()),
            (Some(commit), "hf://owner/name/sub/onnx")
        );
        assert_eq!(place("hf://owner/name").last_part(), "name");
        assert_eq!(place("s3://bucket/a/b/").last_part(), "b");
        assert_eq!(
            place("s3://bucket/a").at(&digest),
            format!("s3://bucket/a#sha256={digest}")
        );
    }

    #[test]
    fn what_can_not_be_is_refused_and_secrets_are_not_repeated() {
        for (text, expected) in [
            ("https://me:hunter2@host/m", "holds a user or a password"),
            ("https://host/m?token=hunter2", "holds a query"),
            ("s3://key:hunter2@bucket/m", "holds a user or a password"),
            ("ftp://host/m", "is none of s3://"),
            ("http://host/m", "use https://, or add #sha256="),
            ("http://127.0.0.1.host/m", "use https://"),
            ("s3:///m", "a bucket or a container must be named"),
            ("s3://b/a/../c", "`..` is no part of a path"),
            ("s3://b/a//c", "`` is no part of a path"),
            ("https://host/%2e%2e/x", "is no part of a path"),
            ("https://host/m#sha256=12", "64 hexadecimal digits"),
            ("hf://owner", "write hf://OWNER/NAME@REVISION"),
            ("hf://owner/na me", "no spaces"),
            ("hf://owner/..@main", "write hf://OWNER/NAME@REVISION"),
            ("hf://owner/name@main/../x", "`..` is no part of a path"),
        ] {
            let error = of(text).expect_err(text);
            assert!(
                error.contains(expected) && !error.contains("hunter2"),
                "{text}: {error}"
            );
        }
    }
}
