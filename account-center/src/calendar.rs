//! Instants as the calendar has them, for protocols and notices that write dates.

use crate::context::Timestamp;

/// Seconds that China's clocks are ahead of UTC.
const CHINA: i64 = 8 * 3600;

/// A date with its time of day (proleptic Gregorian).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Civil {
    /// In UTC.
    pub(crate) fn utc(at: Timestamp) -> Self {
        Self::of(at.seconds())
    }

    /// In China (UTC+8).
    pub(crate) fn china(at: Timestamp) -> Self {
        Self::of(at.seconds() + CHINA)
    }

    fn of(seconds: i64) -> Self {
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days since 0000-03-01 in eras of 400 years, so that a leap day is the last of its year.
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Self {
            year: year + era * 400 + i64::from(month <= 2),
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// `2026-11-21`
    pub(crate) fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `07:54:11`
    pub(crate) fn time(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_those_of_the_calendar() {
        for (seconds, date, time) in [
            (0, "1970-01-01", "00:00:00"),
            (951_782_399, "2000-02-28", "23:59:59"),
            (951_782_400, "2000-02-29", "00:00:00"),
            (1_551_113_065, "2019-02-25", "16:44:25"),
            (4_107_542_400, "2100-03-01", "00:00:00"),
        ] {
            let civil = Civil::utc(Timestamp::from_seconds(seconds));
            assert_eq!((civil.date().as_str(), civil.time().as_str()), (date, time));
        }
        let new_year = Timestamp::from_seconds(1_609_430_400);
        assert_eq!(Civil::utc(new_year).date(), "2020-12-31");
        assert_eq!(Civil::china(new_year).date(), "2021-01-01");
    }
}
