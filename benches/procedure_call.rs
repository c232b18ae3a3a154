//! What one tracked call costs: an empty procedure, with nobody listening.

use aikit_benches::report;
use aikit_core::{Context, Value, context::Overrides, procedure::Procedure};
use futures::FutureExt as _;

fn main() {
    let empty = Procedure::new("empty", |_, args| async move { Ok(args) });
    let cx = Context::default();
    report("procedure: empty call, tracked", || {
        let root = cx.root_child(Overrides::default());
        for _ in 0..1_000 {
            assert!(
                empty
                    .call(&root, Value::Null)
                    .now_or_never()
                    .is_some_and(|it| it.is_ok())
            );
        }
        1_000
    });
    report("context: child", || {
        for _ in 0..1_000 {
            std::hint::black_box(cx.child(Overrides::default()));
        }
        1_000
    });
}
