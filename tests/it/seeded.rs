//! Facts made up from a seed: several wrappers over a week, with gaps, bad hours, and hostile names.

use std::collections::BTreeMap;

use dash::analysis::facts::{Facts, Settings, WrapperFacts};
use dash::analysis::health::HealthSettings;
use dash::model::bucket::Bucket;
use dash::model::history::{History, WrapperId};
use dash::model::notes::Notes;
use dash::model::operation::{Operation, Outcome, Tokens};
use dash::model::quality::{FileState, Problem, ProblemKind, SourceState};
use dash::model::rollup::{InFlight, SeriesName};
use dash::model::time::{HOUR_MS, MINUTE_MS, day_of, hour_of, minute_of};

/// 2026-01-25T13:05:12Z.
pub const MOMENT_MS: i64 = 1_769_346_312_000;

/// Names that a log may hold and a page must survive.
pub const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "\"><img src=x onerror=alert(1)>",
    "غلاف العربية",
    "🦀 & 'friends'",
    "{{ 7777 * 7777 }}{% include \"x\" %}",
];

/// Facts without a single operation.
pub fn empty() -> Facts {
    Facts {
        moment_ms: MOMENT_MS,
        settings: Settings { health: HealthSettings::default(), quiet_after_minutes: 60 },
        wrappers: Vec::new(),
        in_flight: Vec::new(),
        sources: Vec::new(),
        files: Vec::new(),
        reached: Default::default(),
        set_aside: Vec::new(),
    }
}

/// How one made-up wrapper behaves.
#[derive(Clone, Copy)]
struct Character {
    per_minute: f64,
    typical_ms: f64,
    error_share: f64,
    /// Minutes before the moment at which it fell silent.
    silent_for: i64,
}

/// A week of several wrappers, some of them with hostile names.
pub fn week() -> Facts {
    let calm = Character { per_minute: 1.2, typical_ms: 640.0, error_share: 0.004, silent_for: 0 };
    let mut named = vec![
        ("RouteLLM".to_owned(), Character { per_minute: 3.0, ..calm }),
        ("POML".to_owned(), Character { typical_ms: 90.0, error_share: 0.03, ..calm }),
        ("External_API".to_owned(), Character { typical_ms: 1900.0, error_share: 0.09, ..calm }),
        ("Mem0".to_owned(), Character { per_minute: 0.05, typical_ms: 20.0, ..calm }),
        ("LLMLingua".to_owned(), Character { error_share: 0.3, ..calm }),
        ("Quiet".to_owned(), Character { silent_for: 400, ..calm }),
        ("long-".repeat(40), calm),
    ];
    named.extend(HOSTILE.iter().map(|name| ((*name).to_owned(), Character { per_minute: 0.2, ..calm })));
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let wrappers = named.iter().enumerate().map(|(at, (name, character))| {
        let id = WrapperId { name: name.clone(), slug: format!("w{at}") };
        WrapperFacts::whole(id, history(at as u64 + 1, character))
    });
    let in_flight = InFlight {
        key: 1,
        wrapper: "RouteLLM".to_owned(),
        id: "op-in-flight".to_owned(),
        operation_type: "completion".to_owned(),
        model: "gpt-4o".to_owned(),
        start_ms: MOMENT_MS - 4000,
    };
    let (sources, files) = quality();
    Facts { wrappers: wrappers.collect(), in_flight: vec![in_flight], sources, files, ..empty() }
}

fn quality() -> (Vec<SourceState>, Vec<FileState>) {
    let problem = Problem {
        kind: ProblemKind::NotJson,
        line: 17,
        reason: "expected `:` at column 12 of `<b>{\"wrapper\"`".to_owned(),
        example: String::new(),
        count: 3,
    };
    let file = FileState {
        source: "operations".to_owned(),
        path: "content/operations/<img src=x>.jsonl".to_owned(),
        operations: 51_238,
        skipped: 3,
        problems: vec![problem],
        present: true,
        ..FileState::default()
    };
    let missing = Problem {
        kind: ProblemKind::NoMatch,
        line: 0,
        reason: "no file matches `/var/log/gateway/*.jsonl`".to_owned(),
        example: String::new(),
        count: 1,
    };
    let operations = SourceState {
        name: "operations".to_owned(),
        path: "content/operations/*.jsonl".to_owned(),
        files: 2,
        bytes: 9_400_000,
        operations: 51_238,
        skipped: 3,
        last_end_ms: MOMENT_MS - 3000,
        problems: Vec::new(),
        ..SourceState::default()
    };
    let gateway = SourceState {
        name: "gateway".to_owned(),
        path: "/var/log/gateway/*.jsonl".to_owned(),
        problems: vec![missing],
        ..SourceState::default()
    };
    (vec![operations, gateway], vec![file])
}

