//! In which order ends are told: each delivery is waited for, and notes when it wakes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use crate::producer::Delivery;

/// The order in which deliveries woke.
pub(super) struct Watched {
    told: Arc<Mutex<Vec<usize>>>,
    /// Dropped, they would wait no more.
    _deliveries: Vec<Delivery>,
}

impl Watched {
    /// The places of those that woke, in that order.
    pub(super) fn told(&self) -> Vec<usize> {
        self.told.lock().unwrap().clone()
    }
}

struct Note {
    place: usize,
    told: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.told.lock().unwrap().push(self.place);
    }
}

/// Waits for each of `deliveries`, as tasks of their own would.
pub(super) fn watch(deliveries: &[Delivery]) -> Watched {
    let told = Arc::default();
    let mut deliveries: Vec<_> = deliveries.iter().map(Delivery::again).collect();
    for (place, delivery) in deliveries.iter_mut().enumerate() {
        let waker = Waker::from(Arc::new(Note { place, told: Arc::clone(&told) }));
        assert!(Pin::new(delivery).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    Watched { told, _deliveries: deliveries }
}
