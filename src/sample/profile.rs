//! What a wrapper is like, and one call of it.

use serde_json::json;

use crate::sample::random::Random;
use crate::sample::weather::Weather;
use crate::sample::{LONGEST_MS, stamp};

/// A model and what it costs, in USD a million tokens.
#[derive(Debug)]
struct Model {
    name: &'static str,
    provider: &'static str,
    prompt_price: f64,
    completion_price: f64,
    /// Tokens a second.
    speed: f64,
}

const MODELS: [Model; 6] = [
    Model { name: "gpt-4o", provider: "openai", prompt_price: 2.5, completion_price: 10.0, speed: 90.0 },
    Model {
        name: "gpt-4o-mini",
        provider: "openai",
        prompt_price: 0.15,
        completion_price: 0.6,
        speed: 120.0,
    },
    Model {
        name: "claude-sonnet-4",
        provider: "anthropic",
        prompt_price: 3.0,
        completion_price: 15.0,
        speed: 70.0,
    },
    Model {
        name: "claude-haiku-3.5",
        provider: "anthropic",
        prompt_price: 0.8,
        completion_price: 4.0,
        speed: 110.0,
    },
    Model {
        name: "mistral-large",
        provider: "mistral",
        prompt_price: 2.0,
        completion_price: 6.0,
        speed: 60.0,
    },
    Model {
        name: "llama-3.3-70b",
        provider: "groq",
        prompt_price: 0.59,
        completion_price: 0.79,
        speed: 250.0,
    },
];

const TYPES: [&str; 4] = ["chat_completion", "embedding", "summarize", "classify"];

/// A way to fail.
#[derive(Debug)]
struct Failure {
    code: &'static str,
    message: &'static str,
    status: &'static str,
    /// Of all failures; they add up to 1.
    share: f64,
}

const fn failure(code: &'static str, status: &'static str, share: f64, message: &'static str) -> Failure {
    Failure { code, message, status, share }
}

const FAILURES: [Failure; 7] = [
    failure("rate_limited", "error", 0.34, "429 Too Many Requests: retry after 20 s"),
    failure("upstream_timeout", "timeout", 0.22, "no answer from the provider within 30000 ms"),
    failure("server_error", "error", 0.16, "500 Internal Server Error from the provider"),
    failure("overloaded", "error", 0.12, "529 the model is overloaded, try again later"),
    failure("context_length", "error", 0.08, "prompt of 131,072 tokens exceeds the model's context window"),
    failure("bad_json", "error", 0.05, "the answer is not valid JSON: unexpected end of input at \"items\""),
    failure("client_gone", "cancelled", 0.03, "cancelled by the caller"),
];

const NAMES: [&str; 5] = ["RouteLLM", "POML", "External_API", "LangRouter", "Vector Search"];

/// A wrapper's habits.
#[derive(Debug)]
pub struct Profile {
    pub name: String,
    /// Share of all traffic, against the other wrappers'.
    pub weight: f64,
    /// Whether it writes a `started` record when a call begins.
    pub reports_starts: bool,
    overhead_ms: f64,
    failures: f64,
    fallbacks: f64,
    models: Vec<&'static Model>,
    types: Vec<&'static str>,
}

impl Profile {
    /// The wrapper number `index` of a seed.
    pub fn new(index: usize, seed: u64) -> Profile {
        let mut random = Random::of(&[seed, index as u64, 1]);
        let name =
            NAMES.get(index).map_or_else(|| format!("Service-{:03}", index + 1), |name| (*name).to_owned());
        let some = |random: &mut Random, least: usize, of: usize| {
            let first = (random.bits() % of as u64) as usize;
            let count = least + (random.bits() % 2) as usize;
            (0..count).map(|step| (first + step) % of).collect::<Vec<_>>()
        };
        Profile {
            name,
            weight: 0.5 + 1.5 * random.unit(),
            reports_starts: index % 5 == 3,
            overhead_ms: 40.0 + 200.0 * random.unit(),
            failures: 0.0003 + 0.03 * random.unit().powi(4),
            fallbacks: 0.002 + 0.03 * random.unit() * random.unit(),
            models: some(&mut random, 3, MODELS.len()).into_iter().map(|at| &MODELS[at]).collect(),
            types: some(&mut random, 2, TYPES.len()).into_iter().map(|at| TYPES[at]).collect(),
        }
    }

