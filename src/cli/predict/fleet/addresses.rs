//! The servers behind the addresses of `--addr`: a name may stand for several.

use tokio::net::lookup_host;

use crate::cli::client::ServerAddress;
use crate::config::Address;

/// The most servers of a fleet.
pub const MOST_SERVERS: usize = 1000;

/// A server, and the name by which it was found, if it was by one.
#[derive(Clone, Debug)]
pub struct Found {
    pub address: ServerAddress,
    pub name: Option<String>,
}

/// All servers behind these addresses, each once. A URL is one server. The error is one line.
pub async fn resolve(addresses: &[ServerAddress]) -> Result<Vec<Found>, String> {
    let mut found: Vec<Found> = Vec::new();
    let mut problem = None;
    for address in addresses {
        let of_address = match address {
            ServerAddress::Plain(Address::Name(host, port)) => match lookup_host((host.as_str(), *port)).await {
                Ok(all) => all
                    .map(|address| Found {
                        address: ServerAddress::Plain(Address::Ip(address)),
                        name: Some(host.clone()),
                    })
                    .collect(),
                Err(error) => {
                    problem = Some(format!("{address}: {error}"));
                    Vec::new()
                }
            },
            _ => vec![Found {
                address: address.clone(),
                name: None,
            }],
        };
        for server in of_address {
            let known = |other: &Found| other.address.to_string() == server.address.to_string();
            if !found.iter().any(known) && found.len() < MOST_SERVERS {
                found.push(server);
            }
        }
    }
    match problem {
        Some(problem) if found.is_empty() => Err(problem),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_stand_for_all_their_addresses_and_each_server_counts_once() {
        let parse = |text: &&str| ServerAddress::parse(text).expect("an address");
        let all: Vec<ServerAddress> = ["127.0.0.1:5", "localhost:5", "http://a:1", "127.0.0.1:5"]
            .iter()
            .map(parse)
            .collect();
        let found = resolve(&all).await.expect("found");
        let shown: Vec<String> = found.iter().map(|found| found.address.to_string()).collect();
        assert_eq!(shown.iter().filter(|shown| *shown == "127.0.0.1:5").count(), 1);
        assert!(shown.contains(&"http://a:1".to_owned()), "{shown:?}");
        let unknown = [parse(&"no-such-host.invalid:5")];
        let problem = resolve(&unknown).await.expect_err("no such host");
        assert!(problem.starts_with("no-such-host.invalid:5: "), "{problem}");
    }
}
