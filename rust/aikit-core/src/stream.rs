//! Streams: change each item, look at each item, read several streams as one.
//!
//! A stream is a [`futures::Stream`] of results; that bound is what asks whether a value is one.
//! Nothing runs before it is asked for, and dropping a stream drops its sources.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use futures::{
    Stream, StreamExt as _,
    stream::{BoxStream, SelectAll, select_all},
};

use crate::{Error, ErrorKind, Result};

/// Most streams that are read as one.
pub const SOURCES_MAX: usize = 10_000;

/// An item of several streams that are read as one, with the name of the stream it came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tagged<T> {
    /// Name of the stream.
    pub source: String,
    /// What it gave.
    pub value: T,
}

/// Gives what `change` makes of each item; an error of either ends the stream.
pub fn map<T, U, F>(
    source: impl Stream<Item = Result<T>> + Send + 'static,
    change: impl Fn(T) -> F + Send + 'static,
) -> impl Stream<Item = Result<U>> + Send
where
    T: Send + 'static,
    U: Send + 'static,
    F: Future<Output = Result<U>> + Send + 'static,
{
    ending(source.then(move |item| {
        let changing = item.map(&change);
        async move { changing?.await }
    }))
}

/// Gives the items as they are, after `look` has seen each; an error of either ends the stream.
pub fn tap<T, F>(
    source: impl Stream<Item = Result<T>> + Send + 'static,
    look: impl Fn(&T) -> F + Send + 'static,
) -> impl Stream<Item = Result<T>> + Send
where
    T: Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    ending(source.then(move |item| {
        let looking = item.map(|item| (look(&item), item));
        async move {
            let (looking, item) = looking?;
            looking.await?;
            Ok(item)
        }
    }))
}

/// Reads several streams as one: items in the order in which they arrive; of what arrived before
/// it was asked for, one of each stream in turn. The first error ends all.
///
/// # Errors
///
/// `limit_exceeded` for too many streams.
pub fn merge<T: Send + 'static>(
    sources: impl IntoIterator<Item = BoxStream<'static, Result<T>>>,
) -> Result<impl Stream<Item = Result<T>> + Send> {
    let sources: Vec<_> = sources.into_iter().collect();
    if sources.len() > SOURCES_MAX {
        let message = format!("{} streams are too many to be read as one", sources.len());
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint(format!("merge at most {SOURCES_MAX}")));
    }
    // It polls what was woken, in the order of the waking, and puts what gave an item at the end.
    // Streams are not read ahead: nobody would know where to put what they give.
    Ok(Ending(Some(select_all(sources))))
}

/// As [`merge`], with the name of its stream at each item.
///
/// # Errors
///
/// `limit_exceeded` for too many streams.
pub fn merge_tagged<T: Send + 'static>(
    sources: impl IntoIterator<Item = (String, BoxStream<'static, Result<T>>)>,
) -> Result<impl Stream<Item = Result<Tagged<T>>> + Send> {
    merge(sources.into_iter().map(|(source, items)| {
        let tag = move |value| Tagged {
            source: source.clone(),
            value,
        };
        items.map(move |item| item.map(&tag)).boxed()
    }))
}

/// Ends a stream with its first error.
fn ending<T: Send + 'static>(
    source: impl Stream<Item = Result<T>> + Send + 'static,
) -> impl Stream<Item = Result<T>> + Send {
    Ending(Some(select_all([source.boxed()])))
}