    /// One call under this weather.
    pub fn call(&self, weather: &Weather, random: &mut Random) -> Call {
        let model = *random.pick::<&Model>(&self.models);
        let prompt = (400.0 * (0.9 * random.normal()).exp()).clamp(5.0, 120_000.0) as u64;
        let completion = (140.0 * (0.8 * random.normal()).exp()).clamp(1.0, 8_000.0) as u64;
        let thinking = self.overhead_ms * (0.4 * random.normal()).exp();
        let spoken = completion as f64 / model.speed * 1000.0;
        let mut call = Call {
            id: random.bits(),
            model,
            operation_type: random.pick::<&str>(&self.types),
            duration_ms: ((thinking + spoken) * weather.slowness).clamp(1.0, LONGEST_MS),
            failure: random.chance(self.failures + weather.failures).then(|| some_failure(random)),
            fallback: random.chance(self.fallbacks + weather.fallbacks),
            prompt,
            completion,
            cached: if random.chance(0.3) { prompt / 2 } else { 0 },
            quality: 0.75 + 0.25 * random.unit(),
        };
        match call.failure {
            Some(failure) if failure.status == "timeout" => {
                call.duration_ms = 30_000.0 + 50.0 * random.unit()
            }
            Some(_) => call.duration_ms = (self.overhead_ms * (1.0 + random.unit())).min(LONGEST_MS),
            None if call.fallback => call.duration_ms = (call.duration_ms * 1.6 + 150.0).min(LONGEST_MS),
            None => {}
        }
        call
    }
}

fn some_failure(random: &mut Random) -> &'static Failure {
    let mut left = random.unit();
    let found = FAILURES.iter().find(|failure| {
        left -= failure.share;
        left <= 0.0
    });
    found.unwrap_or(&FAILURES[0])
}

/// One operation, before it has a time.
#[derive(Debug)]
pub struct Call {
    id: u64,
    model: &'static Model,
    operation_type: &'static str,
    pub duration_ms: f64,
    failure: Option<&'static Failure>,
    fallback: bool,
    prompt: u64,
    completion: u64,
    cached: u64,
    quality: f64,
}

impl Call {
    /// The record of its beginning, with a line end.
    pub fn started(&self, profile: &Profile, start_ms: i64) -> String {
        let record = json!({
            "operation_id": format!("op-{:016x}", self.id),
            "wrapper_name": profile.name,
            "operation_type": self.operation_type,
            "start_time": stamp(start_ms),
            "status": "started",
            "model": self.model.name,
        });
        format!("{record}\n")
    }

    /// The record of its end, with a line end.
    pub fn finished(&self, profile: &Profile, start_ms: i64, end_ms: i64) -> String {
        let status =
            self.failure.map_or(if self.fallback { "fallback" } else { "success" }, |failure| failure.status);
        // A call that failed was not billed for an answer.
        let completion = if self.failure.is_some() { 0 } else { self.completion };
        let cost = (self.prompt as f64 * self.model.prompt_price
            + completion as f64 * self.model.completion_price)
            / 1e6;
        let mut record = json!({
            "operation_id": format!("op-{:016x}", self.id),
            "wrapper_name": profile.name,
            "operation_type": self.operation_type,
            "start_time": stamp(start_ms),
            "end_time": stamp(end_ms),
            "duration_ms": (self.duration_ms * 1000.0).round() / 1000.0,
            "status": status,
            "model": self.model.name,
            "provider": self.model.provider,
            "prompt_tokens": self.prompt,
            "completion_tokens": completion,
            "total_tokens": self.prompt + completion,
            "cost_estimate": (cost * 1e9).round() / 1e9,
            "quality_score": (self.quality * 1000.0).round() / 1000.0,
        });
        if self.cached > 0 {
            record["cached_tokens"] = self.cached.into();
        }
        if let Some(failure) = self.failure {
            record["error_code"] = failure.code.into();
            record["error_message"] = failure.message.into();
        } else if self.fallback {
            record["fallback_used"] = true.into();
            record["fallback_reason"] = "the first choice was overloaded".into();
        }
        format!("{record}\n")
    }
}
