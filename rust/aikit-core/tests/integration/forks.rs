//! Ten thousand procedures at once, in three levels: nothing of one is seen in another.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aikit_core::{
    Context, ErrorKind, Result, Value,
    context::{Overrides, Principal},
    graph::{ProcedureNode, Status},
    io,
    tracker::{Operation, track},
    value::Map,
};
use futures::future::join_all;
use tokio::sync::mpsc;

const TENANTS: usize = 20;
const MIDDLES: usize = 20;
const LEAVES: usize = 24;

/// What one leaf is: everything that could get mixed up.
#[derive(Clone, Copy, Debug)]
struct Place {
    tenant: usize,
    middle: usize,
    leaf: usize,
}

/// Numbers that follow from a seed (`SplitMix64`, Steele, Lea and Flood 2014).
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Place {
    fn seed(self, seed: u64) -> u64 {
        mixed(seed ^ ((self.tenant * MIDDLES + self.middle) * LEAVES + self.leaf) as u64)
    }

    /// Whether the subtree of this middle is cancelled while it runs.
    fn is_doomed(self, seed: u64) -> bool {
        mixed(seed ^ ((self.tenant * MIDDLES + self.middle) as u64) << 32).is_multiple_of(5)
    }

    fn check(self) {
        let cx = Context::get().unwrap();
        let tenant = format!("tenant-{}", self.tenant);
        assert_eq!(cx.principal().tenant_id.as_deref(), Some(tenant.as_str()));
        let middle = cx.metadata().get("middle").and_then(Value::as_i64);
        assert_eq!(middle, i64::try_from(self.middle).ok());
        let node = cx.node().unwrap();
        assert_eq!(&*node.name, format!("leaf-{}", self.leaf));
        let middle = format!("middle-{}", self.middle);
        assert_eq!(&*node.parent.as_ref().unwrap().name, middle);
        assert_eq!(
            cx.origin_name(),
            Some(format!("root-{}", self.tenant).as_str())
        );
    }
}

/// Kept by every leaf while it runs.
type Running = mpsc::Sender<()>;

async fn leaf(cx: Context, place: Place, seed: u64, running: Running) -> Result<()> {
    let _running = running;
    let operation = Operation::new(format!("leaf-{}", place.leaf));
    let middle = cx.clone();
    track(&cx, operation, |inner| async move {
        inner.metrics().add("leaves", 1.0);
        for _ in 0..place.seed(seed) % 8 {
            place.check();
            tokio::task::yield_now().await;
        }
        if place.is_doomed(seed) {
            // Until the cancellation, which the first leaf brings about.
            if place.leaf == 0 {
                middle.cancel(ErrorKind::Cancelled, format!("middle-{}", place.middle));
            }
            std::future::pending::<()>().await;
        }
        place.check();
        inner.metrics().add(&format!("of.{}", place.middle), 1.0);
        Ok(())
    })
    .await
}

async fn middle(cx: Context, place: Place, seed: u64, running: Running) -> Result<()> {
    let operation = Operation::new(format!("middle-{}", place.middle));
    track(&cx, operation, |inner| async move {
        let leaves = (0..LEAVES).map(|number| {
            let place = Place {
                leaf: number,
                ..place
            };
            io::spawn(leaf(inner.clone(), place, seed, running.clone()))
        });
        for outcome in join_all(leaves).await {
            outcome.unwrap()?;
        }
        Ok(())
    })
    .await
}

