//! The archive tried on a store in memory.

use std::ops::Range;

use aikit_components::storage;
use aikit_core::io;

use super::*;

/// Shelves of several kernels on one store.
fn shelves<const N: usize>() -> [Shelf; N] {
    let opened = async { storage::find("memory")?.open(None).await };
    let store = io::wait(opened, || Ok(())).unwrap().unwrap().keys;
    std::array::from_fn(|_| {
        let store = Arc::clone(&store);
        let open = move || -> BoxFuture<'static, _> {
            let store = Arc::clone(&store);
            Box::pin(async move { Ok(store) })
        };
        Shelf::new(HistoryPlace {
            open: Arc::new(open),
            prefix: "history/-/".to_owned(),
        })
    })
}

fn cell(session: &SessionNumber, number: u32) -> Cell {
    Cell {
        session: session.clone(),
        number,
        kept: Kept {
            input: format!("cell {number}"),
            output: None,
        },
    }
}

/// Writes the cells of a session at once.
async fn write(shelf: &Shelf, session: &SessionNumber, numbers: Range<u32>) {
    let taken: Vec<Taken> = numbers.map(|it| (0, 1, cell(session, it))).collect();
    shelf.write(&taken).await.unwrap();
}

/// The numbers of the cells that are kept of all sessions.
async fn numbers(shelf: &Shelf) -> Vec<(u32, u32)> {
    let read = shelf.read(&SessionNumber::default(), Elsewhere::All).await;
    let places = read.unwrap().into_iter();
    places.map(|(session, it)| (session, it.number)).collect()
}

#[test]
fn the_oldest_cells_are_forgotten_whichever_kernel_wrote_them() {
    let [first, second] = shelves();
    let surplus = 50;
    let kept = io::wait(
        async move {
            let (one, two) = (SessionNumber::default(), SessionNumber::default());
            write(&first, &one, 1..101).await;
            let most = u32::try_from(CELLS_MAX).unwrap_or_default();
            write(&second, &two, 1..most - surplus + 1).await;
            second.forget().await.unwrap();
            numbers(&first).await
        },
        || Ok(()),
    )
    .unwrap();
    assert_eq!(kept.len(), CELLS_MAX);
    assert_eq!(kept[0], (1, 101 - surplus));
}

#[test]
fn a_store_that_opens_later_gets_the_cells_from_before() {
    let [mut one, two] = shelves();
    let opens = Arc::clone(&one.place.open);
    let is_open = Arc::new(AtomicBool::new(false));
    let is_open_now = Arc::clone(&is_open);
    one.place.open = Arc::new(move || {
        if is_open_now.load(Ordering::SeqCst) {
            return opens();
        }
        Box::pin(async { Err(Error::new(ErrorKind::Io, "not now")) })
    });
    let found = async move {
        let (main, beside) = (SessionNumber::default(), SessionNumber::default());
        for number in 1..3 {
            one.add(0, cell(&main, number));
            one.add(1, cell(&beside, number));
        }
        assert_eq!(one.write_waiting().await, 0);
        one.add(0, cell(&main, 3));
        is_open.store(true, Ordering::SeqCst);
        assert_eq!(one.write_waiting().await, 5);
        assert_eq!(one.write_waiting().await, 0);
        numbers(&two).await
    };
    let found = io::wait(found, || Ok(())).unwrap();
    assert_eq!(found, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]);
}

#[test]
fn a_shell_that_floods_a_slow_store_loses_its_own_cells_only() {
    let [shelf] = shelves();
    let (few, many) = (SessionNumber::default(), SessionNumber::default());
    shelf.add(1, cell(&few, 1));
    let most = u32::try_from(WAITING_MOST.entries).unwrap();
    for number in 1..=2 * most {
        shelf.add(0, cell(&many, number));
    }
    let taken = shelf.take();
    assert_eq!(taken.len(), BATCH_MAX);
    // Each shell in its turn: the oldest that is left, and the one of the other shell.
    let first: Vec<_> = taken.iter().take(2).map(|it| (it.0, it.2.number)).collect();
    assert_eq!(first, [(0, most + 2), (1, 1)]);
    shelf.put_back(taken);
    assert_eq!(shelf.waiting().cells.count(0), WAITING_MOST.entries - 1);
    assert_eq!(shelf.waiting().cells.count(1), 1);
    assert!(shelf.has_warned.load(Ordering::SeqCst));
}

#[test]
fn a_flush_ends_when_the_cells_of_all_shells_are_written() {
    let [shelf, other] = shelves();
    let archive = Archive::new(shelf.place.clone());
    let kept = async move {
        for shell in 0..5 {
            let session = SessionNumber::default();
            for number in 1..=100 {
                let entry = Entry {
                    number,
                    input: "x".to_owned(),
                    output: None,
                };
                archive.add(shell, &session, &entry);
            }
        }
        archive.flush(Duration::from_secs(20)).await;
        numbers(&other).await.len()
    };
    assert_eq!(io::wait(kept, || Ok(())).unwrap(), 500);
}

#[test]
fn a_damaged_cell_does_not_hide_the_others_and_long_ones_are_cut() {
    let [one, two] = shelves();
    let found = async move {
        let session = SessionNumber::default();
        write(&one, &session, 1..4).await;
        let number = one.session(&session).await.unwrap();
        let puts = vec![(one.cell(number, 2), Bytes::from_static(b"{"))];
        let batch = Batch {
            puts,
            ..Batch::default()
        };
        one.opened().await.unwrap().apply(batch).await.unwrap();
        let wanted = Elsewhere::Session(number);
        two.read(&SessionNumber::default(), wanted).await.unwrap()
    };
    let found = io::wait(found, || Ok(())).unwrap();
    let numbers: Vec<u32> = found.iter().map(|(_, it)| it.number).collect();
    assert_eq!(numbers, [1, 3]);
    assert_eq!(beginning(&"é".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
}
