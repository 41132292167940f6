//! Named tasks: what the field `tasks` of a request may hold, and which tasks it means.

use std::collections::HashSet;

use crate::error::Error;
use crate::model::manifest::is_name;
use crate::service::catalog::Catalog;
use crate::service::messages::PredictInput;

/// The most tasks of one request.
pub const MAX_TASKS: usize = 32;
/// What names every task of the server.
const ALL_TASKS: &str = "*";

/// Tells of each fault its field and what is wrong. Which tasks there are, routing checks.
pub fn check(input: &PredictInput, mut fault: impl FnMut(String, String)) {
    let tasks = &input.tasks;
    if tasks.is_empty() {
        return;
    }
    if !input.task.is_empty() {
        fault("task".into(), "excludes tasks: set one of the two".into());
    }
    if !input.model.is_empty() {
        fault("model".into(), "excludes tasks: one model was asked for".into());
    }
    if tasks.len() > MAX_TASKS {
        let problem = format!("holds more than {MAX_TASKS} names, the limit is {MAX_TASKS}");
        return fault("tasks".into(), problem);
    }
    let mut known = HashSet::new();
    for (at, task) in tasks.iter().enumerate() {
        let problem = match task.as_str() {
            ALL_TASKS if tasks.len() > 1 => "names all tasks: it must stand alone",
            ALL_TASKS => continue,
            name if !is_name(name) => "must match [a-z0-9][a-z0-9_-]{0,62}, or be * alone",
            name if !known.insert(name) => "is named twice",
            _ => continue,
        };
        fault(format!("tasks[{at}]"), problem.into());
    }
}

/// How many tasks are asked for.
pub fn count(tasks: &[String], catalog: &Catalog) -> usize {
    if tasks == [ALL_TASKS] {
        catalog.tasks().len()
    } else {
        tasks.len()
    }
}

/// The tasks that are asked for, by name.
pub fn names(tasks: &[String], catalog: &Catalog) -> Result<Vec<String>, Error> {
    if tasks != [ALL_TASKS] {
        return Ok(tasks.to_vec());
    }
    let found = catalog.tasks().len();
    if found > MAX_TASKS {
        let problem = format!("names all {found} tasks of this server, the limit is {MAX_TASKS}: name those you want");
        return Err(Error::invalid_field("tasks", problem));
    }
    Ok(catalog.task_names().map(str::to_owned).collect())
}
