//! L11: what becomes of attempts to log in. The client tells the steps that only it sees (`POST /v1/events`), the server writes its own in the transaction of each
//! step, and both meet in the attempt. A day that is over is counted once and for good; its events may go then.

mod events;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Timestamp;
use crate::store::funnel::{self as rows, CountRow};
use crate::store::{Store, StoreError};

pub(crate) use events::begin;
pub use events::{Batch, KINDS, LATEST, Taken, attempt_name};

/// The steps in the order in which people meet them; others come after these.
const ORDER: [&str; 14] = [
    "shown",
    "tapped",
    "authorization_started",
    "consented",
    "identified",
    "asked_phone",
    "asked_sms_code",
    "asked_verification",
    "asked_registration",
    "asked_face",
    "account_created",
    "account_signed",
    "bound",
    "logged_in",
];

/// Rows in one transaction of the sweep.
const BATCH: i64 = 500;

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days for which the events themselves are kept.
    pub events: u32,
    /// Days for which it is known who was active.
    pub activity: u32,
}

/// How many attempts reached a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StepCount {
    /// The provider.
    pub provider: String,
    /// The step.
    pub step: String,
    /// Attempts.
    pub attempts: i64,
}

/// What a count is narrowed to; empty: not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of the bank's apps.
    pub app: String,
    /// A provider.
    pub provider: String,
    /// An administrative code.
    pub region: String,
}

impl Filter {
    fn takes(&self, row: &CountRow) -> bool {
        let fits = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        fits(&self.app, &row.app_id)
            && fits(&self.provider, &row.provider)
            && fits(&self.region, &row.region)
    }
}

/// Adds the days up: by provider, and within it in the order of the steps.
pub fn add_up(counts: &[CountRow], filter: &Filter) -> Vec<StepCount> {
    let mut sums: BTreeMap<(&str, usize, &str), i64> = BTreeMap::new();
    for row in counts.iter().filter(|row| filter.takes(row)) {
        let place = ORDER
            .iter()
            .position(|step| *step == row.kind)
            .unwrap_or(ORDER.len());
        *sums.entry((&row.provider, place, &row.kind)).or_default() += row.attempts;
    }
    sums.into_iter()
        .map(|((provider, _, step), attempts)| StepCount {
            provider: provider.to_owned(),
            step: step.to_owned(),
            attempts,
        })
        .collect()
}

/// Counts the days that are over and can get no late events any more, and deletes what is older than it is kept. Several nodes may do so at once.
pub async fn sweep(store: &Store, now: Timestamp, kept: Retention) -> Result<(), StoreError> {
    // A day later than the latest event of a day may come, as nodes' clocks differ.
    let until = rows::day_of(now.minus(LATEST).minus(Duration::from_hours(24)));
    loop {
        let open = store
            .read(move |tx| {
                Box::pin(async move {
                    let Some(day) = rows::first_open_day(tx, until).await? else {
                        return Ok::<_, StoreError>(None);
                    };
                    Ok(Some((day, rows::count_events(tx, day, day + 1).await?)))
                })
            })
            .await?;
        let Some((day, counts)) = open else { break };
        store
            .write(move |tx| {
                let counts = counts.clone();
                Box::pin(async move { rows::close_day(tx, day, &counts, now).await })
            })
            .await?;
    }
    let days = |count: u32| Duration::from_hours(24) * count;
    let before = now.minus(days(kept.events));
    for table in 0..rows::OLD_TABLES {
        while store
            .write(move |tx| Box::pin(rows::delete_old(tx, table, before, BATCH)))
            .await?
            >= BATCH.unsigned_abs()
        {}
    }
    let before = rows::day_of(now.minus(days(kept.activity)));
    while store
        .write(move |tx| Box::pin(rows::delete_activity(tx, before, BATCH)))
        .await?
        >= BATCH.unsigned_abs()
    {}
    Ok(())
}

/// A day as people write it, `2026-11-21`: days since 1970.
pub fn parse_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut number = |length: usize| -> Option<i64> {
        parts
            .next()
            .filter(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|part| part.parse().ok())
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || year < 1970 {
        return None;
    }
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // A year of the calendar that begins in March: the leap day is its last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests;
