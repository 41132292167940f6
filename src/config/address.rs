//! Addresses, of doors and of servers: `127.0.0.1:50051`, `localhost:50051`, `:50051`, `unix:/run/tandem.sock`.
//!
//! The only place that parses addresses. Unix sockets are written as in gRPC clients: `unix:/run/a%20b.sock` means
//! `/run/a b.sock`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest path or name of a Unix socket, in bytes: Linux's limit, minus the byte that ends it.
const MAX_UNIX_BYTES: usize = 107;

/// The longest host name, in bytes.
const MAX_HOST_BYTES: usize = 253;

/// Where a door listens, or where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A network address and a port.
    Ip(SocketAddr),
    /// A host name and a port.
    Name(String, u16),
    /// A port on all addresses of this host: `:50051`.
    Any(u16),
    /// A Unix socket, by its path.
    Unix(PathBuf),
    /// A Unix socket without a file, by its name. Only Linux has these.
    UnixAbstract(String),
}

impl Address {
    /// Whether only this host can reach it: loopback, or a Unix socket. Of all host names only `localhost` is local,
    /// and it only ever means loopback.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Name(host, _) => is_localhost(host),
            Self::Any(_) => false,
            Self::Unix(_) | Self::UnixAbstract(_) => true,
        }
    }

    /// Where a client on this host finds a server that listens here. A wildcard address becomes loopback.
    pub fn reachable(self) -> Self {
        match self {
            Self::Ip(SocketAddr::V6(address)) if address.ip().is_unspecified() => {
                Self::Ip((Ipv6Addr::LOCALHOST, address.port()).into())
            }
            Self::Ip(SocketAddr::V4(address)) if address.ip().is_unspecified() => {
                Self::Ip((Ipv4Addr::LOCALHOST, address.port()).into())
            }
            Self::Any(port) => Self::Ip((Ipv4Addr::LOCALHOST, port).into()),
            other => other,
        }
    }

    /// The network address, if it is one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            _ => None,
        }
    }

    /// The path of a Unix socket, as the system takes it.
    pub fn unix_path(&self) -> Option<PathBuf> {
        match self {
            Self::Unix(path) => Some(path.clone()),
            // The system's notation for a name without a file.
            Self::UnixAbstract(name) => Some(PathBuf::from(format!("\0{name}"))),
            Self::Ip(_) | Self::Name(..) | Self::Any(_) => None,
        }
    }
}

/// Whether a host name means loopback everywhere (RFC 6761, section 6.3).
pub fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map_err(|problem| format!("`{}` is no address: {problem}", text.escape_debug()))
    }
}

fn parse(text: &str) -> Result<Address, String> {
    const FORMS: &str = "write host:port, :port for all addresses of this host, or unix:PATH";
    if let Some(name) = text.strip_prefix("unix-abstract:") {
        return unix_name(name).map(Address::UnixAbstract);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        let path = match path.strip_prefix("//") {
            Some(path) if !path.starts_with('/') => return Err("write unix:PATH or unix:///PATH".into()),
            Some(path) => path,
            None => path,
        };
        return unix_name(path).map(|path| Address::Unix(PathBuf::from(path)));
    }
    if let Ok(address) = text.parse() {
        return Ok(Address::Ip(address));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("the port is missing; write [{text}]:PORT"));
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Err(format!("the port is missing; write {text}:PORT"));
    }
    let (host, port) = text.rsplit_once(':').ok_or(FORMS)?;
    // Digits only: parsing would also accept a sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits);
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match port {
        _ if host.parse::<IpAddr>().is_ok_and(|host| host.is_ipv6()) => {
            Err(format!("an address of IPv6 stands in brackets; write [{host}]:PORT"))
        }
        _ if !host.bytes().all(known) || host.len() > MAX_HOST_BYTES => Err(FORMS.into()),
        None => Err("the port is a number from 0 to 65535".into()),
        Some(port) if host.is_empty() => Ok(Address::Any(port)),
        Some(port) => Ok(Address::Name(host.to_owned(), port)),
    }
}

/// The path or name of a Unix socket as it is written. As in gRPC, `%20` means a space; a `%` without two hexadecimal
/// digits means itself.
fn unix_name(written: &str) -> Result<String, String> {
    let name = percent_decode_str(written).decode_utf8();
    let name = name.map_err(|_| "the path of a Unix socket is UTF-8")?;
    if name.is_empty() {
        Err("the path of the Unix socket is missing".into())
    } else if name.contains('\0') {
        Err("the path of a Unix socket holds no zero byte".into())
    } else if name.len() > MAX_UNIX_BYTES {
        Err(format!(
            "the path of a Unix socket has at most {MAX_UNIX_BYTES} bytes, this one has {}",
            name.len()
        ))
    } else if Path::new(&*name).file_name().is_none() {
        Err("the path of a Unix socket ends with its name".into())
    } else {
        Ok(name.into_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Name(host, port) => write!(formatter, "{host}:{port}"),
            Self::Any(port) => write!(formatter, ":{port}"),
            Self::Unix(path) => write!(formatter, "unix:{}", escaped(&path.display().to_string())),
            Self::UnixAbstract(name) => write!(formatter, "unix-abstract:{}", escaped(name)),
        }
    }
}

