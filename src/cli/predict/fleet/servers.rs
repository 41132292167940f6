//! The servers of a fleet with their connections, and which of them gets the next request.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::addresses::{Found, resolve};
use super::pace::Pace;
use crate::cli::client::{Connection, CredentialArgs, Server, ServerAddress};

/// How long a request waits before it looks again whether a server has room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often names are looked up again while a server is lost.
const LOOK_UP_EVERY: Duration = Duration::from_secs(5);

/// Which servers to ask, and how.
pub struct Plan {
    pub addresses: Vec<ServerAddress>,
    pub credentials: CredentialArgs,
    /// The certificate of this client, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
    /// How long to go on without any answer.
    pub patience: Duration,
}

/// The servers.
pub struct Servers {
    plan: Plan,
    state: Mutex<State>,
    /// Told when a server may have room.
    room: Notify,
}

struct State {
    members: Vec<Member>,
    /// How many requests were answered, and when the last one was.
    answers: u64,
    answered: Instant,
    looked_up: Instant,
    /// What was last wrong with one of them.
    problem: String,
}

impl State {
    fn member(&mut self, key: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.key == key)
    }
}

struct Member {
    found: Found,
    key: String,
    pace: Pace,
    connection: Option<Connection>,
}

/// A request's turn at a server. It gives its place back when it is dropped.
pub struct Turn<'a> {
    servers: &'a Servers,
    key: String,
    began: Instant,
}

impl Servers {
    /// The servers behind the addresses. The error is one line.
    pub async fn find(plan: Plan) -> Result<Self, String> {
        let found = resolve(&plan.addresses).await?;
        let now = Instant::now();
        Ok(Self {
            plan,
            state: Mutex::new(State {
                members: found.into_iter().map(member).collect(),
                answers: 0,
                answered: now,
                looked_up: now,
                problem: "no address has a server".to_owned(),
            }),
            room: Notify::new(),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.state.lock().members.len()
    }

    /// How many requests were answered so far.
    pub fn answers(&self) -> u64 {
        self.state.lock().answers
    }

    /// A turn at the server that has most room, once one has some. The error says why nobody waits any longer, where nothing
    /// was answered for too long since `since`.
    pub async fn turn(&self, since: Instant) -> Result<Turn<'_>, String> {
        loop {
            let room = self.room.notified();
            let wait = {
                let now = Instant::now();
                let mut state = self.state.lock();
                let silent = now.duration_since(state.answered.max(since));
                if silent > self.plan.patience {
                    let (seconds, problem) = (silent.as_secs(), &state.problem);
                    return Err(format!(
                        "no server answered for {seconds} s; the last problem: {problem}"
                    ));
                }
                if let Some(turn) = self.take(&mut state, now) {
                    return Ok(turn);
                }
                let held = state.members.iter().filter_map(|member| member.pace.held_until());
                let next = held.filter(|until| *until > now).min();
                next.map_or(LOOK_AGAIN, |until| until.duration_since(now).min(LOOK_AGAIN))
            };
            tokio::select! {
                () = room => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn take(&self, state: &mut State, now: Instant) -> Option<Turn<'_>> {
        let loads = state
            .members
            .iter_mut()
            .filter_map(|member| Some((member.pace.load(now)?, member)));
        let (_, member) = loads.min_by(|(one, _), (other, _)| one.total_cmp(other))?;
        member.pace.begin();
        Some(Turn {
            servers: self,
            key: member.key.clone(),
            began: now,
        })
    }

    /// The connection of a turn's server, opened if there is none. The error is one line.
    pub async fn connection(&self, turn: &Turn<'_>) -> Result<Connection, String> {
        let server = {
            let mut state = self.state.lock();
            let member = state
                .member(&turn.key)
                .ok_or_else(|| format!("{}: is no server any more", turn.key))?;
            if let Some(connection) = &member.connection {
                return Ok(connection.clone());
            }
            self.server(&member.found)
        };
        let connection = server.connect().await?;
        let mut state = self.state.lock();
        if let Some(member) = state.member(&turn.key) {
            member.connection = Some(connection.clone());
        }
        Ok(connection)
    }

    fn server(&self, found: &Found) -> Server {
        let mut credentials = self.plan.credentials.clone();
        // The certificate has the name, whichever of its addresses is called.
        if credentials.tls_ca.is_some() && credentials.tls_name.is_none() {
            credentials.tls_name.clone_from(&found.name);
        }
        Server {
            address: found.address.clone(),
            credentials,
            own: self.plan.own.clone(),
        }
    }

    /// Looks names up again, if a server is lost and that was not done just now: others may have come in its place.
    pub async fn look_up(&self) {
        let now = Instant::now();
        {
            let mut state = self.state.lock();
            let lost = state.members.iter().any(|member| member.pace.is_lost());
            if !lost || now.duration_since(state.looked_up) < LOOK_UP_EVERY {
                return;
            }
            state.looked_up = now;
        }
        // While names can't be looked up, the servers that are known stay.
        let Ok(found) = resolve(&self.plan.addresses).await else {
            return;
        };
        let fresh: Vec<Member> = found.into_iter().map(member).collect();
        let mut state = self.state.lock();
        state
            .members
            .retain(|member| !member.pace.is_lost() || fresh.iter().any(|other| other.key == member.key));
        for member in fresh {
            if !state.members.iter().any(|known| known.key == member.key) {
                state.members.push(member);
            }
        }
        self.room.notify_waiters();
    }
}

fn member(found: Found) -> Member {
    Member {
        key: found.address.to_string(),
        found,
        pace: Pace::default(),
        connection: None,
    }
}

impl Turn<'_> {
    /// The server answered.
    pub fn answered(self) {
        let now = Instant::now();
        let mut state = self.servers.state.lock();
        state.answers += 1;
        state.answered = now;
        if let Some(member) = state.member(&self.key) {
            member.pace.answered(now.duration_since(self.began));
        }
    }

    /// The server has no room, and names a pause or none.
    pub fn refused(self, pause: Option<Duration>, problem: String) {
        let mut state = self.servers.state.lock();
        state.problem = problem;
        if let Some(member) = state.member(&self.key) {
            member.pace.refused(Instant::now(), self.began, pause);
        }
    }

    /// The server is gone, or could not be reached.
    pub fn lost(self, problem: String) {
        let mut state = self.servers.state.lock();
        state.problem = problem;
        if let Some(member) = state.member(&self.key) {
            member.pace.lose(Instant::now(), self.began);
            member.connection = None;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.servers.state.lock();
        if let Some(member) = state.member(&self.key) {
            member.pace.end();
        }
        drop(state);
        self.servers.room.notify_waiters();
    }
}
