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
    let scale = UNITS[decimals(value)];
    (value * scale).round() / scale
}

/// By so many decimals, how many of the last one make 1.
const UNITS: [f64; 13] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

fn decimals(value: f64) -> usize {
    let magnitude = match value.abs() {
        size @ 1.0..MOST_WHOLE => (size as u64).ilog10() as i32,
        size => size.log10().floor() as i32,
    };
    (DIGITS - 1 - magnitude).clamp(0, UNITS.len() as i32 - 1) as usize
}

/// Appends the shortest text of a value that is [`rounded`].
pub fn write_rounded(value: f64, out: &mut String) {
    if value.abs() >= MOST_WHOLE {
        out.push_str(&value.to_string());
    } else if value.fract() == 0.0 {
        write_whole(value as i64, out);
    } else {
        let decimals = decimals(value);
        // All but whole already, so that a half more leads to the same as `f64::round`, which is a call.
        let scaled = value * UNITS[decimals];
        write_scaled((scaled + 0.5_f64.copysign(scaled)) as i64, decimals as u32, out);
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
fn write_digits(number: u64, least: usize, out: &mut String) {
    if number >= 1000 {
        write_digits(number / 1000, least.saturating_sub(3), out);
        return write_group((number % 1000) as usize, 3, out);
    }
    for _ in 3..least {
        out.push('0');
    }
    write_group(number as usize, least.min(3), out);
}

/// Three digits of each number below a thousand; two more, so that three can be taken from any of them on.
const GROUPS: &str = {
    const DIGITS: [u8; 3002] = {
        let (mut digits, mut at) = ([b'0'; 3002], 0);
        while at < 3000 {
            digits[at] += (at / 3 / [100, 10, 1][at % 3] % 10) as u8;
            at += 1;
        }
        digits
    };
    match str::from_utf8(&DIGITS) {
        Ok(digits) => digits,
        Err(_) => unreachable!(),
    }
};

/// At least so many digits, and at most three. How many there are cannot be foretold, so no branch depends on it.
#[inline(always)]
fn write_group(number: usize, least: usize, out: &mut String) {
    let digits = (1 + usize::from(number >= 10) + usize::from(number >= 100)).max(least);
    let first = 3 * number + 3 - digits;
    out.push_str(&GROUPS[first..first + 3]);
    out.truncate(out.len() - 3 + digits);
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