/// One tenant's request; answers its Context and how many middles were cancelled.
async fn root(tenant: usize, seed: u64, cancelled: Arc<AtomicUsize>) -> Context {
    let cx = Context::create(Overrides {
        principal: Some(Principal {
            id: "ada".to_owned(),
            tenant_id: Some(format!("tenant-{tenant}")),
            roles: Vec::new(),
        }),
        ..Overrides::default()
    });
    let operation = Operation::new(format!("root-{tenant}"));
    let (running, mut ended) = mpsc::channel(1);
    let outcome = track(&cx, operation, |inner| async move {
        let middles = (0..MIDDLES).map(|number| {
            let place = Place {
                tenant,
                middle: number,
                leaf: 0,
            };
            let number = i64::try_from(number).unwrap_or_default();
            let fork = inner.child(Overrides {
                metadata: Map::from_iter([("middle".to_owned(), Value::Int(number))]),
                ..Overrides::default()
            });
            let middle = middle(fork, place, seed, running.clone());
            async move { (place, io::spawn(middle).await.unwrap()) }
        });
        for (place, outcome) in join_all(middles).await {
            match outcome {
                Ok(()) => assert!(!place.is_doomed(seed), "{place:?} ended well"),
                Err(error) => {
                    assert!(place.is_doomed(seed), "{place:?}: {error}");
                    assert_eq!(error.message(), format!("middle-{}", place.middle));
                    cancelled.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    });
    outcome.await.unwrap();
    // A middle that was cancelled does not wait for its leaves.
    assert_eq!(ended.recv().await, None);
    cx
}

/// A metric that counts.
fn count(node: &ProcedureNode, name: &str) -> usize {
    match node.metrics.to_value().get(name).and_then(Value::as_i64) {
        Some(count) => usize::try_from(count).unwrap(),
        None => 0,
    }
}

fn check_graph(cx: &Context, tenant: usize, seed: u64) {
    let root = cx.graph().root().unwrap();
    let (mut fine, mut leaves, mut begun) = (0, 0, 0);
    assert_eq!(root.children().len(), MIDDLES);
    for node in root.children() {
        let number: usize = node.name.strip_prefix("middle-").unwrap().parse().unwrap();
        let place = Place {
            tenant,
            middle: number,
            leaf: 0,
        };
        let is_doomed = place.is_doomed(seed);
        let expected = if is_doomed {
            Status::Cancelled
        } else {
            fine += LEAVES;
            Status::Completed
        };
        let children = node.children();
        let is_so = |node: &Arc<ProcedureNode>| node.status() == expected;
        assert!(is_so(&node) && children.iter().all(is_so), "{}", node.name);
        // A leaf that comes after the cancellation does not begin.
        assert!(children.len() == LEAVES || is_doomed && !children.is_empty());
        // One that is cancelled between its beginning and its first turn counts nothing.
        let counted = count(&node, "leaves");
        assert!(counted == children.len() || is_doomed && counted <= children.len());
        leaves += counted;
        begun += children.len();
        let own = count(&node, &format!("of.{number}"));
        assert_eq!(own, if is_doomed { 0 } else { LEAVES });
        let others = (0..MIDDLES).filter(|it| *it != number);
        assert!(
            others
                .into_iter()
                .all(|it| count(&node, &format!("of.{it}")) == 0)
        );
    }
    let of = (0..MIDDLES).map(|it| count(&root, &format!("of.{it}")));
    assert_eq!(of.sum::<usize>(), fine);
    assert_eq!(count(&root, "leaves"), leaves);
    assert_eq!(cx.graph().count(), 1 + MIDDLES + begun);
}

#[test]
fn parallel_forks_never_mix_nodes_metrics_tenants_or_cancellation() {
    for seed in [1, 2, 3] {
        let cancelled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&cancelled);
        let roots = async move {
            let roots =
                (0..TENANTS).map(|tenant| io::spawn(root(tenant, seed, Arc::clone(&count))));
            join_all(roots).await
        };
        let contexts = io::wait(roots, || Ok(())).unwrap();
        for (tenant, cx) in contexts.into_iter().enumerate() {
            check_graph(&cx.unwrap(), tenant, seed);
        }
        // The check would mean little if nothing, or everything, were cancelled.
        let cancelled = cancelled.load(Ordering::Relaxed);
        assert!(
            (20..380).contains(&cancelled),
            "{cancelled} of {}",
            TENANTS * MIDDLES
        );
    }
}
