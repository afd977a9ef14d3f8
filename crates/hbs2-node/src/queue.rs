//! A queue of jobs that threads take in batches.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs in order, for any number of threads.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    closed: bool,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self { state: Mutex::new(State { jobs: VecDeque::new(), closed: false }), changed: Condvar::new() }
    }
}

impl<J> Queue<J> {
    /// Appends a job.
    pub(crate) fn push(&self, job: J) {
        self.lock().jobs.push_back(job);
        self.changed.notify_one();
    }

    /// Waits for jobs and takes them from the front while their weights fit `weight_max`, at least one. `None`
    /// when the queue is closed and empty.
    pub(crate) fn take(&self, weight_max: usize, weight: impl Fn(&J) -> usize) -> Option<Vec<J>> {
        let mut state = self.lock();
        loop {
            if !state.jobs.is_empty() {
                break;
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut batch = Vec::new();
        let mut sum = 0;
        while let Some(job) = state.jobs.front() {
            sum += weight(job);
            if sum > weight_max && !batch.is_empty() {
                break;
            }
            batch.extend(state.jobs.pop_front());
        }
        Some(batch)
    }

    /// Ends the threads that take from here, when they have done what waits.
    pub(crate) fn finish(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Ends the threads that take from here; what waits is dropped.
    pub(crate) fn abandon(&self) {
        self.lock().jobs.clear();
        self.finish();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_before_the_job_that_does_not_fit_and_has_one_at_least() {
        let queue = Queue::default();
        for weight in [9, 2, 3, 1] {
            queue.push(weight);
        }
        for expected in [vec![9], vec![2, 3], vec![1]] {
            assert_eq!(queue.take(5, |weight| *weight), Some(expected));
        }
    }

    #[test]
    fn a_finished_queue_gives_what_waits_and_an_abandoned_one_nothing() {
        let queue = Queue::default();
        queue.push(1);
        queue.finish();
        assert_eq!(queue.take(5, |weight| *weight), Some(vec![1]));
        assert_eq!(queue.take(5, |weight| *weight), None);
        let queue = Queue::default();
        queue.push(1);
        queue.abandon();
        assert_eq!(queue.take(5, |weight| *weight), None);
    }
}
