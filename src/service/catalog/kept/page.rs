//! Pages of kept texts, the oldest first. A token names the last text of the page before, so it stays valid when texts come
//! and go.

use std::ops::Bound;
use std::sync::Arc;

use super::text::{KeptText, Reasons};
use super::{KeptTexts, Rings};
use crate::error::Error;

/// The texts on a page, where the request gives no size.
const DEFAULT_PAGE: usize = 100;
/// The most texts on a page.
const MAX_PAGE: usize = 1000;
/// The most reasons that a query may name.
pub const MAX_REASONS: usize = 16;
/// A page ends once it holds so many bytes.
const PAGE_BYTES: usize = 1 << 20;
/// The texts that are looked at while the lock is held.
const AT_A_TIME: usize = 256;

/// Which texts are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeptQuery<'a> {
    /// The task; empty for any.
    pub task: &'a str,
    /// At least one of these reasons; if empty, any.
    pub reasons: Reasons,
    pub page_size: i32,
    pub page_token: &'a str,
}

/// A page.
#[derive(Debug, Default)]
pub struct KeptPage {
    /// Each text with the reasons for which it is kept now.
    pub texts: Vec<(Arc<KeptText>, Reasons)>,
    /// The token of the next page; empty on the last one.
    pub next_page_token: String,
}

impl KeptTexts {
    /// A page of texts, in the order in which they were first kept.
    pub fn page(&self, query: KeptQuery<'_>) -> Result<KeptPage, Error> {
        let size = match usize::try_from(query.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) => size.min(MAX_PAGE),
            Err(_) => return Err(Error::invalid_field("page_size", "must not be negative")),
        };
        let mut last = self.after(query.page_token)?;
        let (mut page, mut bytes) = (KeptPage::default(), 0);
        loop {
            let (found, looked_at) = self.rings.lock().some_after(last, query);
            for (number, kept, reasons) in found {
                if page.texts.len() == size || bytes >= PAGE_BYTES {
                    page.next_page_token = self.token(last);
                    return Ok(page);
                }
                last = number;
                bytes += kept.bytes();
                page.texts.push((kept, reasons));
            }
            match looked_at {
                Some(number) => last = number,
                None => return Ok(page),
            }
        }
    }

    /// The number of the last text of the page before.
    fn after(&self, token: &str) -> Result<u64, Error> {
        if token.is_empty() {
            return Ok(0);
        }
        let parsed = token.split_once('-').and_then(|(run, number)| {
            let run = u64::from_str_radix(run, 16).ok()?;
            let number = number.parse().ok()?;
            (run == self.run).then_some(number)
        });
        // As it was written: no sign, no further zeros.
        parsed.filter(|number| self.token(*number) == token).ok_or_else(|| {
            let problem = "must be the next_page_token of an answer of this server since its start, as it was";
            Error::invalid_field("page_token", problem)
        })
    }

    fn token(&self, number: u64) -> String {
        format!("{:x}-{number}", self.run)
    }
}

impl Rings {
    /// Of the texts after a number, some that are asked for; with the number of the last that was looked at, unless there are
    /// no more.
    #[expect(clippy::type_complexity, reason = "each is taken apart at once")]
    fn some_after(&self, number: u64, query: KeptQuery<'_>) -> (Vec<(u64, Arc<KeptText>, Reasons)>, Option<u64>) {
        let mut looked_at = None;
        let mut found = Vec::new();
        let after = self.texts.range((Bound::Excluded(number), Bound::Unbounded));
        for (at, (&number, entry)) in after.enumerate() {
            if at == AT_A_TIME {
                return (found, looked_at);
            }
            looked_at = Some(number);
            let of_task = query.task.is_empty() || query.task == entry.kept.task;
            let of_reason = query.reasons.is_empty() || entry.reasons.meets(query.reasons);
            if of_task && of_reason {
                found.push((number, Arc::clone(&entry.kept), entry.reasons));
            }
        }
        (found, None)
    }
}
