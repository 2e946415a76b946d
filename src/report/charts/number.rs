//! Numbers as charts hold and write them. A page has tens of thousands, so that writing them is most of drawing.

/// Significant digits of a value: a chart can show no more.
const DIGITS: i32 = 5;

/// Whole numbers above this are not told apart by the last digit.
const MOST_WHOLE: f64 = 1e15;

/// Whole numbers as they are, others to five digits.
pub fn rounded(value: f64) -> f64 {
    if value.fract() == 0.0 {
        return value;
    }
    let scale = 10_f64.powi(decimals(value));
    (value * scale).round() / scale
}

fn decimals(value: f64) -> i32 {
    let magnitude = match value.abs() {
        size @ 1.0..MOST_WHOLE => (size as u64).ilog10() as i32,
        size => size.log10().floor() as i32,
    };
    (DIGITS - 1 - magnitude).clamp(0, 12)
}

/// Appends the shortest text of a value that is [`rounded`].
pub fn write_rounded(value: f64, out: &mut String) {
    if value.abs() >= MOST_WHOLE {
        out.push_str(&value.to_string());
    } else if value.fract() == 0.0 {
        write_whole(value as i64, out);
    } else {
        let decimals = decimals(value);
        write_scaled((value * 10_f64.powi(decimals)).round() as i64, decimals.unsigned_abs(), out);
    }
}

/// Appends a number in units of the last of so many decimals: 1250 with 3 of them is `1.25`.
pub fn write_scaled(mut scaled: i64, mut decimals: u32, out: &mut String) {
    while decimals > 0 && scaled % 10 == 0 {
        (scaled, decimals) = (scaled / 10, decimals - 1);
    }
    if scaled < 0 {
        out.push('-');
    }
    if decimals == 0 {
        return write_digits(scaled.unsigned_abs(), 1, out);
    }
    let unit = 10_u64.pow(decimals);
    write_digits(scaled.unsigned_abs() / unit, 1, out);
    out.push('.');
    write_digits(scaled.unsigned_abs() % unit, decimals as usize, out);
}

pub fn write_whole(number: i64, out: &mut String) {
    if number < 0 {
        out.push('-');
    }
    write_digits(number.unsigned_abs(), 1, out);
}

/// At least so many digits.
fn write_digits(mut number: u64, least: usize, out: &mut String) {
    // The longest number has twenty.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while number > 0 {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let first = first.min(digits.len() - least);
    // Most have two or three digits, which is less work than to check that they are text.
    digits[first..].iter().for_each(|&digit| out.push(digit.into()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: f64) -> String {
        let mut out = String::new();
        write_rounded(value, &mut out);
        out
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, -0.0, 7.0, -12.5, 0.05, 99.123, 1e12, 1e300].map(written);
        assert_eq!(texts[..7], ["0", "0", "7", "-12.5", "0.05", "99.123", "1000000000000"]);
        assert_eq!(texts[7].parse(), Ok(1e300));
        assert_eq!(written(rounded(612.064_9)), "612.06");
    }

    #[test]
    fn decimals_have_their_place() {
        let mut out = String::new();
        for (scaled, decimals) in [(1250, 3), (-5, 2), (1005, 2), (7, 0), (70, 0), (0, 3), (i64::MIN, 1)] {
            write_scaled(scaled, decimals, &mut out);
            out.push(' ');
        }
        assert_eq!(out, "1.25 -0.05 10.05 7 70 0 -922337203685477580.8 ");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same_number(
            value in prop_oneof![-1e3..1e3f64, 0.0..1e-8f64, -1e16..1e16f64, any::<f64>().prop_filter("finite", |v| v.is_finite())],
        ) {
            let value = rounded(value);
            prop_assert_eq!(written(value).parse::<f64>().expect("a number"), value);
        }

        #[test]
        fn whole_numbers_are_written_as_usual(number in any::<i64>()) {
            let mut out = String::new();
            write_whole(number, &mut out);
            prop_assert_eq!(out, number.to_string());
        }
    }
}
