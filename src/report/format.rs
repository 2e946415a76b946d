//! Numbers and times as people read them. Nothing here ever rounds a failure away.

use crate::model::time::rfc3339;

/// What stands where there is no value.
pub const NOTHING: &str = "–";

/// `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of 0..=1 in percent, to one decimal. Only all is `100 %` and only nothing is `0 %`: what comes
/// close to either gets a second decimal, or a `>` or `<`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 || !percent.is_finite() {
        return "0 %".to_owned();
    }
    if percent >= 100.0 {
        return "100 %".to_owned();
    }
    if percent < 0.01 {
        return "<0.01 %".to_owned();
    }
    if percent > 99.99 {
        return ">99.99 %".to_owned();
    }
    if !(0.1..=99.9).contains(&percent) {
        return format!("{percent:.2} %");
    }
    format!("{percent:.1} %")
}

/// Milliseconds in the unit that suits them: `0.42 ms`, `235 ms`, `1.42 s`, `2 min 5 s`, `3 h 20 min`.
pub fn duration(ms: f64) -> String {
    let seconds = (ms / 1000.0).round() as u64;
    match ms {
        ms if ms <= 0.0 || !ms.is_finite() => "0 ms".to_owned(),
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9_995.0 => format!("{:.2} s", ms / 1000.0),
        ms if ms < 59_950.0 => format!("{:.1} s", ms / 1000.0),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds < 172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An amount of money without its currency: two decimals, or for less than one the first three digits that
/// say something.
pub fn money(amount: f64) -> String {
    let size = amount.abs();
    if size == 0.0 || !size.is_finite() {
        return "0".to_owned();
    }
    if size >= 0.995 {
        let cents = format!("{size:.2}");
        let (whole, fraction) = cents.split_once('.').expect("two decimals were asked for");
        let sign = if amount < 0.0 { "−" } else { "" };
        return format!("{sign}{}.{fraction}", count(whole.parse().unwrap_or(u64::MAX)));
    }
    if size < 1e-9 {
        return "<0.000000001".to_owned();
    }
    let decimals = (2.0 - size.log10().floor()).clamp(2.0, 12.0) as usize;
    let text = format!("{amount:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How many a minute: `132 / min`, `4.2 / min`, `0.03 / min`.
pub fn rate(per_minute: f64) -> String {
    match per_minute {
        rate if rate >= 100.0 => format!("{} / min", count(rate.round() as u64)),
        rate if rate >= 1.0 => format!("{rate:.1} / min"),
        rate if rate > 0.0 => format!("{rate:.2} / min"),
        _ => "0 / min".to_owned(),
    }
}

/// `1.4 MB`, in powers of 1000.
pub fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 999.5 {
            let decimals = usize::from(size < 10.0 && unit != "B");
            return format!("{size:.decimals$} {unit}");
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// A whole number of minutes as the words after "last": `hour`, `2 hours`, `30 minutes`.
pub fn stretch(minutes: u32) -> String {
    match minutes {
        1 => "minute".to_owned(),
        60 => "hour".to_owned(),
        minutes if minutes % 60 == 0 => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}

/// A time that has passed, in its largest whole unit: `34 minutes`, `3 hours`, `12 days`.
pub fn age(minutes: u32) -> String {
    let (count, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// `2026-01-25 13:05 UTC`.
pub fn time(ms: i64) -> String {
    to_the_minute(&rfc3339(ms))
}

/// Of a moment as [`rfc3339`] writes it.
fn to_the_minute(moment: &str) -> String {
    format!("{} {} UTC", &moment[..10], &moment[11..16])
}

/// `<time>` with the moment to the millisecond for machines, and to the minute for people. Safe as HTML.
pub fn time_element(ms: i64) -> String {
    let moment = rfc3339(ms);
    format!("<time datetime=\"{moment}\">{}</time>", to_the_minute(&moment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let told = [1, 34, 119, 120, 2879, 2880, 20_000].map(age);
        assert_eq!(
            told,
            ["1 minute", "34 minutes", "119 minutes", "2 hours", "47 hours", "2 days", "13 days"]
        );
    }

    #[test]
    fn counts_are_grouped() {
        let table = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (100_000, "100,000")];
        for (n, text) in table {
            assert_eq!(count(n), text);
        }
    }

    #[test]
    fn only_all_is_a_hundred_percent_and_only_none_is_zero() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.99996), ">99.99 %");
        assert_eq!(percent(0.9995), "99.95 %");
        assert_eq!(percent(0.987), "98.7 %");
        assert_eq!(percent(0.0004), "0.04 %");
        assert_eq!(percent(0.00001), "<0.01 %");
    }

    #[test]
    fn durations_take_the_unit_that_suits_them() {
        let table = [
            (0.0, "0 ms"),
            (0.4219, "0.42 ms"),
            (235.4, "235 ms"),
            (999.7, "1.00 s"),
            (1424.0, "1.42 s"),
            (59_949.0, "59.9 s"),
            (125_000.0, "2 min 5 s"),
            (12_000_000.0, "3 h 20 min"),
            (400_000_000.0, "4 days"),
        ];
        for (ms, text) in table {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn money_shows_what_there_is_of_it() {
        let table = [(0.0, "0"), (1234.5, "1,234.50"), (0.25, "0.25"), (0.000_123_4, "0.000123")];
        for (amount, text) in table {
            assert_eq!(money(amount), text);
        }
    }

    #[test]
    fn times_are_utc_to_the_minute() {
        assert_eq!(time(1_769_346_312_345), "2026-01-25 13:05 UTC");
        assert_eq!(
            time_element(1_769_346_312_345),
            "<time datetime=\"2026-01-25T13:05:12.345Z\">2026-01-25 13:05 UTC</time>"
        );
    }

    proptest! {
        #[test]
        fn any_number_can_be_shown(value in any::<f64>()) {
            for text in [percent(value), duration(value), money(value), rate(value)] {
                prop_assert!(!text.is_empty() && !text.contains("NaN") && !text.contains("inf"), "{}", text);
            }
        }

        #[test]
        fn amounts_below_one_keep_three_digits(amount in 1e-9f64..0.99) {
            let shown: f64 = money(amount).parse().expect("a plain number");
            prop_assert!((shown - amount).abs() <= amount * 0.006);
        }
    }
}
