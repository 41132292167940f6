//! Sockets of the doors: from an address to a socket that accepts connections, over TCP or a Unix socket.
//!
//! A host name means the first of its addresses that can be had, IPv4 before IPv6; `:port` means all addresses of both.
//! The file of a Unix socket gets the mode that the umask leaves. A file that a dead server left is replaced; that of a
//! live server, and a file that is no socket, stays. The file is removed with the socket.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio_util::either::Either;

use crate::config::Address;
use crate::config::address::is_localhost;

/// How many connections the system keeps for us to accept. With the usual 128, a client that comes in a rush of others
/// waits a second for its second try.
const BACKLOG: u32 = 4096;

/// How long to wait for the addresses of a host name.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// A connection that was accepted.
pub type Stream = Either<TcpStream, UnixStream>;

/// A connection on its way from one runtime to another.
pub struct MovingStream(Either<std::net::TcpStream, std::os::unix::net::UnixStream>);

impl MovingStream {
    /// Takes a connection out of the runtime that accepted it.
    pub fn take(stream: Stream) -> io::Result<Self> {
        Ok(Self(match stream {
            Either::Left(stream) => Either::Left(stream.into_std()?),
            Either::Right(stream) => Either::Right(stream.into_std()?),
        }))
    }

    /// Gives it to the runtime of the calling task.
    pub fn land(self) -> io::Result<Stream> {
        Ok(match self.0 {
            Either::Left(stream) => Either::Left(TcpStream::from_std(stream)?),
            Either::Right(stream) => Either::Right(UnixStream::from_std(stream)?),
        })
    }
}

/// An address that is taken but does not accept connections yet: over TCP they are refused until it listens.
pub enum Taken {
    /// A port.
    Tcp(TcpSocket),
    /// A Unix socket that can be made. It is made when it listens, since one that does not listen looks like a dead
    /// server's.
    Unix(Address, PathBuf),
}

/// A socket that accepts connections.
pub struct Socket {
    address: Address,
    listener: Listener,
}

enum Listener {
    Tcp(TcpListener),
    /// `file` is dropped first: once the socket is closed, another server may take its path.
    Unix {
        _file: Option<SocketFile>,
        listener: UnixListener,
    },
}

impl Taken {
    pub async fn take(address: &Address) -> io::Result<Self> {
        if let Some(path) = address.unix_path() {
            drop(bind_unix(&path)?);
            return Ok(Self::Unix(address.clone(), path));
        }
        let mut problem = None;
        for candidate in resolve(address).await? {
            match bind_tcp(candidate) {
                Ok(socket) => return Ok(Self::Tcp(socket)),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        Err(problem.unwrap_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address")))
    }

    /// The address at which it will listen, with the port that the system chose for port 0.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(socket) => socket.local_addr()?.into(),
            Self::Unix(address, _) => address.clone(),
        })
    }

    /// Begins to accept connections.
    pub fn listen(self) -> io::Result<Socket> {
        let address = self.address()?;
        let listener = match self {
            Self::Tcp(socket) => Listener::Tcp(socket.listen(BACKLOG)?),
            Self::Unix(_, path) => {
                let (file, socket) = bind_unix(&path)?;
                Listener::Unix {
                    _file: file,
                    listener: socket.listen(BACKLOG)?,
                }
            }
        };
        Ok(Socket { address, listener })
    }
}

impl Socket {
    /// The address at which it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection, and the address that it comes from; `None` over a Unix socket.
    pub async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                // An error shows again when the connection is read.
                let _ = stream.set_nodelay(true);
                Ok((Either::Left(stream), Some(from.ip())))
            }
            Listener::Unix { listener, .. } => Ok((Either::Right(listener.accept().await?.0), None)),
        }
    }
}

/// The network addresses that an address means.
async fn resolve(address: &Address) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = match address {
        Address::Ip(address) => return Ok(vec![*address]),
        // On IPv6's wildcard address the system accepts IPv4 too; a host without IPv6 has only the other.
        Address::Any(port) => {
            return Ok(vec![
                (Ipv6Addr::UNSPECIFIED, *port).into(),
                (Ipv4Addr::UNSPECIFIED, *port).into(),
            ]);
        }
        Address::Name(host, port) => (host.as_str(), *port),
        Address::Unix(_) | Address::UnixAbstract(_) => return Ok(Vec::new()),
    };
    let found = tokio::time::timeout(RESOLVE_LIMIT, tokio::net::lookup_host((host, port)));
    let found = found
        .await
        .map_err(|_| io::Error::new(ErrorKind::TimedOut, "no answer to the question for the name"))??;
    // The address was allowed because it is loopback, so only loopback addresses count.
    let mut found: Vec<SocketAddr> = found
        .filter(|found| !is_localhost(host) || found.ip().is_loopback())
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a restart need not wait for the remains of old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Binds a Unix socket, in the place of one that a dead server left.
fn bind_unix(path: &Path) -> io::Result<(Option<SocketFile>, UnixSocket)> {
    let bind = || -> io::Result<_> {
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        Ok((SocketFile::at(path), socket))
    };
    match bind() {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            check_dead(path)?;
            fs::remove_file(path)?;
            bind()
        }
        outcome => outcome,
    }
}