/// A name as it is read again, also in a list.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace(',', "%2C")
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        text.parse().expect(text)
    }

    #[test]
    fn addresses_are_read_as_people_write_them_and_written_so_again() {
        for (text, local) in [
            ("127.0.0.1:50051", true),
            ("[::1]:50051", true),
            ("0.0.0.0:50051", false),
            ("[::]:0", false),
            (":50051", false),
            ("localhost:50051", true),
            ("LocalHost.:50051", true),
            ("tandem-1.example_org:5000", false),
            ("unix:/run/tandem.sock", true),
            ("unix:tandem.sock", true),
            ("unix-abstract:tandem", true),
        ] {
            let address = read(text);
            assert_eq!((address.to_string().as_str(), address.is_local()), (text, local));
        }
        assert_eq!(read("unix:///run/tandem.sock"), read("unix:/run/tandem.sock"));
        assert!(!is_localhost("notlocalhost"));
    }

    #[test]
    fn names_of_unix_sockets_are_decoded_as_grpc_does() {
        for (written, path) in [
            ("unix:/run/a%20b.sock", "/run/a b.sock"),
            ("unix:///run/c%41.sock", "/run/cA.sock"),
            ("unix:/run/m%C3%A9.sock", "/run/mé.sock"),
            ("unix:/run/d%zz.sock", "/run/d%zz.sock"),
            ("unix:/run/g%", "/run/g%"),
            ("unix:/run/l%2525.sock", "/run/l%25.sock"),
            ("unix:/run/n+o?p#q.sock", "/run/n+o?p#q.sock"),
            ("unix:/run/a b.sock", "/run/a b.sock"),
            ("unix:%2Frun%2Fa.sock", "/run/a.sock"),
        ] {
            let address = read(written);
            assert_eq!(address, Address::Unix(PathBuf::from(path)), "{written}");
            assert_eq!(read(&address.to_string()), address, "{written}");
        }
        let address = read("unix-abstract:a%20%2520");
        assert_eq!(address, Address::UnixAbstract("a %20".to_owned()));
        assert_eq!(read(&address.to_string()), address);
        let long = format!("unix:/{}", "%20".repeat(MAX_UNIX_BYTES - 1));
        assert!(long.parse::<Address>().is_ok(), "what counts is the name itself");
        for (written, part) in [
            ("unix:/a%00b", "no zero byte"),
            ("unix:/a%FF", "is UTF-8"),
            ("unix:/a/%2E%2E", "ends with its name"),
        ] {
            let problem = written.parse::<Address>().expect_err(written);
            assert!(problem.contains(part), "{written}: {problem}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        let long = format!("unix:/{}", "a".repeat(MAX_UNIX_BYTES));
        for (text, part) in [
            ("", "write host:port"),
            ("localhost", "write host:port"),
            ("50051", "write host:port"),
            ("127.0.0.1", "write 127.0.0.1:PORT"),
            ("::1", "write [::1]:PORT"),
            ("fe80::1:2:3:4:5:6:50051", "stands in brackets"),
            ("localhost:", "from 0 to 65535"),
            ("localhost:65536", "from 0 to 65535"),
            ("localhost:+1", "from 0 to 65535"),
            ("http://localhost:50051", "write host:port"),
            ("a b:1", "write host:port"),
            ("*:1", "write host:port"),
            ("a\n:1", "`a\\n:1` is no address"),
            ("unix:", "is missing"),
            ("unix-abstract:", "is missing"),
            ("unix://run/x", "unix:///PATH"),
            ("unix:/run/..", "ends with its name"),
            ("unix:/a\0b", "no zero byte"),
            (&long, "at most 107 bytes, this one has 108"),
        ] {
            let problem = text.parse::<Address>().expect_err(text);
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn all_addresses_of_a_host_are_asked_on_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:7", "127.0.0.1:7"),
            ("[::]:7", "[::1]:7"),
            (":7", "127.0.0.1:7"),
            ("server:7", "server:7"),
            ("unix:a", "unix:a"),
        ] {
            assert_eq!(read(listens).reachable(), read(asked));
        }
    }
}
