//! The same work on many values, on all cores.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// How many threads a build uses.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Hands the items' results to `take`, in the order of the items, as soon as they are there: `take` runs on the
/// calling thread beside the work. Each thread makes itself a `tool` first: a connection, a buffer.
pub fn each_with<T, Tool, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator + Send>,
    tool: impl Fn() -> Tool + Sync,
    work: impl Fn(&mut Tool, T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let items = items.into_iter();
    let (count, threads) = (items.len(), threads().min(items.len()));
    if threads <= 1 {
        let mut tool = tool();
        return items.for_each(|item| take(work(&mut tool, item)));
    }
    // To be woken costs more than most of the work, and the last few of many should end at the same time.
    let few = (count / (threads * 64)).max(1);
    let queue = Mutex::new((0, items));
    let next = || -> Option<(usize, Vec<T>)> {
        let (at, items) = &mut *queue.lock().unwrap_or_else(PoisonError::into_inner);
        let part: Vec<T> = items.by_ref().take(few).collect();
        *at += 1;
        (!part.is_empty()).then_some((*at - 1, part))
    };
    // Bounded, so that results do not pile up where taking them is what takes long.
    let (sender, results) = mpsc::sync_channel(threads);
    thread::scope(|scope| {
        for sender in vec![sender; threads] {
            scope.spawn(|| {
                let (sender, mut tool) = (sender, tool());
                while let Some((at, part)) = next() {
                    let done: Vec<R> = part.into_iter().map(|item| work(&mut tool, item)).collect();
                    sender.send((at, done)).expect("the receiver outlives the scope");
                }
            });
        }
        let (mut early, mut taken) = (BTreeMap::new(), 0);
        for (at, done) in results {
            early.insert(at, done);
            while let Some(done) = early.remove(&taken) {
                done.into_iter().for_each(&mut take);
                taken += 1;
            }
        }
    });
}

/// `items` mapped by `work`, in their order; tools as of [`each_with`].
pub fn map_with<T, Tool, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator + Send>,
    tool: impl Fn() -> Tool + Sync,
    work: impl Fn(&mut Tool, T) -> R + Sync,
) -> Vec<R> {
    let items = items.into_iter();
    let mut results = Vec::with_capacity(items.len());
    each_with(items, tool, work, |result| results.push(result));
    results
}

/// As [`map_with`], for work that needs no tool.
pub fn map<T, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator + Send>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    map_with(items, || (), |(), item| work(item))
}

/// Two pieces of work side by side.
pub fn join<A: Send, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let a = scope.spawn(a);
        let b = b();
        (a.join().unwrap_or_else(|panic| resume_unwind(panic)), b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_items() {
        let items: Vec<u64> = (0..1000).collect();
        assert_eq!(map(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(map(&items[..0], |item| *item).is_empty());
        assert_eq!(map(&items[..3], |item| *item), [0, 1, 2]);
    }
}