/// Checks that there is a socket at `path` and nobody listens there.
fn check_dead(path: &Path) -> io::Result<()> {
    let in_use = |problem| Err(io::Error::new(ErrorKind::AddrInUse, problem));
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return in_use("a file that is no socket is there"),
        Ok(_) => {}
        Err(_) => return in_use("another server listens there"),
    }
    // The first try decides: with a live server whose backlog is full, connecting would wait.
    match UnixStream::connect(path).now_or_never() {
        Some(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Some(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        _ => in_use("another server listens there"),
    }
}

/// The file of a Unix socket. Removes it when dropped, if it is still the file that was made.
struct SocketFile {
    path: PathBuf,
    /// The numbers of its device and of its inode.
    made: (u64, u64),
}

impl SocketFile {
    /// The file at `path`; `None` for a socket without a file.
    fn at(path: &Path) -> Option<Self> {
        // Absolute, since the process may later change its current folder.
        let path = std::path::absolute(path).ok()?;
        let made = identity(&path)?;
        Some(Self { path, made })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.made) {
            // If it can't be removed, the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    found.file_type().is_socket().then(|| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream as BlockingUnixStream;

    use super::*;

    fn unix(path: &Path) -> Address {
        Address::Unix(path.to_owned())
    }

    async fn open(address: &Address) -> io::Result<Socket> {
        Taken::take(address).await?.listen()
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_server_is_replaced_and_goes_with_its_own() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        assert!(path.exists(), "a dead server leaves it");
        let taken = Taken::take(&unix(&path)).await.expect("nobody listens");
        assert!(!path.exists(), "nothing is there until it listens");
        let socket = taken.listen().expect("it is free");
        BlockingUnixStream::connect(&path).expect("somebody listens");
        socket.accept().await.expect("accepted");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_live_server_and_what_is_no_socket_keep_their_place() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.sock");
        let live = open(&unix(&path)).await.expect("free");
        let refused = open(&unix(&path)).await.err().expect("taken");
        assert!(refused.to_string().contains("another server listens"), "{refused}");
        BlockingUnixStream::connect(&path).expect("it still listens");
        // A link to a socket is not replaced either.
        let (file, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        fs::write(&file, "kept").expect("written");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        for place in [&file, &link, &folder.path().to_owned()] {
            let refused = open(&unix(place)).await.err().expect("not ours");
            assert!(refused.to_string().contains("no socket"), "{refused}");
        }
        assert_eq!(fs::read(&file).expect("still there"), b"kept");
        assert!(link.is_symlink());
        drop(live);
    }

    #[tokio::test]
    async fn the_file_of_another_server_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.sock");
        let first = open(&unix(&path)).await.expect("free");
        fs::remove_file(&path).expect("removed");
        let second = open(&unix(&path)).await.expect("free");
        drop(first);
        BlockingUnixStream::connect(&path).expect("the second listens");
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn names_and_all_addresses_take_a_port() {
        let name = open(&Address::Name("localhost".into(), 0)).await.expect("a port");
        assert!(
            name.address()
                .ip()
                .is_some_and(|address| address.ip().is_loopback() && address.port() > 0)
        );
        let any = open(&Address::Any(0)).await.expect("a port");
        let port = any.address().ip().expect("a port").port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("IPv4");
        let unknown = open(&Address::Name("no-such-host.invalid".into(), 0)).await;
        assert!(unknown.is_err());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_socket_without_a_file_is_taken_once() {
        let address = Address::UnixAbstract(format!("tandem-test-{}", std::process::id()));
        let socket = open(&address).await.expect("free");
        let refused = open(&address).await.err().expect("taken");
        assert!(refused.to_string().contains("another server listens"), "{refused}");
        UnixStream::connect(address.unix_path().expect("a name"))
            .await
            .expect("somebody listens");
        drop(socket);
    }
}
