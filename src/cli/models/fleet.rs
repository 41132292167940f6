//! Several servers: what each has of the models and where they differ, and a command that walks from one to the next and
//! stops at the first that refuses.

use std::collections::{BTreeMap, BTreeSet};

use super::print::{Printer, role, state};
use super::{Action, act_on, connect};
use crate::api::json;
use crate::api::pb;
use crate::cli::admin_args::{AdminArgs, AdminServer};
use crate::cli::exit::Exit;
use crate::cli::output::{self, complain, outln};
use crate::cli::terminal::Table;
use crate::config::Settings;

/// What each server has, or why it can't say.
type Answers<'a> = Vec<(&'a AdminServer, Result<pb::ListModelsResponse, String>)>;

/// Lists the versions of all servers, and what differs. Fails if something does, or if a server can't be asked.
pub async fn list(
    args: &AdminArgs,
    servers: &[AdminServer],
    settings: &Settings,
    printer: &Printer,
) -> Result<Exit, String> {
    let ask = |server| async move {
        let answer = match connect(args, server, settings).await {
            Ok(mut clients) => clients.list().await,
            Err(problem) => Err(problem),
        };
        (server, answer)
    };
    let answers: Answers<'_> = futures::future::join_all(servers.iter().map(ask)).await;
    let differences = differences(&answers);
    if printer.json {
        as_json(&answers, differences.is_empty());
    } else {
        as_table(&answers);
        for difference in &differences {
            outln!("{difference}");
        }
    }
    for (server, answer) in &answers {
        if let Err(problem) = answer {
            complain(&of(server, problem));
        }
    }
    let well = differences.is_empty() && answers.iter().all(|(_, answer)| answer.is_ok());
    Ok(if well { Exit::Success } else { Exit::Failure })
}

/// Does it at one server after the other, and stops at the first that refuses.
pub async fn walk(
    args: &AdminArgs,
    servers: &[AdminServer],
    settings: &Settings,
    action: &Action,
    printer: &Printer,
) -> Result<Exit, String> {
    for (done, server) in servers.iter().enumerate() {
        if !printer.json {
            outln!("{}", server.address);
        }
        let printer = Printer {
            server: Some(server.address.to_string()),
            ..*printer
        };
        let outcome = match connect(args, server, settings).await {
            Ok(mut clients) => act_on(&mut clients, action, &printer).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(Exit::Success) => {}
            Ok(exit) => {
                complain(&stopped(server, done, servers.len()));
                return Ok(exit);
            }
            Err(problem) => {
                complain(&of(server, &problem));
                return Err(stopped(server, done, servers.len()));
            }
        }
    }
    Ok(Exit::Success)
}

fn stopped(server: &AdminServer, done: usize, all: usize) -> String {
    let left = all - done - 1;
    format!(
        "stopped at {}: {done} of {all} servers did it, {left} were not asked",
        server.address
    )
}

/// A problem with the server's address, unless it begins with that.
fn of(server: &AdminServer, problem: &str) -> String {
    let address = server.address.to_string();
    if problem.starts_with(&address) {
        problem.to_owned()
    } else {
        format!("{address}: {problem}")
    }
}

fn as_table(answers: &Answers<'_>) {
    let mut table = Table::new(["server", "model", "version", "role", "state", "fingerprint"]);
    for (server, answer) in answers {
        let Ok(answer) = answer else { continue };
        for model in &answer.models {
            let which = model.model.clone().unwrap_or_default();
            table.row([
                &*server.address.to_string(),
                &which.name,
                &which.version,
                role(model.role()),
                state(model.state()),
                &which.fingerprint,
            ]);
        }
    }
    output::painted(&table.painted());
}

fn as_json(answers: &Answers<'_>, same: bool) {
    let server = |(server, answer): &(&AdminServer, Result<pb::ListModelsResponse, String>)| {
        let address = server.address.to_string();
        match answer {
            Ok(answer) => {
                let models: serde_json::Value =
                    serde_json::from_slice(&json::encode(answer)).expect("the answer is JSON");
                serde_json::json!({"address": address, "models": models["models"]})
            }
            Err(problem) => serde_json::json!({"address": address, "problem": problem}),
        }
    };
    let servers: Vec<_> = answers.iter().map(server).collect();
    outln!("{}", serde_json::json!({"servers": servers, "same": same}));
}

/// A line for each model that is not the same everywhere: versions with their roles, states and files.
fn differences(answers: &Answers<'_>) -> Vec<String> {
    let mut by_model: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    let asked: Vec<_> = answers
        .iter()
        .filter_map(|(server, answer)| Some((server, answer.as_ref().ok()?)))
        .collect();
    let names = asked.iter().flat_map(|(_, answer)| &answer.models);
    let names: BTreeSet<String> = names
        .map(|model| model.model.clone().unwrap_or_default().name)
        .collect();
    for (server, answer) in asked {
        for name in &names {
            let mut has: Vec<String> = Vec::new();
            for model in &answer.models {
                let which = model.model.clone().unwrap_or_default();
                if which.name == *name {
                    let (role, state) = (role(model.role()), state(model.state()));
                    has.push(format!("{} {role} {state} {}", which.version, which.fingerprint));
                }
            }
            has.sort_unstable();
            let what = if has.is_empty() {
                "nothing".to_owned()
            } else {
                has.join(", ")
            };
            let servers = by_model.entry(name.clone()).or_default().entry(what).or_default();
            servers.push(server.address.to_string());
        }
    }
    by_model.retain(|_, found| found.len() > 1);
    let told = |(name, found): (String, BTreeMap<String, Vec<String>>)| {
        let each = found
            .into_iter()
            .map(|(what, servers)| format!("{} at {}", what, servers.join(", ")));
        format!("{name} differs: {}", each.collect::<Vec<_>>().join("; "))
    };
    by_model.into_iter().map(told).collect()
}
