//! Answers of one snapshot, each worked out once: however many ask at the same time, and until the next snapshot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use crate::model::parallel;
use crate::serve::prepared::Prepared;

/// Most answers kept of one snapshot, and most bytes in them.
const KEPT_ANSWERS: usize = 1024;
const KEPT_BYTES: usize = 64 << 20;

/// An answer that is there, or is being worked out.
type Cell = Arc<OnceCell<Arc<Prepared>>>;

/// Answers by question.
#[derive(Debug)]
pub struct Answers {
    kept: Mutex<Kept>,
    pub workers: Workers,
}

/// Threads for what takes long, away from those that answer: as many work at a time as there are cores.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Semaphore>);

impl Workers {
    /// # Errors
    /// If `work` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failed> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| Failed)?;
        let done = tokio::task::spawn_blocking(move || (work(), permit)).await;
        done.map(|(done, _permit)| done).map_err(|_| Failed)
    }
}

#[derive(Debug, Default)]
struct Kept {
    cells: HashMap<String, Cell>,
    bytes: usize,
}

/// The question could not be answered: its function panicked, or has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

impl Default for Answers {
    fn default() -> Answers {
        let workers = Workers(Arc::new(Semaphore::new(parallel::threads())));
        Answers { kept: Mutex::default(), workers }
    }
}

impl Answers {
    /// The answer to a question, by `make` where nobody has asked it before; `make` runs on a thread that may
    /// take its time.
    ///
    /// # Errors
    /// If `make` panicked or has none. The next who asks tries again.
    pub async fn get<T: Into<Option<Prepared>> + Send + 'static>(
        &self,
        question: String,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Arc<Prepared>, Failed> {
        let cell = self.cell(question);
        if let Some(answer) = cell.get() {
            return Ok(Arc::clone(answer));
        }
        let work = async || {
            let answer = self.workers.run(make).await?.into().ok_or(Failed)?;
            self.keep_within_bounds(answer.bytes().len());
            Ok(Arc::new(answer))
        };
        cell.get_or_try_init(work).await.cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When there are too many, all are forgotten: they cost little to work out again, and whoever waits for
    /// one still gets it.
    fn cell(&self, question: String) -> Cell {
        let mut kept = self.lock();
        if kept.cells.len() >= KEPT_ANSWERS && !kept.cells.contains_key(&question) {
            *kept = Kept::default();
        }
        Arc::clone(kept.cells.entry(question).or_default())
    }

    fn keep_within_bounds(&self, more: usize) {
        let mut kept = self.lock();
        kept.bytes += more;
        if kept.bytes > KEPT_BYTES {
            *kept = Kept::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::prepared::Label;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn answer(size: usize) -> Prepared {
        Prepared::new(vec![0; size], Label::new("text/plain", "x"))
    }

    #[tokio::test]
    async fn kept_answers_are_bounded() {
        let answers = Answers::default();
        for at in 0..2 * KEPT_ANSWERS {
            answers.get(at.to_string(), || answer(1)).await.expect("it is made");
        }
        assert!(answers.lock().cells.len() <= KEPT_ANSWERS);
        answers.get("large".to_owned(), || answer(KEPT_BYTES + 1)).await.expect("it is made");
        assert_eq!(answers.lock().cells.len(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_question_asked_by_many_at_once_is_worked_out_once() {
        let (answers, made) = (Arc::new(Answers::default()), Arc::new(AtomicU32::new(0)));
        let ask = |_| {
            let (answers, made) = (Arc::clone(&answers), Arc::clone(&made));
            tokio::spawn(async move {
                let make = move || {
                    made.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    answer(1)
                };
                answers.get("question".to_owned(), make).await.map(|answer| answer.bytes().len())
            })
        };
        let asked: Vec<_> = (0..50).map(ask).collect();
        for answered in asked {
            assert_eq!(answered.await.expect("no panic"), Ok(1));
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_panic_is_not_kept() {
        let answers = Answers::default();
        let failed = answers.get("x".to_owned(), || -> Prepared { panic!("a bug") }).await;
        assert!(failed.is_err());
        assert!(answers.get("x".to_owned(), || answer(1)).await.is_ok());
    }
}
