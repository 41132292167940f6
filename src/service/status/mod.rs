//! Status: reports on the models: on every loaded version, in pages, and on one by its name. Changes nothing.
//!
//! In reading order: [`model_report`] (one version) → [`model_info`] (all of them).

pub mod model_info;
pub mod model_report;

use std::sync::Arc;

use super::catalog::fetched;
use super::catalog::store::CatalogStore;
use super::lifecycle::Lifecycle;
use super::lifecycle::owner::Handles;
use crate::config::Settings;
use crate::error::Error;
use crate::model::store::ModelStore;
use model_info::{Inventory, ModelDetails, ModelPage, ModelVersions, TaskDetails};
use model_report::{ModelReport, Reporter};

pub struct Status {
    catalog: CatalogStore,
    reporter: Reporter,
    lifecycle: Arc<Lifecycle>,
    settings: Arc<Settings>,
    /// Where the models were fetched from; absent if they are in a folder.
    store: Option<ModelStore>,
}

impl Status {
    /// The status of what a lifecycle has loaded.
    pub fn new(handles: &Handles, lifecycle: Arc<Lifecycle>, settings: Arc<Settings>) -> Self {
        Self {
            catalog: handles.catalog.clone(),
            reporter: Reporter::new(handles.health.clone(), Arc::clone(&lifecycle)),
            lifecycle,
            settings,
            store: handles.store.clone(),
        }
    }

    /// A report on every loaded version, by model name, the stable version first.
    pub fn reports(&self) -> Vec<ModelReport> {
        let catalog = self.catalog.load();
        let reports = catalog
            .versions()
            .map(|version| self.reporter.report(version, &catalog));
        reports.collect()
    }

    /// A page of all loaded versions, by name, then version. The token names the last version of the page before.
    pub fn list(&self, page_size: i32, page_token: &str) -> Result<ModelPage, Error> {
        self.of_now(|inventory| inventory.list(page_size, page_token))
    }

    /// The tasks, by name.
    pub fn tasks(&self) -> Vec<TaskDetails> {
        self.of_now(|inventory| inventory.tasks())
    }

    /// One version of a model, by `name` or `name@version`, all loaded versions of that model, and the tasks that it serves.
    pub fn get(&self, name: &str) -> Result<(ModelDetails, ModelVersions, Vec<TaskDetails>), Error> {
        self.of_now(|inventory| inventory.get(name))
    }

    fn of_now<T>(&self, tell: impl FnOnce(&Inventory<'_>) -> T) -> T {
        // A reload may have fetched another revision, which lies in another folder.
        let fetched = self
            .store
            .as_ref()
            .map(|store| fetched::local(&self.settings, Some(store)));
        tell(&Inventory {
            catalog: &self.catalog.load(),
            reporter: &self.reporter,
            lifecycle: &self.lifecycle,
            settings: fetched.as_ref().unwrap_or(&self.settings),
        })
    }
}
