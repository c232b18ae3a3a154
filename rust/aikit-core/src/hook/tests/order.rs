//! In which order hooks are asked, and how often a call is made again: all small cases.

use super::*;

/// Every list of up to `length` of the `items`.
fn lists<T: Copy>(items: &[T], length: usize) -> Vec<Vec<T>> {
    let mut all = vec![Vec::new()];
    let mut begin = 0;
    for _ in 0..length {
        let end = all.len();
        for index in begin..end {
            for item in items {
                let longer = all[index].iter().copied().chain([*item]).collect();
                all.push(longer);
            }
        }
        begin = end;
    }
    all
}

#[test]
fn hooks_are_asked_by_priority_and_then_by_age() {
    for priorities in lists(&[-1, 0, 7], 5) {
        let cx = context(None);
        let asked = Arc::new(Mutex::new(Vec::new()));
        for (index, priority) in priorities.iter().copied().enumerate() {
            let asked = Arc::clone(&asked);
            let hook = With(Box::new(move |_, _| {
                asked.lock().unwrap().push(index);
                Ok(HookAction::Continue)
            }));
            let options = HookOptions {
                priority,
                ..HookOptions::default()
            };
            let point = HookPoint::ToolBefore;
            cx.hooks().register(point, options, Arc::new(hook)).unwrap();
        }
        doubled(&cx).unwrap();
        let mut expected: Vec<usize> = (0..priorities.len()).collect();
        expected.sort_by_key(|index| (-priorities[*index], *index));
        assert_eq!(*asked.lock().unwrap(), expected, "{priorities:?}");
    }
}

#[test]
fn a_call_is_made_again_as_often_as_it_fails_and_hooks_ask() {
    for (failures, asks) in
        (0..9).flat_map(|it| lists(&[1, 2, 3], 3).into_iter().map(move |l| (it, l)))
    {
        let cx = context(None);
        for max in asks.iter().copied() {
            let delay = Duration::from_secs(1);
            answering(&cx, HookPoint::ToolError, HookAction::Retry { delay, max });
        }
        let mut double = Double {
            failures,
            ..Double::default()
        };
        let result = call(&cx, &mut double);
        let allowed: usize = asks.iter().map(|max| *max as usize).sum();
        let made = failures.min(allowed);
        assert_eq!(result.is_ok(), failures <= allowed, "{failures} {asks:?}");
        assert_eq!(double.calls, made + 1, "{failures} {asks:?}");
        assert_eq!(cx.clock().monotonic(), Duration::from_secs(made as u64));
    }
}
