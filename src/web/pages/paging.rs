//! Long lists a page at a time. A page is named by the item beside it, so that it costs the same however far it is from
//! the start, and stays what it is when items come.

use crate::db::error::DbError;

/// Where a page of a list begins or ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum PageOffset {
    /// At the start of the list.
    Start,
    /// It begins behind that item.
    Behind(i64),
    /// It ends before that item.
    Before(i64),
}

impl PageOffset {
    /// The place that an address names.
    pub(super) fn of(behind: Option<i64>, before: Option<i64>) -> Self {
        behind.map(Self::Behind).or_else(|| before.map(Self::Before)).unwrap_or(Self::Start)
    }
}

/// A page of a list.
pub(super) struct Paged<T> {
    /// Its items, in the list's order.
    pub(super) items: Vec<T>,
    /// There is something before them.
    pub(super) before: bool,
    /// There is something behind them.
    pub(super) behind: bool,
}

impl<T> Paged<T> {
    /// Reads a page of at most so many items; `read` gets the items next to a place, in the list's order, as many as
    /// it is told at most.
    ///
    /// # Errors
    /// The [`DbError`] of `read`.
    pub(super) fn read(
        place: PageOffset,
        most: u32,
        mut read: impl FnMut(PageOffset, u32) -> Result<Vec<T>, DbError>,
    ) -> Result<Self, DbError> {
        let is_full = |items: &[T]| items.len() > most as usize;
        let mut place = place;
        if let PageOffset::Before(_) = place {
            let mut items = read(place, most + 1)?;
            if is_full(&items) {
                items.remove(0);
                return Ok(Self { items, before: true, behind: true });
            }
            // The first page is a whole one.
            place = PageOffset::Start;
        }
        let mut items = read(place, most + 1)?;
        let behind = is_full(&items);
        items.truncate(most as usize);
        Ok(Self { items, before: matches!(place, PageOffset::Behind(_)), behind })
    }
}
