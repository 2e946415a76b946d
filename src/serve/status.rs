//! What the daemon knows of itself: counters for `/metrics`, and the notice that stands while something is wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use warp::http::StatusCode;

/// See the module. Counters only grow.
#[derive(Debug)]
pub struct Status {
    pub started: SystemTime,
    /// Answers by the first digit of their status, from 1 on.
    answers: [AtomicU64; 5],
    /// Builds that went well, and those that did not.
    pub built: AtomicU64,
    pub failed: AtomicU64,
    /// Reported records that were taken, and those that were not.
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    /// How long the last build took, in microseconds.
    build_us: AtomicU64,
    /// What those who look at a page should know, as a sentence; `None` while all is well.
    pub notice: watch::Sender<Option<String>>,
}

impl Status {
    pub fn new(started: SystemTime) -> Status {
        Status {
            started,
            answers: Default::default(),
            built: AtomicU64::default(),
            failed: AtomicU64::default(),
            accepted: AtomicU64::default(),
            refused: AtomicU64::default(),
            build_us: AtomicU64::default(),
            notice: watch::channel(None).0,
        }
    }

    pub fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Answers so far by class: `1xx` and so on.
    pub fn answers(&self) -> [u64; 5] {
        [0, 1, 2, 3, 4].map(|class| self.answers[class].load(Ordering::Relaxed))
    }

    pub fn built(&self, took: Duration, well: bool) {
        let counter = if well { &self.built } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.build_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the last build took; zero before the first.
    pub fn last_build(&self) -> Duration {
        Duration::from_micros(self.build_us.load(Ordering::Relaxed))
    }

    /// Sets or lifts the notice; those who watch it hear of changes only.
    pub fn notify(&self, notice: Option<&str>) {
        let notice = notice.map(str::to_owned);
        self.notice.send_if_modified(|standing| {
            let changed = *standing != notice;
            *standing = notice;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class() {
        let status = Status::new(SystemTime::UNIX_EPOCH);
        for code in [101, 200, 206, 304, 404, 429, 500] {
            status.answered(StatusCode::from_u16(code).expect("a status"));
        }
        assert_eq!(status.answers(), [1, 2, 1, 2, 1]);
    }

    #[test]
    fn only_changes_of_the_notice_are_told() {
        let status = Status::new(SystemTime::UNIX_EPOCH);
        let mut told = status.notice.subscribe();
        status.notify(Some("a build failed"));
        assert!(told.has_changed().expect("it is there"));
        told.borrow_and_update();
        status.notify(Some("a build failed"));
        assert!(!told.has_changed().expect("it is there"));
        status.notify(None);
        assert_eq!(*told.borrow_and_update(), None);
    }
}