/// Streams that are dropped at the first error of one.
struct Ending<T>(Option<SelectAll<BoxStream<'static, Result<T>>>>);

impl<T> Stream for Ending<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<T>>> {
        let Some(sources) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let item = ready!(sources.poll_next_unpin(cx));
        if !matches!(item, Some(Ok(_))) {
            // At once, and not when the stream itself is dropped.
            self.0 = None;
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::Arc};

    use futures::{FutureExt as _, executor::block_on, stream};

    use super::*;

    fn items(numbers: &[i64]) -> BoxStream<'static, Result<i64>> {
        stream::iter(numbers.to_vec()).map(Ok).boxed()
    }

    fn read<T>(source: impl Stream<Item = Result<T>>) -> Vec<Result<T, String>> {
        block_on(
            source
                .map(|it| it.map_err(|error| error.to_string()))
                .collect(),
        )
    }

    fn failed<T>() -> Result<T> {
        Err(Error::new(ErrorKind::ToolFailed, "broken"))
    }

    #[test]
    fn map_changes_each_item_and_ends_with_the_first_error() {
        let halved = map(items(&[2, 4, 5, 6]), |it| {
            ready(if it % 2 == 0 { Ok(it / 2) } else { failed() })
        });
        assert_eq!(read(halved), [Ok(1), Ok(2), Err("broken".to_owned())]);
        let source = stream::iter([Ok(1), failed(), Ok(3)]);
        let same = map(source, |it| ready(Ok(it)));
        assert_eq!(read(same), [Ok(1), Err("broken".to_owned())]);
    }

    #[test]
    fn tap_sees_each_item_before_it_is_given_and_changes_none() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noting = Arc::clone(&seen);
        let tapped = tap(items(&[1, 2, 3]), move |it| {
            noting.lock().unwrap().push(*it);
            ready(if *it < 3 { Ok(()) } else { failed() })
        });
        assert_eq!(read(tapped), [Ok(1), Ok(2), Err("broken".to_owned())]);
        assert_eq!(*seen.lock().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn merged_streams_give_their_items_as_they_arrive() {
        let (first, one) = futures::channel::mpsc::unbounded::<Result<i64>>();
        let (second, two) = futures::channel::mpsc::unbounded::<Result<i64>>();
        let mut merged = Box::pin(merge([one.boxed(), two.boxed()]).unwrap());
        let mut next = || merged.next().now_or_never();
        assert!(next().is_none());
        for (sender, number) in [(&second, 1), (&first, 2), (&second, 3), (&first, 4)] {
            sender.unbounded_send(Ok(number)).unwrap();
            assert_eq!(next().unwrap().unwrap().unwrap(), number);
        }
        // What came before the next look is given in turn, and nothing is lost.
        for number in [5, 6, 7] {
            second.unbounded_send(Ok(number)).unwrap();
        }
        first.unbounded_send(Ok(8)).unwrap();
        let came: Vec<i64> = (0..4).map(|_| next().unwrap().unwrap().unwrap()).collect();
        assert!(came[..2].contains(&8) && came.len() == 4, "{came:?}");
        let of_one: Vec<i64> = came.into_iter().filter(|it| *it < 8).collect();
        assert_eq!(of_one, [5, 6, 7]);
        drop((first, second));
        assert!(next().unwrap().is_none());
    }

    #[test]
    fn no_stream_is_read_before_the_others() {
        let endless = |number: i64| stream::repeat_with(move || Ok(number)).boxed();
        let merged = merge([endless(1), endless(2), endless(3)]).unwrap();
        let first: Vec<i64> = block_on(merged.take(300).map(Result::unwrap).collect());
        for number in 1..=3 {
            assert_eq!(first.iter().filter(|it| **it == number).count(), 100);
        }
    }

    #[test]
    fn an_error_ends_all_and_stops_the_other_sources() {
        let held = Arc::new(());
        let holding = Arc::clone(&held);
        let other = stream::repeat_with(move || {
            assert!(Arc::strong_count(&holding) > 1);
            Ok(1)
        });
        let broken = stream::iter([failed::<i64>()]).boxed();
        let mut merged = Box::pin(merge([broken, other.boxed()]).unwrap());
        let mut seen = Vec::new();
        while let Some(item) = block_on(merged.next()) {
            seen.push(item.is_ok());
        }
        assert_eq!(seen.last(), Some(&false));
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn tagged_streams_say_where_an_item_came_from() {
        let tagged = merge_tagged([("a".to_owned(), items(&[1])), ("b".to_owned(), items(&[2]))]);
        let mut seen = read(tagged.unwrap());
        seen.sort_by_key(|it| it.as_ref().map_or(0, |it| it.value));
        let expected = |source: &str, value| {
            let source = source.to_owned();
            Ok(Tagged { source, value })
        };
        assert_eq!(seen, [expected("a", 1), expected("b", 2)]);
    }

    #[test]
    fn a_dropped_stream_drops_its_sources() {
        let held = Arc::new(());
        let holding = Arc::clone(&held);
        let source = stream::repeat_with(move || {
            assert!(Arc::strong_count(&holding) > 1);
            Ok(1)
        });
        let mapped = map(source, |it| ready(Ok(it + 1)));
        let mut merged = Box::pin(merge([mapped.boxed()]).unwrap());
        assert_eq!(block_on(merged.next()).unwrap().unwrap(), 2);
        drop(merged);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
