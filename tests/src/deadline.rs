//! Deadlines: a scenario that hangs fails, and says where it hung.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

type Steps = Arc<Mutex<Vec<(Duration, String)>>>;

thread_local! {
    static CURRENT: RefCell<Option<(Instant, Steps)>> = const { RefCell::new(None) };
}

/// Says what the scenario does next; printed if it does not come to an end.
#[track_caller]
pub fn step(what: impl Into<String>) {
    let at = Location::caller();
    let what = format!("{} ({}:{})", what.into(), at.file(), at.line());
    CURRENT.with_borrow(|current| {
        if let Some((begun, steps)) = current {
            let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
            steps.push((begun.elapsed(), what));
        }
    });
}

/// Runs a scenario on a runtime of its own.
///
/// # Panics
/// If the scenario panics, or does not end before the deadline; the message then tells its steps.
/// A blocked thread is caught too: the deadline is kept outside of the runtime.
pub fn run<F: Future<Output = ()>>(
    name: &str,
    deadline: Duration,
    scenario: impl FnOnce() -> F + Send + 'static,
) {
    let steps = Steps::default();
    let (done, ended) = mpsc::channel();
    let seen = Arc::clone(&steps);
    let work = thread::Builder::new().name(name.to_owned()).spawn(move || {
        CURRENT.set(Some((Instant::now(), seen)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(scenario());
        done.send(()).unwrap_or_default();
    });
    let work = work.unwrap();
    match ended.recv_timeout(deadline) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = work.join() {
                resume_unwind(told(&steps, panic));
            }
        }
        Err(RecvTimeoutError::Timeout) => {
            panic!("{name} did not end within {deadline:?}; its steps:\n{}", list(&steps))
        }
    }
}

/// Waits for a condition.
///
/// # Panics
/// If it does not come true within 30 s.
#[track_caller]
pub fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    step(format!("waiting until {what}"));
    let what = what.to_owned();
    async move {
        let looking = async {
            while !condition().await {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), looking).await;
        assert!(in_time.is_ok(), "not within 30 s: {what}");
    }
}

/// Blocks for as long as [`eventually`] waits between two looks: for those who look from a thread.
pub fn pause() {
    std::thread::park_timeout(LOOK_EVERY);
}

/// The panic, with the steps before it where it is a text.
fn told(steps: &Steps, panic: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(panic) => return panic,
        },
    };
    let text = format!("{text}\nafter the steps:\n{}", list(steps));
    eprintln!("{text}");
    Box::new(text)
}

fn list(steps: &Steps) -> String {
    let steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = steps.iter().map(|(at, what)| format!("  {:7.3} s  {what}", at.as_secs_f32()));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
        *std::panic::catch_unwind(run).unwrap_err().downcast::<String>().unwrap()
    }

    #[test]
    fn a_scenario_that_hangs_tells_where() {
        let text = message(|| {
            run("hangs", Duration::from_millis(50), || async {
                step("wait for nothing");
                std::future::pending::<()>().await;
            });
        });
        assert!(text.contains("hangs did not end within 50ms"), "{text}");
        assert!(text.contains("wait for nothing"), "{text}");
    }

    #[test]
    fn a_scenario_that_fails_tells_its_steps() {
        let text = message(|| {
            run("fails", Duration::from_secs(5), || async {
                step("first");
                panic!("broken");
            });
        });
        assert!(text.starts_with("broken") && text.contains("first"), "{text}");
    }
}
