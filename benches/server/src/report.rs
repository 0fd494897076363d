//! Figures, and how they are printed.

use std::time::Duration;

use crate::load::Outcome;
use crate::measure;

/// One series of requests.
pub(crate) struct Figure {
    /// What was asked.
    pub(crate) name: String,
    /// How many were answered.
    pub(crate) count: usize,
    /// Answers in a second.
    pub(crate) rate: f64,
    /// Milliseconds of CPU time for each, of the server's process.
    pub(crate) server_ms: f64,
    /// Of the database's processes; 0 where the database is part of the server.
    pub(crate) database_ms: f64,
    /// Half were answered within this.
    pub p50: Duration,
    /// All but one in a hundred were.
    pub p99: Duration,
    /// The server's memory afterwards, in bytes.
    pub(crate) resident: u64,
    /// The machine's load average then.
    pub(crate) load: String,
}

impl Figure {
    /// From what came back and the CPU time meanwhile.
    pub(crate) fn new(
        name: &str,
        outcome: &Outcome,
        server: Duration,
        database: Duration,
        resident: u64,
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of requests")]
        let count = outcome.done().max(1) as f64;
        Self {
            name: name.to_owned(),
            count: outcome.done(),
            rate: count / outcome.elapsed.as_secs_f64(),
            server_ms: server.as_secs_f64() * 1000.0 / count,
            database_ms: database.as_secs_f64() * 1000.0 / count,
            p50: outcome.quantile(0.5),
            p99: outcome.quantile(0.99),
            resident,
            load: measure::load_average(),
        }
    }

    /// Milliseconds of CPU time for each, database included.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.server_ms + self.database_ms
    }
}

/// The first line of a table.
pub(crate) fn head() -> String {
    format!(
        "{:<44} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>6}",
        "", "count", "each s", "CPU ms", "server", "database", "p50 ms", "p99 ms", "MB", "load"
    )
}

/// A line of it. `place`: which server, over which database.
pub(crate) fn line(place: &str, figure: &Figure) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a number of bytes")]
    let megabytes = figure.resident as f64 / 1_048_576.0;
    format!(
        "{:<44} {:>7} {:>9.0} {:>9.3} {:>9.3} {:>9.3} {:>8.1} {:>8.1} {:>8.1} {:>6}",
        format!("{place}: {}", figure.name),
        figure.count,
        figure.rate,
        figure.cpu_ms(),
        figure.server_ms,
        figure.database_ms,
        figure.p50.as_secs_f64() * 1000.0,
        figure.p99.as_secs_f64() * 1000.0,
        megabytes,
        figure.load
    )
}
