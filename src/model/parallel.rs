//! The same work on many values, on all cores.
//!
//! The threads are rayon's: started once, and woken for each piece of work. A thread that waits for work of its own
//! does other work meanwhile, so all of this may be called from inside of it; it is then done by the same threads.

use std::hint::black_box;
use std::sync::LazyLock;
use std::thread;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// How many threads a build uses.
pub fn threads() -> usize {
    // To ask again reads files of the control group.
    static THREADS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *THREADS
}

/// Hands the items' results to `take`, in the order of the items: `take` runs on the calling thread beside the work
/// on the items that come next. Whoever works makes itself a `tool` first: a connection, a buffer.
pub fn each_with<T: Send, Tool, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    tool: impl Fn() -> Tool + Sync,
    work: impl Fn(&mut Tool, T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let mut items = items.into_iter();
    // Results of as many at a time wait to be taken: enough for the cores not to wait for each other often, and few
    // enough for memory not to show them.
    let few = (items.len() / 64).max(4 * threads());
    let mut next = || -> Vec<T> { items.by_ref().take(few).collect() };
    let mut batch = next();
    let mut done = Vec::new();
    while !(batch.is_empty() && done.is_empty()) {
        let mut results = Vec::new();
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| results = map_with(batch, &tool, &work));
            done.drain(..).for_each(&mut take);
        });
        (batch, done) = (next(), results);
    }
}

/// `items` mapped by `work`, in their order; tools as of [`each_with`].
pub fn map_with<T: Send, Tool, R: Send>(
    items: impl IntoIterator<Item = T>,
    tool: impl Fn() -> Tool + Sync,
    work: impl Fn(&mut Tool, T) -> R + Sync,
) -> Vec<R> {
    let items: Vec<T> = items.into_iter().collect();
    // The last of them should end at the same time, and many small ones be handed out together.
    let few = (items.len() / (threads() * 64)).max(1);
    items.into_par_iter().with_max_len(few).map_init(&tool, &work).collect()
}

/// As [`map_with`], for work that needs no tool.
pub fn map<T: Send, R: Send>(items: impl IntoIterator<Item = T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    map_with(items, || (), |(), item| work(item))
}

/// The threads that build, apart from those that others divide work over: who asks a daemon for something does not
/// wait until it has built.
static BUILDERS: LazyLock<ThreadPool> = LazyLock::new(|| {
    // Work that was begun and fails by a panic fails again for whoever needs it. And a thread that waits takes up
    // other work on top of its own.
    let threads = ThreadPoolBuilder::new().panic_handler(|_| {}).stack_size(8 << 20);
    threads.build().expect("threads can be started")
});

/// Bytes that a thread that builds is likely to need, and more.
const ROOM: usize = 8 << 20;

/// For a process that ends with its build: the threads that build keep what memory they get.
///
/// A thread's heap grows a page at a time in glibc, and every large piece is asked of the system and given back. But once
/// a larger piece was given back, pieces up to its size come from the heap, and the heap shrinks no more (`mallopt(3)`,
/// on `M_MMAP_THRESHOLD`); and what a heap has grown to it does not grow to again. None of it takes memory before it is
/// used.
pub fn keep_memory() {
    reserve(2 * ROOM);
    BUILDERS.spawn_broadcast(|_| reserve(ROOM));
}

fn reserve(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

/// Does work, and what it divides, on the threads that build.
pub fn building<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    BUILDERS.install(work)
}

/// Begins work on the threads that build, whose end nobody waits for.
pub fn begin(work: impl FnOnce() + Send + 'static) {
    BUILDERS.spawn(work);
}

/// Two pieces of work side by side, `b` on the calling thread.
pub fn join<A: Send, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B) -> (A, B) {
    let mut done = None;
    let b = rayon::in_place_scope(|scope| {
        scope.spawn(|_| done = Some(a()));
        b()
    });
    (done.expect("a scope ends after what it began"), b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_items() {
        let items: Vec<u64> = (0..1000).collect();
        let double: Vec<u64> = items.iter().map(|item| item * 2).collect();
        assert_eq!(map(&items, |item| item * 2), double);
        assert!(map(&items[..0], |item| *item).is_empty());
        assert_eq!(map(&items[..3], |item| *item), [0, 1, 2]);
        let mut taken = Vec::new();
        each_with(&items, || (), |(), item| item * 2, |result| taken.push(result));
        assert_eq!(taken, double);
    }

    #[test]
    fn work_may_be_divided_inside_of_divided_work() {
        let sums = map(0..50, |outer| {
            let mut sum = 0;
            each_with(vec![1; outer], || (), |(), inner| inner, |inner| sum += inner);
            sum
        });
        assert_eq!(sums, (0..50).collect::<Vec<_>>());
    }
}
