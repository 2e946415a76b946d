//! Decimal numbers as integers: `812.35` ms is exactly 812,350,000 ns, whatever a float would make of it.

/// Why a text is not a usable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadNumber {
    NotANumber,
    /// NaN or infinite.
    NotFinite,
}

/// Digits that always fit into a `u64`.
const SAFE_DIGITS: usize = 19;

const POWERS: [u64; SAFE_DIGITS + 1] = {
    let mut powers = [1; SAFE_DIGITS + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// A plain decimal number: no exponent, and few enough digits to be exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// All digits, as if there were no point.
    pub mantissa: u64,
    /// Digits after the point.
    pub decimals: u8,
    pub negative: bool,
}

impl Decimal {
    /// Most digits that always fit.
    pub const DIGITS: usize = SAFE_DIGITS;

    /// `None` where the text is not a number, or not a plain one.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            all => (false, all),
        };
        if digits.len() > SAFE_DIGITS + 1 {
            return None;
        }
        let (mut mantissa, mut point) = (0u64, None);
        for (at, &byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if byte == b'.' && point.is_none() {
                point = Some(at);
            } else {
                return None;
            }
        }
        let count = digits.len() - usize::from(point.is_some());
        let decimals = point.map_or(0, |at| digits.len() - at - 1) as u8;
        (1..=SAFE_DIGITS).contains(&count).then_some(Decimal { mantissa, decimals, negative })
    }

    /// The number times 10^`scale`, rounded half away from zero; `scale` is at most 19.
    pub fn scaled(self, scale: usize) -> i128 {
        let decimals = usize::from(self.decimals);
        let magnitude = if decimals <= scale {
            i128::from(self.mantissa) * i128::from(POWERS[scale - decimals])
        } else {
            let unit = POWERS[decimals - scale];
            i128::from((self.mantissa + unit / 2) / unit)
        };
        if self.negative { -magnitude } else { magnitude }
    }
}

/// As [`Decimal::scaled`], for any number; what is not a plain decimal goes through `f64`.
pub fn scaled(text: &str, scale: usize) -> Result<i128, BadNumber> {
    match Decimal::parse(text) {
        Some(decimal) => Ok(decimal.scaled(scale)),
        None => through_float(text, scale),
    }
}

fn through_float(text: &str, scale: usize) -> Result<i128, BadNumber> {
    let value: f64 = text.trim().parse().map_err(|_| BadNumber::NotANumber)?;
    if !value.is_finite() {
        return Err(BadNumber::NotFinite);
    }
    Ok((value * POWERS[scale] as f64).round() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(scaled("812.35", 6), Ok(812_350_000));
        assert_eq!(scaled("-0.5", 0), Ok(-1));
        assert_eq!(scaled("0.000123", 12), Ok(123_000_000));
        assert_eq!(scaled("5.", 1), Ok(50));
        assert_eq!(scaled(".5", 1), Ok(5));
        assert_eq!(scaled("812.3499999999999", 6), Ok(812_350_000));
        assert_eq!(scaled("9999999999999999999", 19), Ok(99_999_999_999_999_999_990_000_000_000_000_000_000));
    }

    #[test]
    fn exponents_and_long_numbers_go_through_floats() {
        assert_eq!(scaled("1.2e-05", 12), Ok(12_000_000));
        assert_eq!(scaled(" 12 ", 0), Ok(12));
        assert_eq!(scaled("+7", 0), Ok(7));
        assert_eq!(scaled("1e300", 0), Ok(i128::MAX));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "-.", "1.2.3", "1,5", "0x10", "twelve", "1 2"] {
            assert_eq!(scaled(text, 3), Err(BadNumber::NotANumber), "{text}");
        }
        for text in ["NaN", "inf", "-Infinity", "1e400"] {
            assert_eq!(scaled(text, 3), Err(BadNumber::NotFinite), "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_floats(value in -1e9f64..1e9, decimals in 0usize..9, scale in 0usize..13) {
            let text = format!("{value:.decimals$}");
            let exact = scaled(&text, scale).expect("a decimal") as f64;
            let float = text.parse::<f64>().expect("a float") * POWERS[scale] as f64;
            prop_assert!((exact - float).abs() <= 0.5 + float.abs() * 1e-15, "{exact} {float}");
        }
    }
}