/// A small generator of numbers in 0..1: Lehmer's, with Park and Miller's constants.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        self.0 as f64 / f64::from(0x7fff_ffff)
    }
}

fn history(seed: u64, character: &Character) -> History {
    let mut random = Random(seed * 7919);
    let mut times = Vec::new();
    let now = minute_of(MOMENT_MS);
    for minute in now - 7 * 24 * 60..=now - character.silent_for {
        // Nights are quiet, and for one hour a day nothing happens at all.
        let hour = hour_of(minute * MINUTE_MS).rem_euclid(24);
        let activity = if hour < 6 { 0.3 } else { 1.0 };
        if hour == 9 || random.next() > character.per_minute * activity {
            continue;
        }
        for _ in 0..character.per_minute.ceil() as usize {
            let end_ms = minute * MINUTE_MS + (random.next() * 59_000.0) as i64;
            if end_ms <= MOMENT_MS {
                times.push(end_ms);
            }
        }
    }
    let mut past = Past::default();
    for end_ms in times {
        past.add(&operation(&mut random, character, end_ms));
    }
    past.into_history()
}

fn operation(random: &mut Random, character: &Character, end_ms: i64) -> Operation<'static> {
    let models = ["gpt-4o", "claude-3-5-sonnet", "<i>llama</i>", ""];
    let bad_hour = hour_of(end_ms).rem_euclid(24) == 11;
    let error_share = character.error_share * if bad_hour { 3.0 } else { 1.0 };
    let outcome = match random.next() {
        draw if draw < error_share * 0.7 => Outcome::Error,
        draw if draw < error_share => Outcome::Timeout,
        draw if draw < error_share + 0.04 => Outcome::Fallback,
        _ => Outcome::Success,
    };
    let spread = (random.next() + random.next() + random.next() - 1.5) * 1.6;
    let duration_ms = character.typical_ms * spread.exp();
    let failed = outcome.failed();
    let prompt = (random.next() * 2000.0) as u64;
    let completion = (random.next() * 600.0) as u64;
    Operation {
        id: Some(format!("op-{:08x}", (random.next() * 4e9) as u64).into()),
        wrapper: "".into(),
        operation_type: if random.next() < 0.7 { "completion".into() } else { "embedding".into() },
        model: models[(random.next() * 4.0) as usize].into(),
        outcome,
        end_ms,
        duration_ns: Some((duration_ms * 1e6) as u64),
        error_code: (failed && random.next() < 0.5).then(|| "rate_limit".into()),
        error_message: failed.then(|| "upstream said </script><b>no</b> & hung up after 30 s".into()),
        cost_pico: Some(((prompt + 3 * completion) as i128) * 2_500_000),
        tokens: Tokens { prompt, completion, cached: 0, total: prompt + completion },
    }
}

#[derive(Default)]
struct Past {
    first_end_ms: Option<i64>,
    minutes: BTreeMap<i64, Bucket>,
    hours: BTreeMap<i64, Bucket>,
    days: BTreeMap<i64, Bucket>,
    series: BTreeMap<SeriesName, BTreeMap<i64, Bucket>>,
    series_days: BTreeMap<SeriesName, BTreeMap<i64, Bucket>>,
    notes: BTreeMap<i64, Notes>,
}

impl Past {
    fn add(&mut self, operation: &Operation) {
        let end_ms = operation.end_ms;
        self.first_end_ms = Some(self.first_end_ms.map_or(end_ms, |first| first.min(end_ms)));
        if end_ms > MOMENT_MS - 48 * HOUR_MS {
            self.minutes.entry(minute_of(end_ms)).or_default().add(operation);
        }
        self.hours.entry(hour_of(end_ms)).or_default().add(operation);
        self.days.entry(day_of(end_ms)).or_default().add(operation);
        let name = SeriesName {
            operation_type: operation.operation_type.clone().into_owned(),
            model: operation.model.clone().into_owned(),
        };
        let days = self.series_days.entry(name.clone()).or_default();
        days.entry(day_of(end_ms)).or_default().add(operation);
        self.series.entry(name).or_default().entry(hour_of(end_ms)).or_default().add(operation);
        self.notes.entry(day_of(end_ms)).or_default().add(operation);
    }

    fn into_history(self) -> History {
        let listed = |series: BTreeMap<SeriesName, BTreeMap<i64, Bucket>>| {
            series.into_iter().map(|(name, level)| (name, level.into_iter().collect())).collect()
        };
        History {
            first_end_ms: self.first_end_ms.unwrap_or_default(),
            minutes: self.minutes.into_iter().collect(),
            tens: Default::default(),
            hours: self.hours.into_iter().collect(),
            days: self.days.into_iter().collect(),
            series: listed(self.series),
            series_days: listed(self.series_days),
            notes: self.notes.into_iter().collect(),
        }
    }
}
