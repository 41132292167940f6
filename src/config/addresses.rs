//! The addresses of one door: one, or several in a list.

use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::Address;

/// The most addresses of one door.
const MOST: usize = 16;

/// Where a door listens: at least one address, each once.
///
/// Written `127.0.0.1:50051,[::1]:50051`; in a file it may be a list of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList(Vec<Address>);

impl AddressList {
    /// The address that others of this program use, who need only one.
    pub fn first(&self) -> &Address {
        &self.0[0]
    }

    pub fn all(&self) -> &[Address] {
        &self.0
    }

    fn new(addresses: Vec<Address>) -> Result<Self, String> {
        // Port 0 takes another port each time.
        let free = |address: &Address| match address {
            Address::Ip(address) => address.port() == 0,
            Address::Name(_, port) | Address::Any(port) => *port == 0,
            Address::Unix(_) | Address::UnixAbstract(_) => false,
        };
        let twice = |(at, address): (usize, &Address)| !free(address) && addresses[..at].contains(address);
        match addresses.len() {
            0 => Err("an address is missing".into()),
            1..=MOST => match addresses.iter().enumerate().find(|&place| twice(place)) {
                Some((_, address)) => Err(format!("{address} is there twice")),
                None => Ok(Self(addresses)),
            },
            found => Err(format!("these are {found} addresses, the most is {MOST}")),
        }
    }
}

impl From<Address> for AddressList {
    fn from(address: Address) -> Self {
        Self(vec![address])
    }
}

impl FromStr for AddressList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let addresses: Result<Vec<Address>, String> = text.split(',').map(|part| part.trim().parse()).collect();
        Self::new(addresses?)
    }
}

impl fmt::Display for AddressList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.0.iter().enumerate() {
            if at > 0 {
                formatter.write_str(",")?;
            }
            address.fmt(formatter)?;
        }
        Ok(())
    }
}

impl Serialize for AddressList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = AddressList;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an address or a list of them")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AddressList, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AddressList, A::Error> {
        let mut addresses = Vec::new();
        while let Some(address) = items.next_element()? {
            addresses.push(address);
        }
        AddressList::new(addresses).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_written() {
        for text in [
            "127.0.0.1:50051",
            "127.0.0.1:50051,[::1]:50051",
            "127.0.0.1:0,127.0.0.1:0",
            "unix:/run/a%2Cb.sock,:1",
        ] {
            let list: AddressList = text.parse().expect(text);
            assert_eq!(list.to_string(), text);
        }
        let spaced: AddressList = "127.0.0.1:1 , [::1]:1".parse().expect("spaces may be there");
        assert_eq!(spaced.all().len(), 2);
    }

    #[test]
    fn a_list_is_bounded_and_has_each_address_once() {
        let many = |count: u16| {
            (1..=count)
                .map(|port| format!("127.0.0.1:{port}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert!(many(16).parse::<AddressList>().is_ok());
        for (text, part) in [
            (many(17).as_str(), "these are 17 addresses, the most is 16"),
            ("", "`` is no address"),
            ("127.0.0.1:1,", "`` is no address"),
            ("127.0.0.1:1,127.0.0.1:1", "127.0.0.1:1 is there twice"),
            ("127.0.0.1:1,::1", "write [::1]:PORT"),
            ("unix:/run/a:0,unix:/run/a:0", "unix:/run/a:0 is there twice"),
        ] {
            let problem = text.parse::<AddressList>().expect_err(text);
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn a_file_may_have_a_list_of_strings() {
        #[derive(Deserialize)]
        struct File {
            addr: AddressList,
        }
        let read = |text: &str| toml::from_str::<File>(text).map(|file| file.addr.to_string());
        assert_eq!(
            read("addr = [\"127.0.0.1:1\", \"[::1]:1\"]").expect("a list"),
            "127.0.0.1:1,[::1]:1"
        );
        assert_eq!(
            read("addr = \"127.0.0.1:1,[::1]:1\"").expect("a text"),
            "127.0.0.1:1,[::1]:1"
        );
        let problem = read("addr = []").expect_err("none").to_string();
        assert!(problem.contains("an address is missing"), "{problem}");
    }
}
