//! The header of a message.

use serde::{Deserialize, Serialize};

/// Version of the messaging specification spoken here.
pub const PROTOCOL_VERSION: &str = "5.5";

/// Who sent a message, when, and of which type.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Header {
    /// Identity of the message.
    pub msg_id: String,
    /// Names the content.
    pub msg_type: String,
    /// Identity of the sending process.
    #[serde(default)]
    pub session: String,
    /// Name of the user there.
    #[serde(default)]
    pub username: String,
    /// Time of sending, ISO 8601.
    #[serde(default)]
    pub date: String,
    /// Version of the messaging specification.
    #[serde(default)]
    pub version: String,
}

/// A time as ISO 8601 in UTC with microseconds; `unix_micros` counts from 1970.
///
/// Days become a date by the algorithm `civil_from_days` of Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms".
pub fn iso8601(unix_micros: i64) -> String {
    const DAY_MICROS: i64 = 86_400_000_000;
    let (days, micros) = (
        unix_micros.div_euclid(DAY_MICROS),
        unix_micros.rem_euclid(DAY_MICROS),
    );
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_795_253_223_123_456, "2026-11-21T09:27:03.123456Z"),
        ];
        for (micros, text) in cases {
            assert_eq!(iso8601(micros), text);
        }
    }
}
