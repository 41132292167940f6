//! The catalog that serves now. Every request is routed by it; it is exchanged in one step.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Catalog;

/// Holds the catalog that serves; cheap to clone.
#[derive(Clone)]
pub struct CatalogStore {
    now: Arc<ArcSwap<Catalog>>,
}

impl CatalogStore {
    /// Begins with this catalog.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            now: Arc::new(ArcSwap::from_pointee(catalog)),
        }
    }

    /// The models and tasks of this moment. Take one snapshot for all that belongs together: the next call may return
    /// another.
    pub fn load(&self) -> Arc<Catalog> {
        self.now.load_full()
    }

    /// Exchanges the catalog; returns the one before.
    pub fn swap(&self, next: Arc<Catalog>) -> Arc<Catalog> {
        self.now.swap(next)
    }
}
