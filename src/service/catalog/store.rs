//! The catalog of now: what every request is routed by, exchanged in one step.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Catalog;

/// Holds the catalog that serves; cheap to clone.
#[derive(Clone)]
pub struct CatalogStore {
    now: Arc<ArcSwap<Catalog>>,
}

impl CatalogStore {
    /// Begins with a catalog.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            now: Arc::new(ArcSwap::from_pointee(catalog)),
        }
    }

    /// The models and tasks of this moment. Whoever needs several things of it asks once: the next one may differ.
    pub fn load(&self) -> Arc<Catalog> {
        self.now.load_full()
    }

    /// Puts the next catalog in the place of the one that serves, which it gives back.
    pub fn swap(&self, next: Arc<Catalog>) -> Arc<Catalog> {
        self.now.swap(next)
    }
}
